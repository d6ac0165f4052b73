"""What the bundles' records say, as pictures for people."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter, ScalarFormatter

from trashlens.bundle import Bundle
from trashlens.scoreboard.style import COLOURS, GREENS, INK, SOFT, style_axes

__all__ = [
    "draw_accuracy_latency",
    "draw_confusion",
    "draw_history",
    "draw_pictures",
    "draw_reliability",
]


def draw_accuracy_latency(bundles: Mapping[str, Bundle], *, name: str = "test") -> Figure:
    """Return the picture of accuracy, with its 95 % interval, against the time of one photo.

    A line to the right reaches from the median time to the 95th percentile; a dot's area is the file's size.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    style_axes(axes)
    measured = {
        role: bundle for role, bundle in bundles.items() if {name, "latency"} <= set(bundle.metrics)
    }
    # Networks of one architecture take the same time: their dots stand side by side not on each other.
    shifts = np.linspace(-0.015, 0.015, max(len(measured), 2))
    times_ms = [
        bundle.metrics["latency"]["infer_ms_p50"] * 10**shift
        for shift, bundle in zip(shifts, measured.values(), strict=False)
    ]
    for shift, time_ms, (role, bundle) in zip(shifts, times_ms, measured.items(), strict=False):
        score, latency = bundle.metrics[name], bundle.metrics["latency"]
        accuracy, (low, high) = score["accuracy"], score["accuracy_interval"]
        colour = COLOURS[role]
        axes.vlines(time_ms, low, high, color=colour, linewidth=2)
        axes.hlines(
            accuracy, time_ms, latency["infer_ms_p95"] * 10**shift, color=colour, linewidth=1, alpha=0.6
        )
        axes.scatter(time_ms, accuracy, s=len(bundle.model) / 1e5, color=colour, zorder=3)
        axes.annotate(
            f"{role}  {accuracy:.1%}",
            (time_ms, high),
            xytext=(0, 5),
            textcoords="offset points",
            ha=_choose_side(time_ms, times_ms),
            color=colour,
            fontweight="bold",
        )
    axes.set_xscale("log")
    axes.set_xlabel("time of one photo, ms (median, line to the 95th percentile)")
    axes.set_ylabel(f"{name} accuracy (95 % interval)")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.margins(x=0.35, y=0.15)
    return figure


def _choose_side(time_ms: float, times_ms: Sequence[float]) -> str:
    """Return how to align a label above its line so that it does not run into a neighbour's."""
    near = [other for other in times_ms if other != time_ms and abs(np.log(other / time_ms)) < 0.5]
    if not near:
        return "center"
    return "right" if time_ms < min(near) else "left"


