"""Servers in processes of their own: started, timed until they answer, weighed, and surely stopped."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import psutil

from trashlens.errors import BenchmarkError
from trashlens.machine import find_free_port

__all__ = ["GRADIO_ALONE", "Server", "app_command", "serve"]

GRADIO_ALONE = """
import gradio as gr
page = gr.Interface(lambda photo: {}, gr.Image(type="filepath"), gr.JSON(), analytics_enabled=False)
page.launch(ssr_mode=False, share=False)
"""
"""The smallest app with a photo as input: what every Gradio app costs."""

START_S = 120
"""After this a server is taken not to start, seconds."""
LOOK_EVERY_S = 0.01
SETTLE_S = 1.0
"""Gradio goes on loading for a moment after its first answer, seconds."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that answers."""

    url: str
    """Its address, with a slash at the end."""
    start_ms: float
    """From the start of its process to the first answer with HTTP status 200, milliseconds."""
    process: psutil.Process

    def measure_mb(self) -> float:
        """Return the resident memory of the process and its children, 10⁶ bytes."""
        family = [self.process, *self.process.children(recursive=True)]
        return float(sum(one.memory_info().rss for one in family) / 1e6)


def app_command(app: Path) -> list[str]:
    """Return the command that serves the page."""
    return [sys.executable, str(app)]


@contextlib.contextmanager
def serve(command: Sequence[str], *, models: Path) -> Iterator[Server]:
    """Run a Gradio server on a free port of the loopback until the block is left, however it is left.

    Raises:
        BenchmarkError: it does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="trashlens-benchmark-") as folder:
        port = find_free_port()
        with (Path(folder) / "errors.txt").open("w+", encoding="utf-8") as errors:
            start = time.perf_counter()
            process = subprocess.Popen(
                command,
                env=_environment(port, models, uploads=Path(folder) / "uploads"),
                stdout=subprocess.DEVNULL,
                stderr=errors,
                # Ctrl-C reaches the benchmark alone, which then stops its servers itself.
                start_new_session=True,
            )
            try:
                url = f"http://127.0.0.1:{port}/"
                _wait_for(url, process, errors)
                start_ms = (time.perf_counter() - start) * 1e3
                time.sleep(SETTLE_S)
                if process.poll() is not None:
                    raise BenchmarkError(
                        f"The server ended after its first answer: {_last_line(errors)}"
                    )
                yield Server(url=url, start_ms=start_ms, process=psutil.Process(process.pid))
            finally:
                _stop(process)


def _environment(port: int, models: Path, *, uploads: Path) -> dict[str, str]:
    """Return this process's environment with what tells a server where to listen and to look."""
    return {
        **os.environ,
        "TRASHLENS_MODELS": str(models.resolve()),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(uploads),  # Gradio's alone; the page makes its own
        # Gradio looks whether it can reach itself, and gives up where a proxy cannot.
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def _wait_for(url: str, process: subprocess.Popen[bytes], errors: IO[str]) -> None:
    """Return with the first answer of HTTP status 200."""
    deadline = time.perf_counter() + START_S
    with httpx.Client(trust_env=False, timeout=START_S) as client:
        while process.poll() is None and time.perf_counter() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if client.get(url).status_code == httpx.codes.OK:
                    return
            time.sleep(LOOK_EVERY_S)
    raise BenchmarkError(f"The server did not start: {_last_line(errors)}")


def _last_line(errors: IO[str]) -> str:
    errors.seek(0)
    return next(reversed(errors.read().strip().splitlines()), f"no answer within {START_S} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and its children."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
