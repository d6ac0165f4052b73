"""What the runs of a study say: means with their spread, and gains over the baseline, paired."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from trashlens.training.evaluate.intervals import percentile_interval, resample_sums
from trashlens.training.study.config import Study
from trashlens.training.study.records import RunRecord

__all__ = [
    "Evidence",
    "Gain",
    "Spread",
    "compare_to_baseline",
    "group_records",
    "holm",
    "overlap_of",
    "spread_of",
]

TINY = 1e-12
"""Accuracies that differ by less differ by rounding; one photo is far more."""
SIGN_FLIPS_MAX = 2**16
"""Above so many sign flips they are drawn instead of counted out."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Mean and deviation of a metric over the runs of a variant."""

    mean: float
    """Mean."""
    deviation: float | None
    """Sample standard deviation (n - 1); None for a single run."""
    low: float | None
    """Lower end of the mean's 95 % t interval; None for a single run."""
    high: float | None
    """Upper end."""
    values: tuple[float, ...]
    """One a run, by seed or fold."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What at least two pairs say about chance."""

    low: float
    """Lower end of the mean difference's 95 % t interval: what other seeds, or folds, would give."""
    high: float
    """Upper end."""
    p: float
    """Two-sided, of the paired t test; of the sign flip test where all pairs differ alike, which leaves t no
    deviation to divide by."""
    p_flips: float | None
    """Two-sided, of the exact sign flip test (Fisher 1935): the share of the 2^n ways to swap the members of
    pairs that differ as much. Not less than 2 / 2^n. None over folds, whose pairs are not independent."""
    p_holm: float
    """`p` after Holm's correction (1979) over all variants of the study that are compared."""


@dataclass(frozen=True, kw_only=True)
class Gain:
    """A variant's test accuracy less the baseline's, paired by seed or fold; accuracies are shares."""

    variant: str
    """Which variant."""
    differences: tuple[float, ...]
    """One a pair, by seed or fold."""
    mean: float
    """Mean of the differences."""
    objects_low: float
    """Lower end of the mean's 95 % percentile bootstrap over the objects on the test photos: what other photos
    would give."""
    objects_high: float
    """Upper end."""
    evidence: Evidence | None
    """None for a single pair."""


