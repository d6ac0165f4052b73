"""What look-alikes among the training photos are worth: a study's folds beside another's official split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trashlens.training.data import Leak
from trashlens.training.evaluate.intervals import percentile_interval, resample_sums
from trashlens.training.study.records import RunRecord

__all__ = ["Part", "VariantLeak", "measure_leak"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """The same photos, answered by networks of either split; accuracies are shares, means over the runs."""

    photos: int
    """How many."""
    official: float
    """Accuracy of the runs on the official split."""
    grouped: float
    """Accuracy of the folds' runs, which saw no photo of these objects."""
    low: float
    """Lower end of the 95 % percentile bootstrap over objects of official less grouped."""
    high: float
    """Upper end."""

    @property
    def leak(self) -> float:
        """How much better the official split makes these photos look, share."""
        return self.official - self.grouped


@dataclass(frozen=True, kw_only=True)
class VariantLeak:
    """One variant on both splits."""

    variant: str
    """Its name in the study of folds."""
    every: Part
    """All official test photos that the folds have answered."""
    seen: Part | None
    """Those of them whose object the official split trains on; None where there are none."""
    unseen: Part | None
    """The others, whose object it does not train on (but may have validated on): what differs there has other
    causes, such as the number of training photos, and chance."""
    net: tuple[float, float, float] | None
    """By how much more the seen differ than the unseen, share, with its 95 % interval; None without either."""


def measure_leak(
    variant: str,
    official: Sequence[RunRecord],
    grouped: Sequence[RunRecord],
    leak: Leak,
    groups: Mapping[str, str],
) -> VariantLeak | None:
    """Return what the official split flatters a variant by; None where the two have no test photo in common.

    `leak` parts the official test photos, `groups` names the object on each photo by path. The intervals are over
    objects and hold the trained networks fixed: what other seeds would give is not in them.
    """
    shares = (_share_right(official), _share_right(grouped))
    common = shares[0].keys() & shares[1].keys()
    every = _part(sorted(common), shares, groups)
    if every is None:
        return None
    paths = [[path for path in part if path in common] for part in (leak.seen, leak.unseen)]
    seen, unseen = (_part(part, shares, groups) for part in paths)
    net = None
    if seen is not None and unseen is not None:
        low, high = _resample_net(paths[0], paths[1], shares, groups)
        net = (seen.leak - unseen.leak, low, high)
    return VariantLeak(variant=variant, every=every, seen=seen, unseen=unseen, net=net)


def _resample_net(
    seen: Sequence[str],
    unseen: Sequence[str],
    shares: tuple[Mapping[str, float], Mapping[str, float]],
    groups: Mapping[str, str],
) -> list[float]:
    """Return the 95 % bootstrap interval, over objects, of the seen photos' difference less the unseen ones'."""
    paths = [*seen, *unseen]
    gained = np.array([shares[0][path] - shares[1][path] for path in paths])
    is_seen = np.arange(len(paths)) < len(seen)
    values = np.stack([gained * is_seen, is_seen, gained * ~is_seen, ~is_seen], axis=1)
    sums = resample_sums(values, np.array([groups.get(path, path) for path in paths]))
    gained_seen, seen_photos, gained_unseen, unseen_photos = sums.T
    both = (seen_photos > 0) & (unseen_photos > 0)
    return percentile_interval(
        gained_seen[both] / seen_photos[both] - gained_unseen[both] / unseen_photos[both]
    )


def _share_right(records: Sequence[RunRecord]) -> dict[str, float]:
    """Return by photo the share of the runs that named it right."""
    right: dict[str, list[bool]] = {}
    for record in records:
        for answer in record.answers:
            right.setdefault(answer.path, []).append(answer.predicted == answer.label)
    return {path: float(np.mean(values)) for path, values in right.items()}


def _part(
    paths: Sequence[str],
    shares: tuple[Mapping[str, float], Mapping[str, float]],
    groups: Mapping[str, str],
) -> Part | None:
    """Return how both answered these photos; None where there are none."""
    if not paths:
        return None
    official, grouped = (np.array([share[path] for path in paths]) for share in shares)
    objects = np.array([groups.get(path, path) for path in paths])
    sums = resample_sums(np.stack([official - grouped, np.ones(len(paths))], axis=1), objects)
    low, high = percentile_interval(sums[:, 0] / sums[:, 1])
    return Part(
        photos=len(paths),
        official=float(official.mean()),
        grouped=float(grouped.mean()),
        low=low,
        high=high,
    )
