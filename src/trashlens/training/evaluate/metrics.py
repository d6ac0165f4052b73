"""Metrics of predictions against labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, f1_score

__all__ = ["calibration_error", "change_temperature", "rank_by_loss", "score"]


def score(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], *, classes: Sequence[str]
) -> dict[str, Any]:
    """Return what the predictions are worth, as plain values for JSON.

    `labels` is [N], `probabilities` [N, classes]. Keys: `photos`; `accuracy` with `accuracy_interval`
    (95 %, Wilson 1927); `macro_f1`; `f1` by class; `confusion` [true][predicted]; `ece`.
    """
    predicted = probabilities.argmax(axis=1)
    correct = int((predicted == labels).sum())
    interval = binomtest(correct, len(labels)).proportion_ci(method="wilson")
    indices = list(range(len(classes)))
    f1 = f1_score(labels, predicted, labels=indices, average=None, zero_division=0)
    return {
        "photos": len(labels),
        "accuracy": correct / len(labels),
        "accuracy_interval": [float(interval.low), float(interval.high)],
        "macro_f1": float(f1.mean()),
        "f1": dict(zip(classes, f1.tolist(), strict=True)),
        "confusion": confusion_matrix(labels, predicted, labels=indices).tolist(),
        "ece": calibration_error(labels, probabilities),
    }


def calibration_error(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], *, bins: int = 15
) -> float:
    """Return the expected calibration error: mean |accuracy − confidence| over equal-width bins.

    Each bin of the winning class's probability counts by its photos (Naeini et al. 2015, Guo et al. 2017).
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(correct[index == bin_].mean() - confidence[index == bin_].mean()) * (index == bin_).mean()
        for bin_ in np.unique(index)
    ]
    return float(sum(gaps))


def rank_by_loss(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the indices [N] of the photos, those with the least probability of their own class first.

    `labels` is [N], `probabilities` [N, classes]. The order is that of the cross entropy, highest first: what
    a network got wrong with the greatest confidence comes to the front.
    """
    own = probabilities[np.arange(len(labels)), labels]
    return np.argsort(own, kind="stable")


def change_temperature(
    probabilities: NDArray[np.float64], *, old: float, new: float
) -> NDArray[np.float64]:
    """Return softmax(logits / new) for probabilities [..., classes] that are softmax(logits / old).

    Logits need not be known: they are `old` · log p up to a constant, which softmax ignores.
    """
    tiny = np.finfo(np.float64).tiny
    softened: NDArray[np.float64] = softmax(old / new * np.log(np.maximum(probabilities, tiny)), axis=-1)
    return softened
