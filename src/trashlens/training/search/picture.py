"""A search as a picture: F1 against time with the front, and how the trials went."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from trashlens.scoreboard import INK, LINE, SOFT, style_axes
from trashlens.training.search.config import Space
from trashlens.training.search.results import Outcome

__all__ = ["draw_search", "trace_front"]

PALETTE = ("#1f6b4d", "#2f6f9f", "#b8892b", "#8a3b3b", "#5c5fa8", "#3f8c8c", "#a0527a", "#5a8f3c")
"""Colours of the networks, in the order in which they were first drawn."""
ROOM = 0.12
"""Room at both sides of the times, powers of ten."""


def draw_search(space: Space, outcomes: Sequence[Outcome]) -> Figure:
    """Return two panels: macro F1 against the time of one photo, and macro F1 after each epoch.

    Dots are complete trials, ringed on the front; crosses are stopped ones, at the best F1 they reached. Colours
    are networks.
    """
    shown = [one for one in outcomes if one.time_ratio is not None and one.curve]
    colours = _choose_colours(shown)
    figure = Figure(figsize=(10, 4.4), layout=ConstrainedLayoutEngine(wspace=0.06))
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1), sharey=True)
    _draw_front(left, space, shown, colours)
    _draw_curves(right, shown, colours)
    if colours:
        handles = [
            left.scatter([], [], color=colour, label=name, s=34) for name, colour in colours.items()
        ]
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(4, len(handles)),
            frameon=False,
            labelcolor=INK,
            fontsize=9,
            handletextpad=0.2,
        )
    return figure


def trace_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the corners of the staircase under which no trial lies: (time, F1) from the fastest to the best."""
    corners: list[tuple[float, float]] = []
    for time, f1 in sorted(points, key=lambda point: (point[0], -point[1])):
        if corners and f1 <= corners[-1][1]:
            continue
        if corners:
            corners.append((time, corners[-1][1]))
        corners.append((time, f1))
    return corners


def _choose_colours(shown: Sequence[Outcome]) -> dict[str, str]:
    """Return a colour for each network, whatever its input size."""
    names = dict.fromkeys(_architecture(one) for one in shown)
    return {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(names)}


def _architecture(outcome: Outcome) -> str:
    return outcome.network.rpartition(", ")[0]


def _draw_front(axes: Axes, space: Space, shown: Sequence[Outcome], colours: Mapping[str, str]) -> None:
    style_axes(axes)
    axes.set_xscale("log")
    complete = [one for one in shown if one.macro_f1 is not None]
    corners = trace_front([(one.time_ratio or 0, one.macro_f1 or 0) for one in complete])
    times = [one.time_ratio or 0 for one in shown]
    if corners:
        end = (max(times) * 10**ROOM, corners[-1][1])
        axes.plot(*np.array([*corners, end]).T, color=SOFT, linewidth=1, zorder=1)
    for one in shown:
        colour, time = colours[_architecture(one)], one.time_ratio or 0
        best = one.macro_f1 if one.macro_f1 is not None else max(one.curve)
        options: dict[str, Any] = {"color": colour, "zorder": 3 if one.front else 2}
        if one.state == "complete":
            edge = INK if one.front else "white"
            axes.scatter(time, best, s=62 if one.front else 34, edgecolor=edge, **options)
        else:
            axes.scatter(time, best, s=26, marker="x", alpha=0.6, linewidth=1.2, **options)
        if one.front and one.same_as is None:
            axes.annotate(
                str(one.trial),
                (time, best),
                xytext=(-6, 6),
                textcoords="offset points",
                ha="right",
                fontsize=8,
                color=INK,
            )
    _label_times(axes, space, shown)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    axes.set_ylabel("macro F1, validation")
    axes.set_title("number: trial on the front    ×: stopped early", fontsize=8, color=SOFT, loc="left")


def _label_times(axes: Axes, space: Space, shown: Sequence[Outcome]) -> None:
    times = [one.time_ratio or 0 for one in shown]
    wide = bool(times) and max(times) > 5 * min(times)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if wide else (1, 1.5, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}×"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    label = f"time of one photo, {Path(space.recipe).stem}'s own network = 1"
    known = [one for one in shown if one.reference_ms is not None]
    if known:
        axes.set_xlim(min(times) / 10**ROOM, max(times) * 10**ROOM)
        reference_ms = float(np.median([one.reference_ms or 0 for one in known]))
        label = f"{label} ({reference_ms:.2g} ms)"
    axes.set_xlabel(label)


def _draw_curves(axes: Axes, shown: Sequence[Outcome], colours: Mapping[str, str]) -> None:
    style_axes(axes)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0, labelleft=False)
    for one in shown:
        if one.same_as is not None:
            continue
        colour, epochs = colours[_architecture(one)], range(1, len(one.curve) + 1)
        width = 1.8 if one.front else 0.9
        axes.plot(epochs, one.curve, color=colour, linewidth=width, alpha=0.9 if one.front else 0.55)
        if one.state == "stopped":
            axes.scatter(len(one.curve), one.curve[-1], color=colour, marker="x", s=26, linewidth=1.2)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_title("macro F1 after each epoch; thick: on the front", fontsize=8, color=SOFT, loc="left")
    axes.grid(color=LINE, linewidth=0.6)
