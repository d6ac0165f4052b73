"""The one sentence that a study ends in: which gain, with which p, or that it is a tie."""

from collections.abc import Mapping, Sequence

from trashlens.training.study.config import Study
from trashlens.training.study.records import RunRecord
from trashlens.training.study.statistics import Evidence, Gain
from trashlens.training.study.table import format_p, format_points

__all__ = ["conclude_study"]

LEVEL = 0.05
"""Below it, a p corrected for the number of comparisons counts as a difference."""


def conclude_study(
    study: Study, grouped: Mapping[str, Sequence[RunRecord]], gains: Sequence[Gain]
) -> str:
    """Return what the study found over all variants compared; `gains` has each of them once."""
    runs = sum(len(records) for records in grouped.values())
    so_far = f"So far, with {runs} of {study.planned} runs: " if runs < study.planned else ""
    sentence = _conclude(study, gains)
    return f"{so_far}{sentence}" if so_far else sentence[0].upper() + sentence[1:]


def _conclude(study: Study, gains: Sequence[Gain]) -> str:
    if not gains:
        return f"there is nothing to compare with `{study.baseline}`."
    weighed = [gain for gain in gains if gain.evidence]
    found = [gain for gain in weighed if gain.evidence and gain.evidence.p_holm < LEVEL]
    if found:
        return _name_differences(study, found, compared=len(weighed))
    largest = max(weighed or gains, key=lambda gain: abs(gain.mean))
    points = f"{format_points(largest.mean)} points of test accuracy"
    if largest.evidence is None:
        return (
            f"no verdict, since one {study.unit} says nothing about chance; `{largest.variant}` and "
            f"`{study.baseline}` differ by {points}."
        )
    if len(weighed) == 1:
        whose = f"`{largest.variant}` does not differ from `{study.baseline}` beyond chance (p < {LEVEL}), by"
    else:
        whose = (
            f"no variant differs from `{study.baseline}` beyond chance (p < {LEVEL}); the largest difference, of "
            f"`{largest.variant}`, is"
        )
    single = ", ".join(f"`{gain.variant}`" for gain in gains if not gain.evidence)
    beside = f"; one {study.unit} says nothing about {single}" if single else ""
    return f"a tie: {whose} {points} ({_cite(study, largest, largest.evidence, len(weighed))}){beside}."


def _name_differences(study: Study, found: Sequence[Gain], *, compared: int) -> str:
    """Return the sentence about the largest gain (or, where all lose, the smallest loss) and its company."""
    best, *others = sorted(found, key=lambda gain: -gain.mean)
    assert best.evidence is not None
    verb, than = ("gains", "over") if best.mean > 0 else ("loses", "against")
    points = format_points(abs(best.mean)).removeprefix("+")
    parts = [
        f"`{best.variant}` {verb} {points} points of test accuracy {than} `{study.baseline}` "
        f"({_cite(study, best, best.evidence, compared)})"
    ]
    if best.objects_low <= 0 <= best.objects_high:
        parts.append("other photos might not show it")
    if others:
        named = ", ".join(f"`{gain.variant}` by {format_points(gain.mean)}" for gain in others)
        parts.append(f"also different: {named}")
    return f"{'; '.join(parts)}."


def _cite(study: Study, gain: Gain, evidence: Evidence, compared: int) -> str:
    """Return both intervals, p, and what it was corrected for."""
    corrected = (
        f", {format_p(evidence.p_holm)} after Holm's correction for {compared} comparisons"
        if compared > 1
        else ""
    )
    return (
        f"95 % interval for other {study.unit}s {format_points(evidence.low)} to "
        f"{format_points(evidence.high)} from {len(gain.differences)} pairs, for photos of other objects "
        f"{format_points(gain.objects_low)} to {format_points(gain.objects_high)}; "
        f"p = {format_p(evidence.p)} over {study.unit}s{corrected}"
    )
