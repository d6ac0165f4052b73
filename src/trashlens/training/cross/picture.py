"""Accuracy against brightness, as a picture."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, PercentFormatter

from trashlens.scoreboard import INK, SOFT, style_axes
from trashlens.training.cross.measurement import AS_IS, Result

__all__ = ["draw_results"]

COLOURS = {AS_IS: SOFT, "gain": "#b8892b", "gamma": "#2f6f9f"}
STYLES = {AS_IS: "-", "gain": "--", "gamma": "-"}


def draw_results(results: Sequence[Result]) -> Figure:
    """Return a panel for each network and set: accuracy by the brightness of the copies, a line a treatment."""
    columns = min(3, len(results))
    rows = -(-len(results) // columns)
    figure = Figure(figsize=(3.3 * columns + 0.4, 3.2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, result in zip(panels.flat, results, strict=False):
        style_axes(axes)
        gains = result.gains
        for treatment in (AS_IS, *result.methods):
            axes.plot(
                gains,
                [result.right[gain, treatment].mean() for gain in gains],
                color=COLOURS[treatment],
                linestyle=STYLES[treatment],
                marker="o",
                markersize=4,
                label="as it is" if treatment == AS_IS else f"evened out by {treatment}",
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(gains))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda gain, _: f"{gain:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_minor_locator(FixedLocator([]))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_title(f"{result.network} on {result.photos}", loc="left", color=INK, fontsize=10)
    for axes in panels.flat[len(results) :]:
        axes.set_visible(False)
    panels[0, 0].legend(frameon=False, labelcolor="linecolor", fontsize=8, loc="lower center")
    figure.supxlabel("brightness of the copy, relative to the photo", fontsize=9, color=SOFT)
    figure.supylabel("accuracy", fontsize=9, color=SOFT)
    return figure
