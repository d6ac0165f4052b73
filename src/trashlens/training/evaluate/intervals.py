"""95 % intervals that know that photos of the same object stand or fall together."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RESAMPLES", "name_bootstrap", "percentile_interval", "reflected_interval", "resample_sums"]

RESAMPLES = 2000


def resample_sums(
    values: NDArray[np.float64], groups: NDArray[Any], *, seed: int = 0
) -> NDArray[np.float64]:
    """Return the sums over photos, [RESAMPLES, ...], of samples that are drawn with replacement by group.

    `values` is [N, ...], what each photo adds; `groups` [N] names its object. All photos of a drawn group come
    along (the cluster bootstrap, Davison and Hinkley 1997, section 3.8), since photos of one object tell
    hardly more than one of them; the samples therefore differ in their number of photos.
    """
    names, index = np.unique(groups, return_inverse=True)
    totals = np.zeros((len(names), *values.shape[1:]))
    np.add.at(totals, index, values)
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    sums: NDArray[np.float64] = np.tensordot(drawn.astype(np.float64), totals, axes=1)
    return sums


def percentile_interval(estimates: NDArray[np.float64]) -> list[float]:
    """Return the 2.5th and 97.5th percentile of the resamples' estimates [RESAMPLES] (Efron 1979)."""
    low, high = np.percentile(estimates, [2.5, 97.5])
    return [float(low), float(high)]


def reflected_interval(
    estimate: float, estimates: NDArray[np.float64], *, least: float = 0.0
) -> list[float]:
    """Return the basic bootstrap's interval, 2 · estimate − percentiles, with no end below `least`.

    `estimates` [RESAMPLES] are the resamples'. Davison and Hinkley (1997, section 5.2): as far as the resamples
    lie above the estimate, so far does the estimate lie above the truth.
    """
    low, high = percentile_interval(estimates)
    return [max(least, 2 * estimate - high), max(least, 2 * estimate - low)]


def name_bootstrap(groups: NDArray[Any] | None, *, photos: int) -> str:
    """Return how records call the interval."""
    return (
        f"bootstrap over {photos} photos"
        if groups is None
        else f"bootstrap over {len(np.unique(groups))} groups"
    )
