"""Charts of what training knows: the split, soft targets, answers side by side, calibration."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from trashlens.classifier import Prediction
from trashlens.comparison import Comparison
from trashlens.scoreboard import COLOURS, INK, LINE, SOFT, style_axes
from trashlens.training.data import LABELS, SPLITS, Photo
from trashlens.training.evaluate import calibration_error, change_temperature, reliability
from trashlens.training.pictures.sheets import CREDIT, SPLIT_COLOURS, make_thumbnail

__all__ = ["draw_answers", "draw_calibration", "draw_soft_targets", "draw_split"]


def draw_split(manifest: Sequence[Photo]) -> Figure:
    """Return the photos of each class as a bar, parted into train, val and test."""
    counts = Counter((photo.split, photo.label) for photo in manifest)
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    axes = figure.add_subplot()
    left = np.zeros(len(LABELS))
    for split in SPLITS:
        widths = np.array([counts[split, label] for label in LABELS])
        bars = axes.barh(LABELS, widths, left=left, color=SPLIT_COLOURS[split], label=split, height=0.7)
        ink = INK if split == "val" else "white"
        axes.bar_label(bars, label_type="center", color=ink, fontsize=8)
        left += widths
    style_axes(axes)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.invert_yaxis()
    axes.legend(frameon=False, ncols=3, loc="lower right", labelcolor=SOFT)
    return figure


def draw_soft_targets(
    photo: bytes,
    confidences: Mapping[str, float],
    *,
    fitted: float,
    temperatures: Sequence[float] = (1.0, 3.0),
) -> Figure:
    """Return the photo and a teacher's answer at several temperatures.

    `confidences` are the bundle's calibrated ones, `fitted` the temperature they were calibrated with.
    """
    calibrated = np.array(list(confidences.values()))
    panels = {
        f"T = {new:g}": change_temperature(calibrated, old=fitted, new=new) for new in temperatures
    }
    return _draw_beside(photo, panels, list(confidences), [COLOURS["teacher"]] * len(panels))


def draw_answers(photo: bytes, comparison: Comparison) -> Figure:
    """Return the photo and what each network says about it, with its time, and whether it is not sure."""
    panels = {
        _name_answer(role, one): np.array(list(one.confidences.values()))
        for role, one in comparison.predictions.items()
    }
    labels = list(next(iter(comparison.predictions.values())).confidences)
    colours = [COLOURS[role] for role in comparison.predictions]
    return _draw_beside(photo, panels, labels, colours)


def _name_answer(role: str, prediction: Prediction) -> str:
    """Return whose answer it is and how long it took; below, where the app says so too, that it is not sure."""
    said = f"{role}, {prediction.infer_ms:.1f} ms"
    return said if prediction.sure else f"{said}\nnot sure"


def draw_calibration(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], *, fitted: float, bins: int = 10
) -> Figure:
    """Return reliability diagrams before and after temperature scaling (Guo et al. 2017).

    `probabilities` [N, classes] are the bundle's calibrated ones, `fitted` its temperature.
    """
    versions = {
        "as trained, T = 1": change_temperature(probabilities, old=fitted, new=1.0),
        f"calibrated, T = {fitted:.2f}": probabilities,
    }
    figure = Figure(figsize=(7.4, 3.6), layout="constrained")
    for index, (title, values) in enumerate(versions.items()):
        axes = figure.add_subplot(1, 2, index + 1)
        style_axes(axes)
        shown = reliability(labels, values, bins=bins)
        means, shares = shown["confidence"], shown["accuracy"]
        sizes = 10 + 300 * np.array(shown["photos"]) / len(labels)
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle="--")
        axes.plot(means, shares, color=COLOURS["student"], linewidth=1.5)
        axes.scatter(means, shares, s=sizes, color=COLOURS["student"], zorder=3)
        axes.set(
            xlim=(0.15, 1.03), ylim=(0, 1.06), xlabel="what it claims", ylabel="how often it is right"
        )
        axes.set_title(f"{title}:  ECE {calibration_error(labels, values):.3f}", loc="left", fontsize=10)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def _draw_beside(
    photo: bytes,
    panels: Mapping[str, NDArray[np.float64]],
    classes: Sequence[str],
    colours: Sequence[str],
) -> Figure:
    """Return a photo and, to its right, a panel of bars for each of several answers."""
    figure = Figure(figsize=(1.6 + 2.3 * len(panels), 2.1), layout="constrained")
    grid = figure.add_gridspec(1, len(panels) + 1, width_ratios=[1, *[1.3] * len(panels)])
    beside = figure.add_subplot(grid[0])
    beside.imshow(make_thumbnail(photo))
    beside.set_axis_off()
    figure.supxlabel(CREDIT, x=0.01, ha="left", fontsize=6.5, color=SOFT)
    for index, ((title, values), colour) in enumerate(zip(panels.items(), colours, strict=True)):
        axes = figure.add_subplot(grid[index + 1])
        bars = axes.barh(classes, values, color=colour, height=0.7)
        axes.bar_label(bars, [f"{value:.0%}" for value in values], padding=3, fontsize=8, color=SOFT)
        axes.set_title(title, loc="left", fontsize=10, color=colour, fontweight="bold")
        axes.set_xlim(0, 1.25)
        axes.invert_yaxis()
        _leave_labels(axes, shown=index == 0)
    return figure


def _leave_labels(axes: Axes, *, shown: bool) -> None:
    """Take away everything around bars but, where shown, their names."""
    axes.spines[:].set_visible(False)
    axes.spines["left"].set(visible=True, color=LINE)
    axes.set_xticks([])
    axes.tick_params(length=0, labelcolor=SOFT, labelleft=shown, labelsize=9)
