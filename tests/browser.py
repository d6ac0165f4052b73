"""A real server and a real headless Chromium for the tests of the page."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from trashlens.benchmark.camera import FLAGS
from trashlens.machine import find_free_port

ROOT = Path(__file__).parent.parent
REMEMBER_TRACKS = """
(() => {
    window.tracks = [];
    const devices = navigator.mediaDevices;
    const original = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (constraints) => {
        const stream = await original(constraints);
        window.tracks.push(...stream.getTracks());
        return stream;
    };
})();
"""
TIMEOUT_MS = 20_000
"""How long a slow machine may take for anything on the page."""


def find_chromium() -> str:
    """Return the path of a Chromium, or skip the test."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    pytest.skip("no Chromium is installed")


def app_environment(models: Path, port: int | None = None) -> dict[str, str]:
    """Return the environment in which `app.py` serves `models`."""
    environment = {**os.environ, "TRASHLENS_MODELS": str(models), "PYTHONUNBUFFERED": "1"}
    environment.pop("GRADIO_ANALYTICS_ENABLED", None)
    if port is not None:
        environment |= {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1"}
    return environment


@contextlib.contextmanager
def serve(
    models: Path, log: Path, *, stop: signal.Signals = signal.SIGTERM, **variables: str
) -> Iterator[str]:
    """Run `app.py` on a free port of the loopback, and stop it; yield its address, with a slash at the end."""
    with start_app(models, log, stop=stop, **variables) as (url, _):
        yield url


@contextlib.contextmanager
def start_app(
    models: Path, log: Path, *, stop: signal.Signals = signal.SIGTERM, **variables: str
) -> Iterator[tuple[str, int]]:
    """As `serve`, but yield the address and the number of the process."""
    port = find_free_port()
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env={**app_environment(models, port), **variables},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    with process:
        try:
            assert process.stdout is not None
            if not any("Trashlens is at" in line for line in process.stdout):
                pytest.fail(f"app.py did not start: {log.read_text()}")
            yield f"http://127.0.0.1:{port}/", process.pid
        finally:
            process.send_signal(stop)


@contextlib.contextmanager
def launch_chromium(frames: bytes) -> Iterator[Browser]:
    """Yield a headless Chromium whose camera plays the frames, concatenated JPEGs, in a loop."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        video = Path(folder) / "camera.mjpeg"
        video.write_bytes(frames)
        browser = playwright.chromium.launch(
            executable_path=find_chromium(),
            args=[
                *FLAGS,
                "--no-sandbox",
                "--disable-quic",
                f"--use-file-for-fake-video-capture={video}",
            ],
        )
        yield browser
        browser.close()


@contextlib.contextmanager
def open_page(browser: Browser, url: str, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """Yield the loaded page and the list of all addresses that it asks for."""
    context = browser.new_context(**options)
    context.set_default_timeout(TIMEOUT_MS)
    context.add_init_script(REMEMBER_TRACKS)
    page = context.new_page()
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(url)
    expect(page.locator("#photo-results .tl-card")).to_have_count(3, timeout=TIMEOUT_MS)
    yield page, addresses
    context.close()


def call_classify(url: str, name: str, content: bytes) -> tuple[str, Any]:
    """Send a photo as `curl` would, and return the event's name and data of the answer."""
    return call_with_path(url, upload(url, name, content))


def upload(url: str, name: str, content: bytes) -> str:
    """Upload a file as `curl` would, and return its path on the server."""
    boundary = "trashlens"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    path: str = json.loads(_post(f"{url}gradio_api/upload", body, kind))[0]
    return path


def call_with_path(url: str, path: str, *, described: bool = True) -> tuple[str, Any]:
    """Ask for the file at `path` on the server; `described` says that it is a file, as clients do."""
    meta = {"meta": {"_type": "gradio.FileData"}} if described else {}
    return call_with_values(url, [{"path": path, **meta}])


def call_with_values(url: str, values: list[Any], *, way: str = "call") -> tuple[str, Any]:
    """Ask `/classify` about `values`, and return the event's name and data of the answer."""
    address = f"{url}gradio_api/{way}/classify"
    body = json.dumps({"data": values}).encode()
    event = json.loads(_post(address, body, "application/json"))["event_id"]
    with urllib.request.urlopen(f"{address}/{event}", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    name = next(line.removeprefix("event: ") for line in lines if line.startswith("event: "))
    data = next(line.removeprefix("data: ") for line in lines if line.startswith("data: "))
    return name, json.loads(data)


def _post(address: str, body: bytes, kind: str) -> bytes:
    request = urllib.request.Request(address, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: bytes = answer.read()
    return content
