"""What the bundles' records say, as tables and as pictures for people."""

from trashlens.scoreboard.pictures import (
    draw_accuracy_latency,
    draw_confusion,
    draw_history,
    draw_pictures,
    draw_reliability,
)
from trashlens.scoreboard.robustness import draw_robustness, format_gains, format_robustness
from trashlens.scoreboard.style import COLOURS, INK, LINE, SOFT, style_axes, write_pictures
from trashlens.scoreboard.tables import (
    format_classes,
    format_confusion,
    format_latency,
    format_objects,
    format_pairs,
    format_rejection,
    format_report,
    format_scores,
    format_table,
)

__all__ = [
    "COLOURS",
    "INK",
    "LINE",
    "SOFT",
    "draw_accuracy_latency",
    "draw_confusion",
    "draw_history",
    "draw_pictures",
    "draw_reliability",
    "draw_robustness",
    "format_classes",
    "format_confusion",
    "format_gains",
    "format_latency",
    "format_objects",
    "format_pairs",
    "format_rejection",
    "format_report",
    "format_robustness",
    "format_scores",
    "format_table",
    "style_axes",
    "write_pictures",
]
