"""How long the page takes to start, and its memory, next to Gradio alone."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from trashlens.benchmark.config import BenchmarkConfig
from trashlens.benchmark.servers import GRADIO_ALONE, app_command, serve
from trashlens.benchmark.timing import Ratio, Summary, Times, interleave

__all__ = ["StartResult", "measure_start"]

APP, ALONE = "app", "alone"


@dataclass(frozen=True, kw_only=True)
class StartResult:
    """The page and Gradio alone, each several times in a fresh process."""

    app: Summary
    """From the start of the process to the first HTTP 200."""
    alone: Summary
    ratio: Ratio
    """How many times as long as Gradio alone the page takes."""
    app_mb: float
    """Median resident memory after the start, of the process and its children, 10⁶ bytes."""
    alone_mb: float


def measure_start(
    app: Path, models: Path, config: BenchmarkConfig, *, say: Callable[[str], None]
) -> StartResult:
    """Start the page and Gradio alone in turn; the first start of each fills caches and counts for nothing.

    Raises:
        BenchmarkError: one of them does not start.
    """
    commands = {APP: app_command(app), ALONE: [sys.executable, "-c", GRADIO_ALONE]}
    start_ms: dict[str, list[float]] = {name: [] for name in commands}
    memory_mb: dict[str, list[float]] = {name: [] for name in commands}
    say(f"page: {config.repeats} starts next to Gradio alone")
    for turn, order in enumerate(interleave(list(commands), 1 + config.repeats)):
        for name in order:
            with serve(commands[name], models=models) as server:
                if turn:
                    start_ms[name].append(server.start_ms)
                    memory_mb[name].append(server.measure_mb())
    times = Times(ms=start_ms)
    return StartResult(
        app=times.summary(APP),
        alone=times.summary(ALONE),
        ratio=times.ratio(APP, ALONE),
        app_mb=median(memory_mb[APP]),
        alone_mb=median(memory_mb[ALONE]),
    )