def draw_confusion(bundles: Mapping[str, Bundle], *, name: str = "test") -> Figure:
    """Return the confusion matrix of each bundle: photos by true class (rows) and predicted class."""
    measured = {role: bundle for role, bundle in bundles.items() if name in bundle.metrics}
    figure = Figure(figsize=(3.4 * max(len(measured), 1) + 0.8, 4.3), layout="constrained")
    for index, (role, bundle) in enumerate(measured.items()):
        axes = figure.add_subplot(1, len(measured), index + 1)
        counts = np.array(bundle.metrics[name]["confusion"])
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap=GREENS, vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                ink = "white" if shares[row, column] > 0.6 else INK
                axes.text(column, row, str(count), ha="center", va="center", color=ink, fontsize=9)
        ticks = range(len(bundle.labels))
        axes.set_xticks(ticks, bundle.labels, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(ticks, bundle.labels if index == 0 else [""] * len(ticks))
        axes.tick_params(length=0, labelcolor=SOFT)
        axes.spines[:].set_visible(False)
        axes.set_title(role, color=COLOURS[role], fontweight="bold")
        axes.set_xlabel("predicted class", color=SOFT)
        if index == 0:
            axes.set_ylabel(f"true class of the {name} photos", color=SOFT)
    return figure


def draw_reliability(bundles: Mapping[str, Bundle], *, name: str = "test") -> Figure:
    """Return each bundle's reliability diagram: right answers by what was claimed (Guo et al. 2017).

    A dot is a bin of confidence, its area that of the bin's photos, the line through it the 95 % interval of
    its accuracy; below, the photos are counted. Bins without a photo stay empty, bundles without a record are
    left out.
    """
    measured = {
        role: bundle
        for role, bundle in bundles.items()
        if "reliability" in (bundle.metrics.get(name) or {})
    }
    figure = Figure(figsize=(3.2 * max(len(measured), 1) + 0.6, 4.4), layout="constrained")
    grid = figure.add_gridspec(2, max(len(measured), 1), height_ratios=[4, 1])
    for index, (role, bundle) in enumerate(measured.items()):
        score = bundle.metrics[name]
        above = figure.add_subplot(grid[0, index])
        below = figure.add_subplot(grid[1, index])
        _draw_bins(above, below, score["reliability"], colour=COLOURS[role])
        above.set_title(role, loc="left", color=COLOURS[role], fontweight="bold")
        above.set_title(f"ECE {score['ece']:.3f}", loc="right", color=INK, fontsize=10)
        above.tick_params(labelleft=index == 0)
        if index == 0:
            above.set_ylabel(f"{name} accuracy (95 % interval)")
            below.set_ylabel("photos")
    figure.align_ylabels()
    return figure


def _draw_bins(above: Axes, below: Axes, bins: Mapping[str, Any], *, colour: str) -> None:
    """Draw a network's bins: accuracy against confidence above, and how many photos they hold below."""
    confidence, photos = np.array(bins["confidence"]), np.array(bins["photos"])
    for axes in (above, below):
        style_axes(axes)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    above.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle="--")
    above.vlines(confidence, *np.transpose(bins["interval"]), color=colour, linewidth=1.2, alpha=0.6)
    sizes = 12 + 150 * photos / photos.sum()
    above.scatter(confidence, bins["accuracy"], s=sizes, color=colour, zorder=3, clip_on=False)
    for x, y, side, words in ((0.03, 0.94, "left", "too modest"), (0.97, 0.03, "right", "too sure")):
        above.text(x, y, words, ha=side, color=SOFT, fontsize=8, style="italic")
    above.set_ylim(0, 1)
    above.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    above.tick_params(labelbottom=False)
    count = bins["bins"]
    centres = (np.minimum((confidence * count).astype(int), count - 1) + 0.5) / count
    bars = below.bar(centres, photos, width=0.85 / count, color=colour)
    below.bar_label(bars, fontsize=6.5, color=SOFT, padding=1)
    below.grid(visible=False)
    below.set_yticks([])
    below.margins(y=0.25)
    below.set_xlabel("confidence of the answer")


def draw_history(bundles: Mapping[str, Bundle]) -> Figure:
    """Return the training curves: loss and validation accuracy by epoch, a ring at the epoch that was kept.

    Losses of different objectives cannot be compared in height, only in shape.
    """
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    panels = {"train/loss": "training loss", "val/accuracy": "validation accuracy"}
    for index, (key, title) in enumerate(panels.items()):
        axes = figure.add_subplot(1, 2, index + 1)
        style_axes(axes)
        for role, bundle in bundles.items():
            history = bundle.provenance.get("history") or []
            epochs = [record["epoch"] for record in history]
            values = [record[key] for record in history]
            axes.plot(epochs, values, color=COLOURS[role], linewidth=2, label=role)
            kept = int(bundle.provenance.get("epoch") or 0)
            if kept in epochs and key == "val/accuracy":
                axes.scatter(
                    kept,
                    values[epochs.index(kept)],
                    s=60,
                    facecolor="white",
                    edgecolor=COLOURS[role],
                    zorder=3,
                )
        axes.set_title(title, loc="left", color=INK)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if key == "val/accuracy":
            # No ticks at half percents, which would be written as whole ones.
            axes.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.legend(frameon=False, labelcolor="linecolor")
    return figure


def draw_pictures(bundles: Mapping[str, Bundle], *, name: str = "test") -> dict[str, Figure]:
    """Return by name the pictures of what was measured on the split `name`, where there is something to show."""
    drawings = {
        "accuracy-latency": draw_accuracy_latency(bundles, name=name),
        "confusion": draw_confusion(bundles, name=name),
        "reliability": draw_reliability(bundles, name=name),
    }
    return {
        key: figure for key, figure in drawings.items() if any(axes.has_data() for axes in figure.axes)
    }
