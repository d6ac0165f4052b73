"""Whether probabilities mean what they say: by bin, as one number, and at another temperature."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import binomtest

__all__ = ["BINS", "bin_photos", "calibration_error", "change_temperature", "reliability", "sum_gaps"]

BINS = 15
"""Bins of equal width over the winning class's probability, as Guo et al. (2017) use."""


def calibration_error(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], *, bins: int = BINS
) -> float:
    """Return the expected calibration error: mean |accuracy − confidence| over equal-width bins.

    `labels` is [N], `probabilities` [N, classes]. Each bin of the winning class's probability counts by its
    photos (Naeini et al. 2015, Guo et al. 2017).
    """
    return float(sum_gaps(bin_photos(labels, probabilities, bins=bins).sum(axis=0)))


def reliability(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], *, bins: int = BINS
) -> dict[str, Any]:
    """Return what a reliability diagram shows, plain values for JSON.

    `labels` is [N], `probabilities` [N, classes]. Keys: `bins`, of equal width over 0..1; and lists with an entry
    for each bin that is not empty: `confidence` and `accuracy`, means over the bin; `photos` in it; `interval`,
    the accuracy's own at 95 % (Wilson 1927).
    """
    sums = bin_photos(labels, probabilities, bins=bins).sum(axis=0)
    photos, confidence, correct = sums[:, sums[0] > 0]
    tests = [binomtest(int(right), int(count)) for right, count in zip(correct, photos, strict=True)]
    intervals = [test.proportion_ci(method="wilson") for test in tests]
    return {
        "bins": bins,
        "confidence": (confidence / photos).tolist(),
        "accuracy": (correct / photos).tolist(),
        "photos": photos.astype(int).tolist(),
        "interval": [[float(one.low), float(one.high)] for one in intervals],
    }


def bin_photos(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], *, bins: int = BINS
) -> NDArray[np.float64]:
    """Return what each photo adds to the sums of its bin, [N, 3, bins]: photos, confidence, right answers."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    values = np.stack([np.ones_like(confidence), confidence, correct], axis=1)
    parts = np.zeros((len(labels), 3, bins))
    parts[np.arange(len(labels)), :, index] = values
    return parts


def sum_gaps(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the expected calibration error [...] of the sums over photos of `bin_photos`, [..., 3, bins]."""
    photos, confidence, correct = np.moveaxis(sums, -2, 0)
    # A bin's photos times its gap is the difference of its sums, so that an empty one adds nothing.
    gaps: NDArray[np.float64] = np.abs(correct - confidence).sum(axis=-1) / photos.sum(axis=-1)
    return gaps


def change_temperature(
    probabilities: NDArray[np.float64], *, old: float, new: float
) -> NDArray[np.float64]:
    """Return softmax(logits / new) for probabilities [..., classes] that are softmax(logits / old).

    Logits need not be known: they are `old` · log p up to a constant, which softmax ignores.
    """
    tiny = np.finfo(np.float64).tiny
    softened: NDArray[np.float64] = softmax(old / new * np.log(np.maximum(probabilities, tiny)), axis=-1)
    return softened
