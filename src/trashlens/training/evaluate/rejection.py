"""Knowing when not to know: from which probability on an answer counts, and what that leaves and is worth."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from trashlens.training.evaluate.intervals import percentile_interval, resample_sums

__all__ = ["NEVER", "accepted", "choose_threshold"]

NEVER = 1.0
"""The threshold where none keeps the promise: only what softmax rounds to certainty reaches it."""


def choose_threshold(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    precision: float = 0.98,
    coverage: float = 1.0,
    confidence: float = 0.8,
) -> float:
    """Return the smallest threshold on the best class's probability that keeps accepted answers precise.

    `labels` is [N], calibrated `probabilities` [N, classes]. To answer where the best class is probable enough
    is the optimal rule for known probabilities (Chow 1970), and the usual baseline for what the network never
    learned (Hendrycks and Gimpel 2017). The energy of the logits (Liu et al. 2020) was tried instead: worse with
    three networks of three at telling right answers from wrong (by 0.02 to 0.03 AUC); at telling waste from no
    waste worse with the teacher (0.03 to 0.11), and between 0.01 worse and 0.03 better with the light networks.
    Answers get fewer as they get more precise (El-Yaniv and Wiener 2010).

    On a few hundred photos the precision seen is optimistic for the threshold that was chosen by it. As in
    Geifman and El-Yaniv (2017), a one-sided binomial bound (Clopper and Pearson 1934) on the errors among the
    accepted therefore has to pass, at `confidence`. At 0.8 and 0.98, 80 accepted photos may hold no error, 149
    one, 213 two, and a precision as wanted came out on four of five random splits of TrashNet. 0.8 is the nominal
    level, that of a threshold named in advance. Unlike theirs the bound is not corrected for the thresholds tried:
    among 327 photos of which 261 may be accepted, all with an error of exactly 2 %, some threshold passed in
    32 % of simulated draws, not in 20 %. And it takes photos of one object, which stand or fall together, for
    independent, so that they count for more than they tell.

    At most the share `coverage` of the photos is accepted, however precise the rest may be: a stricter network
    rejects more of what is no waste. Where no threshold passes, the result is `NEVER`.
    """
    best = probabilities.max(axis=1)
    order = np.argsort(-best, kind="stable")
    best, wrong = best[order], (probabilities.argmax(axis=1) != labels)[order]
    count, errors = np.arange(1, len(best) + 1), np.cumsum(wrong)
    # Above no error lies no other: the quantile of Beta(errors + 1, 0) is that of certain error.
    bound = np.where(
        errors < count, beta.ppf(confidence, errors + 1, np.maximum(count - errors, 1)), 1.0
    )
    below = np.append(best[1:], best[-1])
    # Photos of equal probability are accepted together or not at all.
    last_of_equals = np.append(best[1:] < best[:-1], True)
    passes = last_of_equals & (bound <= 1 - precision) & (count <= coverage * len(best))
    if not passes.any():
        return NEVER
    least = np.flatnonzero(passes)[-1]
    # Halfway to the next photo, so that rounding in another batch or on another machine changes nothing.
    return float((best[least] + below[least]) / 2)


def accepted(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    threshold: float | None,
    *,
    groups: NDArray[Any] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return what is left at the threshold, as plain values for JSON.

    `labels` is [N], `probabilities` [N, classes]; without a threshold every answer is accepted; `groups` [N]
    names the object on each photo. Keys: `threshold`; `photos`, N; `coverage`, the share that is accepted;
    `precision`, the share of those that is right, None where there are none. With groups, `coverage_interval`
    and `precision_interval` are 95 % percentile bootstraps over them, the latter over the resamples in which
    something is accepted, and None where nothing is. Where nothing accepted is wrong, no resample holds an error
    and the interval of the precision is a point: it does not say that there are none.
    """
    sure = probabilities.max(axis=1) >= (threshold or 0.0)
    right = probabilities.argmax(axis=1) == labels
    result = {
        "threshold": threshold,
        "photos": len(labels),
        "coverage": float(sure.mean()),
        "precision": float(right[sure].mean()) if sure.any() else None,
    }
    if groups is None:
        return result
    values = np.stack([np.ones(len(labels)), sure, sure & right], axis=1)
    photos, kept, kept_right = resample_sums(values, groups, seed=seed).T
    some = kept > 0
    return {
        **result,
        "coverage_interval": percentile_interval(kept / photos),
        "precision_interval": percentile_interval(kept_right[some] / kept[some]) if some.any() else None,
    }
