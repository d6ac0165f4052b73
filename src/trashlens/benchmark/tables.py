"""What was measured, as tables for people."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from trashlens.benchmark.camera import CameraResult, Tab
from trashlens.benchmark.config import BenchmarkConfig
from trashlens.benchmark.inference import InferenceResult
from trashlens.benchmark.load import LoadResult, QueuedResult
from trashlens.benchmark.report import BUSY, Machine, PageResult
from trashlens.benchmark.request import PhotoResult, RequestResult
from trashlens.benchmark.start import StartResult
from trashlens.benchmark.timing import Ratio

__all__ = [
    "format_camera",
    "format_head",
    "format_inference",
    "format_left_out",
    "format_page",
    "format_request",
]

LIBRARIES = ("onnxruntime", "pillow", "gradio", "torch")
NONE = "–"
WIDTH = 110
"""Columns of a line of text."""


def format_head(machine: Machine, settings: BenchmarkConfig) -> str:
    """Return what was measured on, and how."""
    libraries = [f"{name} {machine.packages[name]}" for name in LIBRARIES if name in machine.packages]
    lines = [
        f"On {machine.processor}, {machine.system}; {_count(machine.threads, 'thread')} a network unless a table "
        f"says otherwise. Python {machine.python}, {', '.join(libraries)}.",
        f"{settings.rounds} rounds after {settings.warm_up} to warm up. What is compared takes turns within a "
        "round; ratios are medians over the rounds, with their 95 % interval in brackets. 1 MB is 10⁶ bytes.",
    ]
    if machine.commit:
        lines.append(
            f"Code: {machine.commit[:12]}{', changed since' * machine.commit.endswith('-dirty')}."
        )
    if machine.busy_before >= BUSY:
        lines.append(
            f"Others used {machine.busy_before:.0%} of the processor just before: all times are too long, and "
            "ratios are rough. Measure again when it is idle."
        )
    return "\n".join(map(_wrap, lines))


def format_inference(result: InferenceResult) -> str:
    """Return the table of networks."""
    header = ("network", "stored as", "threads", "p50", "p95", "speed, teacher = 1", "file", "memory")
    rows = [
        (
            f"{one.role} {one.network.partition('.')[0]}",
            one.weights,
            str(one.threads),
            _ms(one.infer.p50_ms),
            _ms(one.infer.p95_ms),
            f"{one.speed.median:.1f}×" if one.role == "teacher" else _ratio(one.speed, digits=1),
            f"{one.file_mb:.1f} MB",
            f"{one.memory_mb:.0f} MB",
        )
        for one in result.sessions
    ]
    compared = " and ".join(
        f"{_ratio(ratio)} with {threads} thread{'s' * (threads != '1')}"
        for threads, ratio in result.student_to_baseline.items()
    )
    notes = [
        "Memory is what one network adds to a process that has ONNX Runtime loaded.",
        f"The student takes {compared} the baseline's time.",
    ]
    return _section("Inference: one image through one network (times in ms)", header, rows, notes)


def format_request(result: RequestResult) -> str:
    """Return the table of requests."""
    header = ["photo", "file", "decode", "preprocess", "infer", "total", "p95", "floor", "to floor"]
    compared = any(photo.ordinary for photo in result.photos)
    rows = [_list_request(photo, compared=compared) for photo in result.photos]
    notes = ["The floor is the same decoder and the three sessions on ready inputs, nothing else."]
    if compared:
        header += ["ordinary app", "faster"]
        notes.append(
            "The ordinary app decodes in full with Pillow and runs torchvision's transforms and three eager "
            "torch networks."
        )
    title = "Request: from a photo's bytes to three answers (medians, in ms)"
    return _section(title, header, rows, notes)


def format_page(result: PageResult) -> str:
    """Return the tables of the page as a server."""
    return f"{_format_start(result.start)}\n\n{_format_load(result.load)}"


def format_camera(tab: Tab, result: CameraResult) -> str:
    """Return the table of a tab that films."""
    title = {"webcam": "Webcam: through the server", "device": "On device: the student in the browser"}
    header = (
        "browser",
        "first result",
        "results a second",
        "latency p50",
        "p90",
        "longest gap",
        "results",
    )
    row = (
        result.browser,
        _ms(result.first_ms),
        f"{result.results_per_s:.1f}",
        _ms(result.latency_p50_ms),
        _ms(result.latency_p90_ms),
        _ms(result.longest_gap_ms),
        str(result.results),
    )
    notes = [
        "One viewer, all the tab's networks, a camera of 30 frames a second. Latency is from frame to result, the "
        "first result's time from the press on Start."
    ]
    return _section(f"{title[tab]} (times in ms)", header, [row], notes)


def format_left_out(reasons: Mapping[str, str]) -> str:
    """Return what was not measured, and why."""
    return "\n".join(_wrap(f"Left out, {part}: {reason}") for part, reason in reasons.items())


def _list_request(photo: PhotoResult, *, compared: bool) -> list[str]:
    cells = [
        photo.name,
        f"{photo.file_mb:.1f} MB",
        *(_ms(step.p50_ms) for step in (photo.decode, photo.preprocess, photo.infer, photo.total)),
        _ms(photo.total.p95_ms),
        _ms(photo.floor.p50_ms),
        _ratio(photo.to_floor),
    ]
    if compared and photo.ordinary and photo.speed:
        cells += [_ms(photo.ordinary.p50_ms), _ratio(photo.speed, digits=1)]
    return cells


def _format_start(result: StartResult) -> str:
    header = ("server", "p50", "fastest", "to Gradio alone", "memory")
    rows = [
        (
            "this page",
            _seconds(result.app.p50_ms),
            _seconds(result.app.min_ms),
            _ratio(result.ratio),
            f"{result.app_mb:.0f} MB",
        ),
        (
            "Gradio alone",
            _seconds(result.alone.p50_ms),
            _seconds(result.alone.min_ms),
            NONE,
            f"{result.alone_mb:.0f} MB",
        ),
    ]
    notes = [f"{result.app.runs} starts of each. Memory is what is resident a second after the start."]
    return _section("Page: from the start of its process to the first HTTP 200", header, rows, notes)


def _format_load(result: LoadResult) -> str:
    header = ("asked by", "requests/s", "p50", "p95", "of the ceiling", "failed", "clients' cores")
    rows = [_list_queued(one) for one in result.queued]
    for bare in result.bare:
        name = f"no server: {_count(bare.way.callers, 'caller')}, {_count(bare.way.threads, 'thread')}"
        share = "the ceiling" if bare == result.ceiling else NONE
        rows.append((name, f"{bare.requests_per_s:.1f}", NONE, NONE, share, NONE, NONE))
    notes = [
        "Each client asks the queued API again as soon as it is answered, about a photo that was uploaded before "
        "unless it says so. The clients run on the same cores.",
        f"The page's memory after all of this: {result.app_mb:.0f} MB.",
    ]
    for reason, count in _sum_failures(result.queued):
        notes.append(f"{_count(count, 'request')} failed: {reason}")
    return _section(f"Page: under load, with the {result.photo} (times in ms)", header, rows, notes)


def _list_queued(one: QueuedResult) -> tuple[str, ...]:
    name = _count(one.way.clients, "client") + (", each request uploads" * one.way.uploads)
    return (
        name,
        f"{one.requests_per_s:.1f}",
        _ms(one.latency.p50_ms) if one.latency else NONE,
        _ms(one.latency.p95_ms) if one.latency else NONE,
        f"{one.of_ceiling.median:.0%} ({one.of_ceiling.low:.0%} to {one.of_ceiling.high:.0%})",
        str(sum(one.failures.values())),
        f"{one.clients_cores:.2f}",
    )


def _sum_failures(results: Sequence[QueuedResult]) -> Iterator[tuple[str, int]]:
    """Yield each reason for a failure and how often it came."""
    reasons = dict.fromkeys(reason for one in results for reason in one.failures)
    for reason in reasons:
        yield reason, sum(one.failures.get(reason, 0) for one in results)


def _section(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]
) -> str:
    """Return a titled table whose first column holds words and the others numbers, and sentences below it."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]
    rule = "  ".join("─" * width for width in widths)
    return "\n".join([title, "", lines[0], rule, *lines[1:], "", *map(_wrap, notes)])


def _wrap(sentence: str) -> str:
    return textwrap.fill(sentence, WIDTH)


def _ms(ms: float) -> str:
    """Return milliseconds with about three digits; the unit is in the table's title."""
    return f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"


def _seconds(ms: float) -> str:
    return f"{ms / 1e3:.2f} s"


def _ratio(ratio: Ratio, *, digits: int = 2) -> str:
    """Return a ratio with its interval."""
    return f"{ratio.median:.{digits}f}× ({ratio.low:.{digits}f} to {ratio.high:.{digits}f})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
