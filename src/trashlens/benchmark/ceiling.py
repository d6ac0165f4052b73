"""A fresh process that answers one photo again and again without a server: as much as the cores can give."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trashlens.benchmark.children import read_settings, write_result
from trashlens.classifier import load_classifiers
from trashlens.comparison import compare

__all__ = ["main"]

WARM_UP = 3
"""Requests of each caller before the clock starts."""


def main() -> None:
    """Print `requests` and `elapsed_s` of `callers` threads that call the bare function, as JSON."""
    settings = read_settings()
    callers, seconds = settings["callers"], settings["seconds"]
    classifiers = load_classifiers(Path(settings["models"]), threads=settings["threads"])
    data = Path(settings["photo"]).read_bytes()

    def warm_up() -> None:
        for _ in range(WARM_UP):
            compare(classifiers, data)

    def go_on_calling() -> int:
        requests = 0
        while time.perf_counter() - start < seconds:
            compare(classifiers, data)
            requests += 1
        return requests

    with ThreadPoolExecutor(callers) as pool:
        for warmed in [pool.submit(warm_up) for _ in range(callers)]:
            warmed.result()
        start = time.perf_counter()
        counts = [pool.submit(go_on_calling) for _ in range(callers)]
        requests = sum(count.result() for count in counts)
        elapsed_s = time.perf_counter() - start
    write_result({"requests": requests, "elapsed_s": elapsed_s})


if __name__ == "__main__":
    main()