def group_records(study: Study, records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Return the records of each of the study's variants that has some, in order of seed or fold."""
    known = {(record.variant, record.number(study.unit)): record for record in records}
    grouped = {
        variant: [
            known[variant, number] for number in study.numbers_of(variant) if (variant, number) in known
        ]
        for variant in study.variants
    }
    return {variant: found for variant, found in grouped.items() if found}


def spread_of(values: Sequence[float], *, overlap: float = 0.0) -> Spread:
    """Return mean, deviation and 95 % t interval of the values, at least one; see `overlap_of`."""
    array, mean = np.asarray(values, np.float64), float(np.mean(values))
    if len(array) == 1:
        return Spread(mean=mean, deviation=None, low=None, high=None, values=tuple(values))
    deviation = float(array.std(ddof=1))
    half = float(stats.t.ppf(0.975, len(array) - 1)) * deviation * (1 / len(array) + overlap) ** 0.5
    return Spread(
        mean=mean, deviation=deviation, low=mean - half, high=mean + half, values=tuple(values)
    )


def overlap_of(study: Study, records: Sequence[RunRecord]) -> float:
    """Return what the variance of a mean over runs counts beyond 1/n: 0 over seeds.

    On folds the training photos overlap, so that the runs are not independent: it is the mean ratio of test
    photos to training photos (Nadeau and Bengio 2003).
    """
    if not study.folds:
        return 0.0
    ratios = [record.test["photos"] / record.data["photos"]["train"] for record in records]
    return float(np.mean(ratios))


def compare_to_baseline(
    study: Study, grouped: Mapping[str, Sequence[RunRecord]], groups: Mapping[str, str]
) -> list[Gain]:
    """Return the gain of each variant that has runs in common with the baseline.

    `groups` names the object on each photo by path; a photo without one is an object of its own. A teacher, the
    heavier network, is not compared. The variance of the differences counts what folds share, see `overlap_of`.
    """
    baseline = {record.number(study.unit): record for record in grouped.get(study.baseline, ())}
    gains: list[Gain] = []
    for variant, records in grouped.items():
        pairs = [
            (baseline[record.number(study.unit)], record)
            for record in records
            if record.number(study.unit) in baseline
        ]
        if variant == study.baseline or records[0].recipe["role"] == "teacher" or not pairs:
            continue
        differences = np.array([other.test["accuracy"] - one.test["accuracy"] for one, other in pairs])
        low, high = _resample_objects(pairs, groups)
        gains.append(
            Gain(
                variant=variant,
                differences=tuple(differences.tolist()),
                mean=float(differences.mean()),
                objects_low=low,
                objects_high=high,
                evidence=_weigh(study, differences, overlap_of(study, records)),
            )
        )
    return _correct(gains)


def holm(p: Sequence[float]) -> list[float]:
    """Return the p values corrected for their number (Holm 1979), in the order given."""
    corrected, highest = [0.0] * len(p), 0.0
    for rank, index in enumerate(np.argsort(p, kind="stable")):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = highest
    return corrected


def _weigh(study: Study, differences: NDArray[np.float64], overlap: float) -> Evidence | None:
    """Return what paired differences show; `overlap` is what their variance counts beyond 1/n."""
    n, mean = len(differences), float(differences.mean())
    if n == 1:
        return None
    error = float(differences.std(ddof=1)) * (1 / n + overlap) ** 0.5
    half = float(stats.t.ppf(0.975, n - 1)) * error
    flips = _flip_signs(differences)
    p = flips if error < TINY else float(2 * stats.t.sf(abs(mean) / error, n - 1))
    return Evidence(
        low=mean - half, high=mean + half, p=p, p_flips=None if study.folds else flips, p_holm=p
    )


def _flip_signs(differences: NDArray[np.float64]) -> float:
    """Return the two-sided p of the sign flip test, exact while there are few pairs."""
    if 2 ** len(differences) <= SIGN_FLIPS_MAX:
        # scipy counts only ties to 14 digits, which the sums of accuracies miss by rounding.
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(differences))))
        means = np.abs(signs @ differences) / len(differences)
        return float(np.mean(means >= abs(differences.mean()) - TINY))
    result = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=SIGN_FLIPS_MAX,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


def _resample_objects(
    pairs: Sequence[tuple[RunRecord, RunRecord]], groups: Mapping[str, str]
) -> list[float]:
    """Return the 95 % bootstrap interval, over objects, of the gain that a photo has at the mean of its pairs."""
    gained: dict[str, list[int]] = {}
    for pair in pairs:
        for one, other in zip(*(record.answers for record in pair), strict=True):
            gain = (other.predicted == other.label) - (one.predicted == one.label)
            gained.setdefault(one.path, []).append(gain)
    gains = np.array([np.mean(values) for values in gained.values()])
    objects = np.array([groups.get(path, path) for path in gained])
    sums = resample_sums(np.stack([gains, np.ones_like(gains)], axis=1), objects, seed=0)
    return percentile_interval(sums[:, 0] / sums[:, 1])


def _correct(gains: Sequence[Gain]) -> list[Gain]:
    """Return the gains with Holm's correction over those that have evidence."""
    weighed = {gain.variant: gain.evidence for gain in gains if gain.evidence is not None}
    corrected = dict(zip(weighed, holm([known.p for known in weighed.values()]), strict=True))
    return [
        dataclasses.replace(
            gain,
            evidence=gain.evidence
            and dataclasses.replace(gain.evidence, p_holm=corrected[gain.variant]),
        )
        for gain in gains
    ]
