"""How many results a second the tabs that film give in a real browser, and how old they are."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from trashlens.benchmark.config import BenchmarkConfig
from trashlens.benchmark.photos import draw_scene, encode_jpeg
from trashlens.benchmark.servers import app_command, serve
from trashlens.errors import BenchmarkError

if TYPE_CHECKING:  # playwright is a tool of development
    from playwright.sync_api import Page

__all__ = ["FLAGS", "NO_BROWSER", "CameraResult", "Tab", "find_browser", "measure_camera"]

NO_BROWSER = (
    "A camera needs playwright (pipenv sync --categories dev-packages) and a Chromium "
    "(a package of your system, or `playwright install chromium`)."
)
FLAGS = (
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
CAMERA_PX, CAMERA_FRAMES = (640, 480), 90
"""Chromium plays a file of JPEGs with 30 frames a second, from the start again at its end."""
Tab = Literal["webcam", "device"]
WAIT_MS = 60_000
WARM_UP_S = 3.0
WATCH = """
(tab) => {
    const seen = (window.trashlensResults = []);
    const latency = document.querySelector(`#${tab} .tl-latency`);
    let last = 0;
    new MutationObserver(() => {
        const taken = Number(latency.dataset.taken);
        if (!taken || taken === last) return;
        last = taken;
        const now = performance.now();
        seen.push([now, now - taken]);
    }).observe(latency, {attributes: true});
}
"""
"""Notes when each result is in the page, and how long ago its frame was taken; both by the page's own clock."""


@dataclass(frozen=True, kw_only=True)
class CameraResult:
    """One tab with all its networks, in headless Chromium with a fake camera of 30 frames a second."""

    browser: str
    """Its version."""
    first_ms: float
    """From the press on Start, in a tab that was opened just before, to the first result."""
    results_per_s: float
    latency_p50_ms: float
    """From the moment a frame is taken from the camera to its result in the page."""
    latency_p90_ms: float
    longest_gap_ms: float
    """The longest time without a new result."""
    results: int
    """How many were watched."""


def find_browser() -> str | None:
    """Return the path of a Chromium that playwright can drive, or None."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        return None
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).is_file() else None


def measure_camera(
    tab: Tab,
    app: Path,
    models: Path,
    browser: str,
    config: BenchmarkConfig,
    *,
    say: Callable[[str], None],
) -> CameraResult:
    """Watch a tab's results for three times `config.seconds`.

    Raises:
        BenchmarkError: the page does not start, or shows no results.
    """
    from playwright.sync_api import Error

    watched_s = 3 * config.seconds
    say(f"{tab}: {watched_s:.0f} s in headless Chromium")
    with tempfile.TemporaryDirectory() as folder, serve(app_command(app), models=models) as server:
        video = Path(folder) / "camera.mjpeg"
        video.write_bytes(_draw_frames())
        try:
            with _open_page(browser, video, server.url) as (page, version):
                first_ms = _start_camera(page, tab)
                page.evaluate("window.trashlensResults.length = 0")
                page.wait_for_timeout(1e3 * watched_s)
                seen = page.evaluate("window.trashlensResults")
        except Error as error:  # playwright's only one
            raise BenchmarkError(
                f"The browser could not be used: {next(iter(error.message.splitlines()), 'no reason')}"
            ) from error
    return _summarise(seen, version, first_ms=first_ms)


def _summarise(seen: list[tuple[float, float]], version: str, *, first_ms: float) -> CameraResult:
    """Return the result for (when, latency) in milliseconds of each result."""
    if len(seen) < 2:
        raise BenchmarkError("The camera's tab showed no results. Try again with more --seconds.")
    when_ms, latency_ms = zip(*seen, strict=True)
    return CameraResult(
        browser=f"Chromium {version}",
        first_ms=first_ms,
        results_per_s=(len(seen) - 1) / (when_ms[-1] - when_ms[0]) * 1e3,
        latency_p50_ms=float(np.median(latency_ms)),
        latency_p90_ms=float(np.percentile(latency_ms, 90)),
        longest_gap_ms=max(after - before for before, after in pairwise(when_ms)),
        results=len(seen),
    )


@contextlib.contextmanager
def _open_page(browser: str, video: Path, url: str) -> Iterator[tuple["Page", str]]:
    """Yield the page in a new browser whose camera plays `video`, and the browser's version."""
    from playwright.sync_api import sync_playwright

    # Chromium's sandbox refuses the superuser, as whom containers run.
    flags = [*FLAGS, "--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else list(FLAGS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser, args=[*flags, f"--use-file-for-fake-video-capture={video}"]
        )
        try:
            page = chromium.new_page()
            page.set_default_timeout(WAIT_MS)
            page.goto(url)
            yield page, chromium.version
        finally:
            chromium.close()


def _start_camera(page: "Page", tab: Tab) -> float:
    """Open the tab, start its camera, let it settle; return the time to the first result, milliseconds."""
    page.locator(f"[role=tab][data-tab-id={tab}]").click()
    button = page.locator(f"#{tab} .tl-start")
    button.wait_for()
    page.evaluate(WATCH, tab)
    pressed_ms: float = page.evaluate("performance.now()")
    button.click()
    page.wait_for_function("() => window.trashlensResults.length > 0")
    first_ms: float = page.evaluate("window.trashlensResults[0][0]")
    page.wait_for_timeout(1e3 * WARM_UP_S)
    return first_ms - pressed_ms


def _draw_frames() -> bytes:
    """Return JPEGs of a view that wanders over a scene, so that each frame is another."""
    width_px, height_px = CAMERA_PX
    scene = draw_scene(width_px + 2 * CAMERA_FRAMES, height_px, seed=0)
    frames = []
    for number in range(CAMERA_FRAMES):
        left = 2 * number
        frames.append(encode_jpeg(scene.crop((left, 0, left + width_px, height_px)), quality=88))
    return b"".join(frames)
