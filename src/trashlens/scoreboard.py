"""What the bundles' records say, as a table and as pictures for people."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter, ScalarFormatter

from trashlens.bundle import Bundle

__all__ = [
    "COLOURS",
    "INK",
    "LINE",
    "SOFT",
    "draw_accuracy_latency",
    "draw_confusion",
    "draw_history",
    "format_latency",
    "format_table",
    "style_axes",
]

COLOURS = {"teacher": "#7a4a78", "baseline": "#a8622a", "student": "#1f6b4d"}
INK, SOFT, LINE = "#1d2420", "#59645d", "#e2e0d8"
GREENS = LinearSegmentedColormap.from_list("greens", ["#ffffff", "#86bfa0", "#1a563f"])


def format_table(bundles: Mapping[str, Bundle], *, name: str = "test") -> str:
    """Return the Markdown table of what the bundles' records say; what was not measured is a dash."""
    measured = f"{name} accuracy (95 %) | macro F1"
    header = f"| role | network | parameters | file | {measured} | one photo | speed |"
    rows = [header, "|---|---|---:|---:|---:|---:|---:|---:|"]
    for role, bundle in bundles.items():
        test, latency = bundle.metrics.get(name), bundle.metrics.get("latency")
        accuracy = macro_f1 = time = speed = "–"
        if test:
            low, high = test["accuracy_interval"]
            accuracy = f"{test['accuracy']:.3f} ({low:.3f} to {high:.3f})"
            macro_f1 = f"{test['macro_f1']:.3f}"
        if latency:
            time, speed = f"{latency['infer_ms_p50']:.1f} ms", f"{latency['times_teacher_speed']:.1f}×"
        rows.append(
            f"| {role} | {bundle.architecture} | {bundle.parameters / 1e6:.1f} M "
            f"| {len(bundle.model) / 1e6:.1f} MB | {accuracy} | {macro_f1} | {time} | {speed} |"
        )
    return "\n".join(rows)


def format_latency(bundles: Mapping[str, Bundle]) -> str:
    """Return the Markdown table of the recorded times: how long, how steadily, and measured how."""
    rows = ["| role | median | 95th percentile | speed | measured |", "|---|---:|---:|---:|---|"]
    for role, bundle in bundles.items():
        latency = bundle.metrics.get("latency")
        if latency:
            rows.append(
                f"| {role} | {latency['infer_ms_p50']:.1f} ms | {latency['infer_ms_p95']:.1f} ms "
                f"| {latency['times_teacher_speed']:.1f}× | {latency['requests']} photos "
                f"on {latency['cpu']} |"
            )
    return "\n".join(rows)


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
    for shift, (role, bundle) in zip(shifts, measured.items(), strict=False):
        score, latency = bundle.metrics[name], bundle.metrics["latency"]
        time_ms = latency["infer_ms_p50"] * 10**shift
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
            ha="right" if role == "baseline" else "center",
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
    axes.margins(x=0.25, y=0.15)
    return figure


def draw_confusion(bundles: Mapping[str, Bundle], *, name: str = "test") -> Figure:
    """Return the confusion matrix of each bundle: photos by true class (rows) and predicted class."""
    measured = {role: bundle for role, bundle in bundles.items() if name in bundle.metrics}
    figure = Figure(figsize=(3.4 * max(len(measured), 1) + 0.8, 4.6), layout="constrained")
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
        axes.set_xlabel("predicted", color=SOFT)
        if index == 0:
            axes.set_ylabel("true", color=SOFT)
    return figure


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


def style_axes(axes: Axes) -> None:
    """Take away what is no data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.grid(color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", color=LINE, labelcolor=SOFT)
    axes.xaxis.label.set_color(SOFT)
    axes.yaxis.label.set_color(SOFT)
