"""A grid as a picture: accuracy and time of a run against how much of the network is frozen."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator

from trashlens.scoreboard import INK, SOFT, style_axes
from trashlens.training.study.cells import CellResult
from trashlens.training.study.config import Study
from trashlens.training.study.grid import name_share
from trashlens.training.study.picture import PALETTE

__all__ = ["draw_grid"]

DODGE = 0.06
"""Distance of the networks' columns at one share, of the distance of two shares."""
ROW_HEIGHT = 3.9


def draw_grid(study: Study, results: Sequence[CellResult]) -> Figure:
    """Return a row of two panels for each data set: test accuracy, and minutes of processor time of a run.

    Large dots are means over the seeds, small ones runs, lines through a mean 95 % intervals over the objects on
    the test photos. Where no processor time is known, wall time is drawn.
    """
    datasets = list(dict.fromkeys(result.cell.dataset for result in results))
    networks = list(dict.fromkeys(result.cell.network for result in results))
    colours = {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(networks)}
    figure = Figure(
        figsize=(10, ROW_HEIGHT * len(datasets)), layout=ConstrainedLayoutEngine(wspace=0.06)
    )
    panels = figure.subplots(len(datasets), 2, squeeze=False, width_ratios=(1.3, 1))
    for (left, right), dataset in zip(panels, datasets, strict=True):
        for axes in (left, right):
            _style(axes, study)
        for index, network in enumerate(networks):
            here = [result for result in results if result.cell[:2] == (dataset, network)]
            shift = (index - (len(networks) - 1) / 2) * DODGE
            _draw_accuracy(left, study, here, shift, colour=colours[network])
            _draw_time(right, study, here, colour=colours[network])
        left.set_title(dataset, loc="left", color=INK)
        left.set_ylabel("test accuracy (95 % over objects)")
        left.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
        left.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g} %"))
        known = any(result.cpu_s for result in results)
        right.set_ylabel(f"{'processor' if known else 'wall'} time of a run, minutes")
        right.set_ylim(bottom=0)
        if right.lines:
            right.legend(frameon=False, labelcolor="linecolor", loc="upper right")
    return figure


def _style(axes: Axes, study: Study) -> None:
    assert study.grid is not None
    style_axes(axes)
    axes.grid(axis="x", visible=False)
    shares = study.grid.frozen_shares
    axes.set_xticks(range(len(shares)), [name_share(share) for share in shares])
    axes.set_xlim(-0.4, len(shares) - 0.6)
    axes.set_xlabel("top-level parts that are frozen")


def _places(study: Study, here: Sequence[CellResult]) -> list[int]:
    assert study.grid is not None
    return [study.grid.frozen_shares.index(result.cell.share) for result in here]


def _draw_accuracy(
    axes: Axes, study: Study, here: Sequence[CellResult], shift: float, *, colour: str
) -> None:
    x = [place + shift for place in _places(study, here)]
    means = [result.accuracy for result in here]
    axes.plot(x, means, color=colour, linewidth=1.2, alpha=0.5)
    axes.vlines(x, [one.low for one in here], [one.high for one in here], color=colour, linewidth=2)
    axes.scatter(x, means, s=55, color=colour, zorder=3)
    for place, result in zip(x, here, strict=True):
        runs = result.accuracies
        axes.scatter([place + DODGE] * len(runs), runs, s=11, alpha=0.6, color=colour, linewidth=0)
        axes.annotate(
            f"{100 * result.accuracy:.1f}",
            (place, result.high),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=SOFT,
        )


def _draw_time(axes: Axes, study: Study, here: Sequence[CellResult], *, colour: str) -> None:
    """Draw the line of a network's times, named in the legend."""
    known = [
        (place, (result.cpu_s or result.wall_s or 0) / 60)
        for place, result in zip(_places(study, here), here, strict=True)
        if result.cpu_s or result.wall_s
    ]
    if not known:
        return
    x, minutes = zip(*known, strict=True)
    label = here[0].cell.network
    axes.plot(x, minutes, color=colour, marker="o", markersize=7, linewidth=1.2, label=label)
