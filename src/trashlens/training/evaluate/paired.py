"""One network against another on the same photos."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from trashlens.training.evaluate.intervals import name_bootstrap, percentile_interval, resample_sums

__all__ = ["compare_paired"]


def compare_paired(
    labels: NDArray[np.int64],
    other: NDArray[np.float64],
    own: NDArray[np.float64],
    *,
    groups: NDArray[Any] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return by how much a network is better than another one, as plain values for its record (JSON).

    `labels` is [N]; `other` and `own`, the network's, are probabilities [N, classes] for the same photos;
    `groups` [N] names the object on each. Keys: `photos`; `difference`, its own accuracy minus the other's, with
    `difference_interval` (95 %, percentile bootstrap over groups, or over photos where there are none), which
    `interval` says; `only_other` and `only_own`, the photos that one of them alone names rightly; `p`,
    McNemar's exact two-sided p over those (McNemar 1947). The p takes photos of one object for independent, so
    that beside groups the interval is the stricter witness.
    """
    right = [network.argmax(axis=1) == labels for network in (other, own)]
    gains = right[1].astype(np.float64) - right[0]
    members = np.arange(len(labels)) if groups is None else groups
    sums = resample_sums(np.stack([gains, np.ones_like(gains)], axis=1), members, seed=seed)
    only_other, only_own = int((gains < 0).sum()), int((gains > 0).sum())
    discordant = only_other + only_own
    return {
        "photos": len(labels),
        "difference": float(gains.mean()),
        "difference_interval": percentile_interval(sums[:, 0] / sums[:, 1]),
        "interval": name_bootstrap(groups, photos=len(labels)),
        "only_other": only_other,
        "only_own": only_own,
        # Where they never differ, nothing speaks against their being equal.
        "p": float(binomtest(only_own, discordant).pvalue) if discordant else 1.0,
    }
