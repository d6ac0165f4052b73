"""The picture of accuracy against time, as SVG in the page's own colours."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trashlens.bundle import Bundle
from trashlens.records import look_up
from trashlens.ui.words import Words

__all__ = ["draw_accuracy_latency"]

WIDTH, HEIGHT = 360, 280
"""Of the picture of accuracy against time, SVG units."""
LEFT, RIGHT, TOP, BOTTOM = 38, 352, 12, 236
"""Edges of its axes."""
APART = 12
"""Dots that are nearer to each other across are moved this far apart, SVG units."""
NAME = 64
"""Names of dots that are nearer to each other across would run into each other, SVG units."""

Scale = Callable[[float], float]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A network in the picture of accuracy against time."""

    role: str
    accuracy: float
    interval: tuple[float, float]
    ms: float
    """Median time of one photo, milliseconds."""
    p95_ms: float
    """Time that 95 % of the photos stay below, milliseconds."""


def draw_accuracy_latency(bundles: Mapping[str, Bundle], words: Words) -> str:
    """Return the picture of accuracy, with its 95 % interval, against the time of one photo.

    Networks without either record are left out; nothing is returned where all are.
    """
    points = [point for bundle in bundles.values() if (point := _read_point(bundle))]
    if not points:
        return ""
    low, high = min(point.interval[0] for point in points), max(point.interval[1] for point in points)
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.25) if (high - low) / step <= 6)
    # Above the highest interval its name has to fit in.
    floor, ceiling = math.floor(low / step) * step, math.ceil(high / step + 0.7) * step
    first = math.log10(min(point.ms for point in points) / 1.8)
    last = math.log10(max(point.p95_ms for point in points) * 1.8)

    def across(ms: float) -> float:
        return LEFT + (RIGHT - LEFT) * (math.log10(ms) - first) / (last - first)

    def up(share: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (share - floor) / (ceiling - floor)

    told = ", ".join(_describe(point, words) for point in points)
    levels = _draw_levels(
        [floor + index * step for index in range(round((ceiling - floor) / step) + 1)], up, words
    )
    return (
        f'<svg class="tl-chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>{words['chart.tradeoff'].format(networks=told)}</title>"
        f"{levels}{_draw_times(first, last, across, words)}{_draw_points(points, across, up, words)}</svg>"
    )


def _read_point(bundle: Bundle) -> Point | None:
    accuracy, interval = (
        look_up(bundle.metrics, "test", key) for key in ("accuracy", "accuracy_interval")
    )
    ms, p95_ms = (look_up(bundle.metrics, "latency", f"infer_ms_{key}") for key in ("p50", "p95"))
    if accuracy is None or not ms:
        return None
    low, high = interval or (accuracy, accuracy)
    return Point(role=bundle.role, accuracy=accuracy, interval=(low, high), ms=ms, p95_ms=p95_ms or ms)


def _describe(point: Point, words: Words) -> str:
    return words["chart.network"].format(
        role=words[f"role.{point.role}"],
        accuracy=words.write(point.accuracy, ".1%"),
        time=f"{words.write(point.ms, '.1f')} ms",
    )


def _draw_levels(levels: Sequence[float], up: Scale, words: Words) -> str:
    """Return the horizontal lines of the accuracies, with their numbers."""
    return "".join(
        f'<line class="tl-grid" x1="{LEFT}" x2="{RIGHT}" y1="{up(level):.1f}" y2="{up(level):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{up(level) + 4:.1f}" text-anchor="end">{words.write(level, ".0%")}</text>'
        for level in levels
        if level < 1.001
    )


def _draw_times(first: float, last: float, across: Scale, words: Words) -> str:
    """Return the ticks of the times between powers `first` and `last` of ten, and what they are."""
    decades = range(math.floor(first), math.ceil(last) + 1)
    ticks = [digit * 10.0**power for power in decades for digit in (1, 2, 5)]
    marks = "".join(
        f'<line class="tl-grid" x1="{across(ms):.1f}" x2="{across(ms):.1f}" y1="{BOTTOM}" y2="{BOTTOM + 4}"/>'
        f'<text x="{across(ms):.1f}" y="{BOTTOM + 17}" text-anchor="middle">{words.write(ms, "g")}</text>'
        for ms in ticks
        if first <= math.log10(ms) <= last
    )
    middle = (LEFT + RIGHT) / 2
    axis = words["chart.times"]
    return f'{marks}<text x="{middle}" y="{BOTTOM + 36}" text-anchor="middle">{axis}</text>'


def _draw_points(points: Sequence[Point], across: Scale, up: Scale, words: Words) -> str:
    """Return the networks' dots, lines and names; those of like times stand side by side, not on each other."""
    points = sorted(points, key=lambda point: point.ms)
    places = _spread([across(point.ms) for point in points])
    parts = []
    for index, (point, x) in enumerate(zip(points, places, strict=True)):
        low, high = (up(share) for share in point.interval)
        y, tail = up(point.accuracy), across(point.p95_ms) - across(point.ms)
        crowded_left = index > 0 and x - places[index - 1] < NAME
        crowded_right = index + 1 < len(places) and places[index + 1] - x < NAME
        side = "middle" if crowded_left == crowded_right else "start" if crowded_left else "end"
        # Between two neighbours there is room below only.
        height = low + 15 if crowded_left and crowded_right else high - 7
        shift = {"start": -4, "middle": 0, "end": 4}[side]
        parts.append(
            f'<g data-role="{point.role}">'
            f'<line class="tl-spread" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
            f'<line class="tl-tail" x1="{x:.1f}" x2="{x + max(tail, 0):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>'
            f'<text class="tl-name" x="{x + shift:.1f}" y="{height:.1f}" text-anchor="{side}">'
            f"{words[f'role.{point.role}']}</text></g>"
        )
    return "".join(parts)


def _spread(places: Sequence[float]) -> list[float]:
    """Return ascending places moved as little as leaves them `APART`: those too near, around their middle."""
    clusters: list[list[float]] = []
    for place in places:
        if clusters and place - clusters[-1][-1] < APART:
            clusters[-1].append(place)
        else:
            clusters.append([place])
    return [
        sum(cluster) / len(cluster) + APART * (index - (len(cluster) - 1) / 2)
        for cluster in clusters
        for index in range(len(cluster))
    ]
