"""Reliability diagrams, as SVG in the page's own colours."""

import math

from trashlens.bundle import Bundle
from trashlens.records import look_up
from trashlens.ui.words import Words

__all__ = ["draw_reliability"]

SIDE, MARGIN, BARS = 220, 40, 44
"""The square's side, the space for its numbers, the height of the count below, SVG units."""


def draw_reliability(bundle: Bundle, words: Words) -> str:
    """Return how often a network is right by how sure it is, and how many photos that is of each.

    Nothing is returned where that was not recorded (Guo et al. 2017).
    """
    record = look_up(bundle.metrics, "test", "reliability")
    if not record:
        return ""
    photos, total = record["photos"], max(sum(record["photos"]), 1)
    rows = zip(record["confidence"], record["accuracy"], photos, record["interval"], strict=True)
    dots, bars = [], []
    for confidence, accuracy, count, (low, high) in rows:
        x, y = MARGIN + SIDE * confidence, 6 + SIDE * (1 - accuracy)
        said = words["chart.dot"].format(
            sure=words.write(confidence, ".0%"), right=words.write(accuracy, ".0%"), count=count
        )
        dots.append(
            f'<line class="tl-spread" x1="{x:.1f}" x2="{x:.1f}" y1="{6 + SIDE * (1 - low):.1f}" '
            f'y2="{6 + SIDE * (1 - high):.1f}"/><circle cx="{x:.1f}" cy="{y:.1f}" '
            f'r="{2.2 + 7 * math.sqrt(count / total):.1f}"><title>{said}</title></circle>'
        )
        bars.append(_draw_count(confidence, count, record["bins"], max(photos)))
    ece = look_up(bundle.metrics, "test", "ece")
    title = words["chart.reliability" if ece is None else "chart.reliability.ece"].format(
        who=words[f"the.{bundle.role}"], ece=words.write(ece or 0, ".3f")
    )
    return (
        f'<svg class="tl-chart" viewBox="0 0 {MARGIN + SIDE + 18} {SIDE + BARS + 44}" role="img">'
        f"<title>{title}</title>"
        f"{_draw_square(words)}{''.join(dots)}{_name_sides(words)}{''.join(bars)}</svg>"
    )


def _name_sides(words: Words) -> str:
    """Return what it means to lie on either side of the diagonal."""
    return (
        f'<text class="tl-side" x="{MARGIN + 6}" y="24">{words["chart.modest"]}</text>'
        f'<text class="tl-side" x="{MARGIN + SIDE - 4}" y="{SIDE - 2}" text-anchor="end">'
        f"{words['chart.sure']}</text>"
    )


def _draw_square(words: Words) -> str:
    """Return the axes of a reliability diagram, its diagonal and what lies on either side of it."""
    marks = "".join(
        f'<line class="tl-grid" x1="{MARGIN}" x2="{MARGIN + SIDE}" y1="{y:.0f}" y2="{y:.0f}"/>'
        f'<text x="{MARGIN - 5}" y="{y + 4:.0f}" text-anchor="end">{words.write(share, ".0%")}</text>'
        for share in (0, 0.5, 1)
        for y in (6 + SIDE * (1 - share),)
    )
    below = SIDE + BARS + 22
    ticks = "".join(
        f'<text x="{MARGIN + SIDE * share:.0f}" y="{below}" text-anchor="middle">'
        f"{words.write(share, '.0%')}</text>"
        for share in (0, 0.5, 1)
    )
    axis = words["chart.confidence"]
    return (
        f'{marks}<line class="tl-ideal" x1="{MARGIN}" x2="{MARGIN + SIDE}" y1="{6 + SIDE}" y2="6"/>'
        f'{ticks}<text x="{MARGIN + SIDE / 2}" y="{below + 17}" text-anchor="middle">{axis}</text>'
    )


def _draw_count(confidence: float, count: int, bins: int, most: int) -> str:
    """Return the bar of a bin's photos below the square."""
    width = SIDE / bins
    x = MARGIN + min(int(confidence * bins), bins - 1) * width
    height = (BARS - 8) * count / max(most, 1)
    top = 6 + SIDE + BARS - height
    return (
        f'<rect x="{x + 1:.1f}" y="{top:.1f}" width="{width - 2:.1f}" height="{max(height, 0.8):.1f}"/>'
    )
