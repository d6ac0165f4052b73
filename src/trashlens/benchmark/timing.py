"""Contestants that take turns, so that what else the machine does slows all alike."""

import math
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

__all__ = ["KeyT", "Ratio", "Summary", "Times", "interleave", "summarise", "time_rounds"]

KeyT = TypeVar("KeyT", bound=Hashable)
"""What contestants are named by."""

LEVEL = 0.95
"""Coverage of the intervals."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How long one contestant took, milliseconds."""

    p50_ms: float
    p95_ms: float
    min_ms: float
    runs: int
    """Number of calls that were timed."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How many times as much of something one contestant took as another in the same round."""

    median: float
    low: float
    """Lower end of the 95 % interval of the median; fewer than six rounds have none, and show their range."""
    high: float
    rounds: int


@dataclass(frozen=True, kw_only=True)
class Times(Generic[KeyT]):
    """The times of contestants that took turns."""

    ms: Mapping[KeyT, Sequence[float]]
    """By contestant, one time for each round, milliseconds."""

    def summary(self, name: KeyT) -> Summary:
        """Return the percentiles of one contestant."""
        return summarise(self.ms[name])

    def ratio(self, name: KeyT, other: KeyT) -> Ratio:
        """Return how many times as long as `other` a contestant took, over pairs of the same round."""
        pairs = zip(self.ms[name], self.ms[other], strict=True)
        ratios = sorted(one / two for one, two in pairs)
        outside = _count_outside(len(ratios))
        return Ratio(
            median=float(np.median(ratios)),
            low=ratios[outside],
            high=ratios[-1 - outside],
            rounds=len(ratios),
        )


def summarise(times_ms: Sequence[float]) -> Summary:
    """Return the percentiles of times, milliseconds."""
    return Summary(
        p50_ms=float(np.median(times_ms)),
        p95_ms=float(np.percentile(times_ms, 95)),
        min_ms=min(times_ms),
        runs=len(times_ms),
    )


def interleave(names: Sequence[KeyT], rounds: int) -> Iterator[list[KeyT]]:
    """Yield the order of each round.

    Each round starts with the next contestant, and every second cycle runs backwards: each takes each place,
    and follows its neighbours on both sides, equally often.
    """
    for turn in range(rounds):
        start = turn % len(names)
        order = [*names[start:], *names[:start]]
        yield order[::-1] if turn // len(names) % 2 else order


def time_rounds(
    contestants: Mapping[KeyT, Callable[[], object]],
    *,
    rounds: int,
    warm_up: int,
    pause_s: float = 0.0,
    clock: Callable[[], float] = time.perf_counter,
) -> Times[KeyT]:
    """Call every contestant once a round and return their times, without those of the `warm_up` first rounds.

    `pause_s` lies before each call, so that threads which still spin after a call do not slow the next one's.
    `clock` tells seconds.
    """
    times_ms: dict[KeyT, list[float]] = {name: [] for name in contestants}
    for turn, order in enumerate(interleave(list(contestants), warm_up + rounds)):
        for name in order:
            if pause_s:
                time.sleep(pause_s)
            start = clock()
            contestants[name]()
            taken_ms = (clock() - start) * 1e3
            if turn >= warm_up:
                times_ms[name].append(taken_ms)
    return Times(ms=times_ms)


def _count_outside(count: int) -> int:
    """Return how many of `count` sorted values lie beyond each end of the median's interval.

    A value lies below the median with probability one half, whatever the distribution: ranks are binomial.
    """
    below, outside = 0.0, 0
    while outside < count // 2:
        below += math.comb(count, outside) / 2**count
        if below > (1 - LEVEL) / 2:
            break
        outside += 1
    return max(outside - 1, 0)
