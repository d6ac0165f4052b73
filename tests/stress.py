"""Load and faults: many clients on a real server, one request in five hostile, and a kill in their midst.

`pipenv run stress` takes three minutes and ends with one line of JSON; exit code 1 when a request was lost, the
server's memory grew, or it did not answer afterwards. `--help` lists the settings.
"""

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from browser import ROOT, start_app
from hostile import write_corpus
from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveFloat, PositiveInt
from load import MUTE, Tally, ask, connect, draw_photos, run_load

__all__ = ["main"]

MOST_GROWTH = 0.10
"""By how much the server's memory may grow after the first minute, as a share."""


async def kill_amidst(url: str, process_id: int) -> int:
    """Kill the server while it works on requests; return how many were open."""
    photos = draw_photos(16, seed=1)
    async with connect(url) as client:
        requests = [asyncio.create_task(ask(client, "photo.jpg", photo)) for photo in photos]
        await asyncio.sleep(0.15)
        still_open = sum(not request.done() for request in requests)
        psutil.Process(process_id).send_signal(signal.SIGKILL)
        await asyncio.gather(*requests, return_exceptions=True)
    return still_open


def main(argv: Sequence[str] | None = None) -> int:
    """Load, kill and restart the server; return 1 when it did not stand it, 130 when it was stopped."""
    options = _parse(argv)
    try:
        with tempfile.TemporaryDirectory() as folder:
            report, stood = _run(options, Path(folder))
    except KeyboardInterrupt:
        return 130
    print(json.dumps({**report, "stood": stood}))
    return 0 if stood else 1


def _parse(argv: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(prog="stress", description=__doc__)
    parser.add_argument("--clients", type=PositiveInt, default=32, help="clients at a time")
    parser.add_argument("--seconds", type=PositiveFloat, default=180.0, help="length of the load")
    parser.add_argument(
        "--warm_up", type=PositiveFloat, default=60.0, help="seconds before memory counts"
    )
    parser.add_argument(
        "--mute", type=int, default=MUTE, help="connections at a time that never say what they want"
    )
    parser.add_argument("--models", type=Path, default=ROOT / "models", help="the bundles")
    parser.add_argument(
        "--most_growth", type=PositiveFloat, default=MOST_GROWTH, help="of memory after it, as a share"
    )
    parser.add_argument(
        "--hostile", type=Path, help="folder of hostile files; without it they are made anew"
    )
    options = parser.parse_args(argv)
    if options.hostile and not (options.hostile / "expected.json").is_file():
        parser.error(
            f"{options.hostile} has no expected.json; `python tests/hostile.py FOLDER` writes one."
        )
    if not options.models.is_dir():
        parser.error(f"There is no folder {options.models}.")
    return options


def _run(options: Namespace, folder: Path) -> tuple[dict[str, Any], bool]:
    """Return what was seen, and whether the server stood it."""
    corpus = options.hostile or folder / "hostile"
    if not options.hostile:
        _say("writing the hostile files")
        write_corpus(corpus)
    expected = json.loads((corpus / "expected.json").read_text())
    hostile = [(corpus / name, what) for name, what in sorted(expected.items())]
    log, temporary = folder / "log.txt", {"TMPDIR": str(folder)}
    with start_app(options.models, log, **temporary) as (url, process_id):
        load = run_load(
            url,
            process_id,
            clients=options.clients,
            seconds=options.seconds,
            hostile=hostile,
            mute=options.mute,
            say=_say,
        )
        tally = asyncio.run(load)
    _say("killing it amidst requests, and starting it again")
    with start_app(options.models, log, **temporary) as (url, process_id):
        killed = asyncio.run(kill_amidst(url, process_id))
    with start_app(options.models, log, **temporary) as (url, process_id):
        left = len(list(folder.glob("trashlens-uploads-*"))) - 1
        again = asyncio.run(run_load(url, process_id, clients=2, seconds=2, hostile=hostile))
    growth = tally.growth(min(options.warm_up, options.seconds / 3))
    report = {
        "clients": options.clients,
        "seconds": options.seconds,
        "hostile_files": len(hostile),
        **_describe(tally),
        "memory_growth": round(growth, 3),
        "killed_amidst": killed,
        "folders_left_by_the_killed": left,
        "after_the_restart": dict(again.outcomes),
    }
    lost = tally.lost or again.lost
    return report, not lost and growth < options.most_growth and left == 0


def _describe(tally: Tally) -> dict[str, Any]:
    latencies_s = tally.latencies_s or [float("nan")]
    return {
        "mute_connections": tally.mute,
        "requests": dict(tally.outcomes),
        "lost": tally.lost,
        "latency_s": {f"p{p}": round(float(np.percentile(latencies_s, p)), 3) for p in (50, 95, 100)},
        "memory_mb": [round(rss / 1e6) for _, rss in (tally.rss_bytes[0], tally.rss_bytes[-1])],
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
