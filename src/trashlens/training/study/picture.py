"""A study as a picture: accuracy against the time of one photo, and the gains over the baseline."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, ScalarFormatter
from matplotlib.transforms import offset_copy

from trashlens.scoreboard import COLOURS, INK, LINE, SOFT, style_axes
from trashlens.training.study.config import Study
from trashlens.training.study.latency import Latencies
from trashlens.training.study.records import RunRecord
from trashlens.training.study.statistics import Gain, overlap_of, spread_of
from trashlens.training.study.table import format_p

__all__ = ["draw_study"]

PALETTE = ("#1f6b4d", "#2f6f9f", "#b8892b", "#8a3b3b", "#5a8f3c", "#5c5fa8", "#3f8c8c", "#a0527a")
"""Colours of the variants that are compared with the baseline, in their order."""
DODGE = 0.035
"""Distance of the columns of networks that take the same time, powers of ten of a millisecond."""
MARGIN = 0.35
"""Room at both sides of the times, powers of ten."""
DOT: dict[str, Any] = {"s": 11, "alpha": 0.5, "linewidth": 0}
MEAN: dict[str, Any] = {"s": 60, "zorder": 3}
LEAST = 3
"""Runs, or pairs, from which on an interval is drawn."""


def draw_study(
    study: Study,
    grouped: Mapping[str, Sequence[RunRecord]],
    gains: Sequence[Gain],
    latencies: Latencies,
) -> Figure:
    """Return two panels: test accuracy against the median time of one photo, and the paired gains.

    Small dots are runs, large ones means, lines 95 % t intervals over seeds or folds, from three runs on: the
    interval of two is so wide that it would set the scale. Networks that take the same time share a band and
    stand side by side in it.
    """
    colours = _choose_colours(study, grouped)
    figure = Figure(figsize=(10, 4.2), layout=ConstrainedLayoutEngine(wspace=0.06))
    left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
    _draw_accuracy(left, study, grouped, latencies, colours)
    _draw_gains(right, study, gains, colours)
    return figure


def _choose_colours(study: Study, grouped: Mapping[str, Sequence[RunRecord]]) -> dict[str, str]:
    """Return a colour for each variant; more variants than colours begin again."""
    colours, used = {}, 0
    for variant, records in grouped.items():
        if variant == study.baseline:
            colours[variant] = COLOURS["baseline"]
        elif records[0].recipe["role"] == "teacher":
            colours[variant] = COLOURS["teacher"]
        else:
            colours[variant] = PALETTE[used % len(PALETTE)]
            used += 1
    return colours


def _draw_accuracy(
    axes: Axes,
    study: Study,
    grouped: Mapping[str, Sequence[RunRecord]],
    latencies: Latencies,
    colours: Mapping[str, str],
) -> None:
    style_axes(axes)
    axes.grid(axis="x", visible=False)
    axes.set_xscale("log")
    for variant, time_ms in _place_columns(axes, grouped, latencies).items():
        colour = colours[variant]
        accuracies = [record.test["accuracy"] for record in grouped[variant]]
        spread = spread_of(accuracies, overlap=overlap_of(study, grouped[variant]))
        aside_ms = time_ms * 10 ** (DODGE / 3)
        axes.scatter([aside_ms] * len(spread.values), spread.values, color=colour, **DOT)
        if spread.low is not None and spread.high is not None and len(spread.values) >= LEAST:
            axes.vlines(time_ms, spread.low, spread.high, color=colour, linewidth=2)
        label = f"{variant}  {100 * spread.mean:.1f} %"
        axes.scatter(time_ms, spread.mean, color=colour, label=label, **MEAN)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g} %"))
    axes.set_xlabel("time of one photo, ms (median; equal times side by side)")
    axes.set_ylabel(f"test accuracy (95 % over {study.unit}s)")
    if axes.collections:  # else no network's time is known
        axes.legend(frameon=False, labelcolor="linecolor", loc="best", handletextpad=0.2)


def _place_columns(
    axes: Axes, grouped: Mapping[str, Sequence[RunRecord]], latencies: Latencies
) -> dict[str, float]:
    """Draw a band for each time and return each variant's abscissa in it, ms."""
    bands: dict[float, list[str]] = {}
    for variant, records in grouped.items():
        time_ms = latencies.median_ms(records[0])
        if time_ms is not None:
            bands.setdefault(time_ms, []).append(variant)
    places: dict[str, float] = {}
    for time_ms, variants in bands.items():
        shifts = (np.arange(len(variants)) - (len(variants) - 1) / 2) * DODGE
        columns = (time_ms * 10**shifts).tolist()
        places |= dict(zip(variants, columns, strict=True))
        room = 10 ** (0.8 * DODGE)
        axes.axvspan(columns[0] / room, columns[-1] * room, color=LINE, alpha=0.45, linewidth=0)
        axes.annotate(
            f"{time_ms:.3g} ms",
            (time_ms, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=SOFT,
        )
    if bands:
        # A legend needs more room to the left than a single band leaves.
        room = 10 ** (MARGIN if len(bands) > 1 else 1.6 * MARGIN)
        axes.set_xlim(min(bands) / room, max(bands) * room)
    return places


def _draw_gains(axes: Axes, study: Study, gains: Sequence[Gain], colours: Mapping[str, str]) -> None:
    style_axes(axes)
    axes.axvline(0, color=COLOURS["baseline"], linewidth=1.2)
    below = offset_copy(axes.transData, axes.get_figure(root=True), y=-8, units="points")
    for row, gain in enumerate(gains):
        colour = colours[gain.variant]
        points = 100 * np.array(gain.differences)
        axes.scatter(points, [row] * len(points), color=colour, transform=below, **DOT)
        axes.update_datalim([(point, row) for point in points])  # another transform sets no limits
        axes.scatter(100 * gain.mean, row, color=colour, **MEAN)
        if gain.evidence is None or len(points) < LEAST:
            continue
        low, high = 100 * gain.evidence.low, 100 * gain.evidence.high
        axes.hlines(row, low, high, color=colour, linewidth=2)
        axes.annotate(
            f"p (Holm) = {format_p(gain.evidence.p_holm)}",
            (100 * gain.mean, row),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=SOFT,
        )
    axes.set_yticks(range(len(gains)), [gain.variant for gain in gains])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(len(gains) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(_format_tick))
    axes.set_xlabel(f"gain over {study.baseline}, points (95 %, paired by {study.unit})")


def _format_tick(points: float, _: int) -> str:
    return f"{points:+.3g}".replace("-", "−") if abs(points) > 1e-9 else "0"
