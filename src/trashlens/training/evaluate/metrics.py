"""Metrics of predictions against labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from trashlens.training.evaluate.calibration import bin_photos, reliability, sum_gaps
from trashlens.training.evaluate.intervals import (
    name_bootstrap,
    percentile_interval,
    reflected_interval,
    resample_sums,
)

__all__ = ["class_scores", "rank_by_loss", "score"]


def score(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    classes: Sequence[str],
    groups: NDArray[Any] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return what the predictions are worth, as plain values for JSON.

    `labels` is [N], `probabilities` [N, classes]; `groups` [N] names the object on each photo. Keys: `photos`;
    `accuracy`; `macro_f1`; `f1` by class; `confusion` [true][predicted]; `ece`; `reliability`, of its bins.
    With groups, `accuracy_interval`, `macro_f1_interval` and `ece_interval` hold 95 % bootstraps over them;
    without, there is `accuracy_interval` alone (Wilson 1927), which takes each photo for an object of its own.
    `interval` says which. Those of accuracy and F1 are percentiles. The calibration error comes out too high on
    few photos, and on resamples of them too high once more, by which percentiles would be shifted twice: its
    interval is the basic, reflected one, 2 · ece − percentiles, clipped at 0 (Davison and Hinkley 1997, section
    5.2). It reaches further down than up, and may end below `ece` where that is hardly more than chance.
    """
    predicted = probabilities.argmax(axis=1)
    indices = np.arange(len(classes))
    cells = (labels[:, None, None] == indices[:, None]) & (predicted[:, None, None] == indices)
    bins = bin_photos(labels, probabilities)
    confusion = cells.sum(axis=0)
    f1 = class_scores(confusion)
    correct = int(confusion.trace())
    result: dict[str, Any] = {
        "photos": len(labels),
        "accuracy": correct / len(labels),
        "macro_f1": float(f1.mean()),
        "f1": dict(zip(classes, f1.tolist(), strict=True)),
        "confusion": confusion.tolist(),
        "ece": float(sum_gaps(bins.sum(axis=0))),
        "reliability": reliability(labels, probabilities),
    }
    if groups is None:
        wilson = binomtest(correct, len(labels)).proportion_ci(method="wilson")
        return {
            **result,
            "accuracy_interval": [float(wilson.low), float(wilson.high)],
            "interval": "Wilson",
        }
    tables = resample_sums(cells.astype(np.float64), groups, seed=seed)
    accuracy = tables.trace(axis1=1, axis2=2) / tables.sum(axis=(1, 2))
    estimates = {
        "accuracy": accuracy,
        "macro_f1": class_scores(tables).mean(axis=1),
    }
    intervals = {f"{key}_interval": percentile_interval(values) for key, values in estimates.items()}
    gaps = sum_gaps(resample_sums(bins, groups, seed=seed))
    intervals["ece_interval"] = reflected_interval(result["ece"], gaps)
    return {**result, **intervals, "interval": name_bootstrap(groups, photos=len(labels))}


def class_scores(confusion: NDArray[Any]) -> NDArray[np.float64]:
    """Return F1 [..., classes] from photos by true and predicted class [..., classes, classes].

    F1 is 2 · right / (true + predicted) (van Rijsbergen 1979), and 0 for a class that does not occur.
    """
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    named = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    f1: NDArray[np.float64] = 2 * right / np.maximum(named, 1)
    return f1


def rank_by_loss(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the indices [N] of the photos, those with the least probability of their own class first.

    `labels` is [N], `probabilities` [N, classes]. The order is that of the cross entropy, highest first: what
    a network got wrong with the greatest confidence comes to the front.
    """
    own = probabilities[np.arange(len(labels)), labels]
    return np.argsort(own, kind="stable")
