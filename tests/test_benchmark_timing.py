"""Contestants take turns, and percentiles, ratios and intervals are what they should be."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from trashlens.benchmark.timing import Ratio, Summary, Times, interleave, summarise, time_rounds


class Clock:
    """Tells seconds that pass only when a contestant takes them."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.called: list[str] = []

    def __call__(self) -> float:
        return self.now_s

    def contestant(self, name: str, *times_ms: float):
        """Return a call that takes the given times in turn, the last one for ever."""
        left = list(times_ms)

        def call() -> None:
            self.called.append(name)
            self.now_s += (left.pop(0) if len(left) > 1 else left[0]) / 1e3

        return call


def test_known_durations_come_out_without_the_warm_up() -> None:
    clock = Clock()
    contestants = {
        "slow": clock.contestant("slow", 900, 900, 10, 20, 30),
        "fast": clock.contestant("fast", 900, 900, 5, 5, 5),
    }
    times = time_rounds(contestants, rounds=3, warm_up=2, clock=clock)
    assert times.ms["slow"] == pytest.approx([10, 20, 30])
    assert times.ms["fast"] == pytest.approx([5, 5, 5])
    slow = times.summary("slow")
    assert (slow.p50_ms, slow.p95_ms, slow.min_ms) == pytest.approx((20, 29, 10))
    assert slow.runs == 3
    ratio = times.ratio("slow", "fast")
    assert (ratio.median, ratio.low, ratio.high, ratio.rounds) == pytest.approx((4, 2, 6, 3))
    assert times.ratio("fast", "slow").median == pytest.approx(0.25)


def test_a_ratio_pairs_what_was_measured_in_the_same_round() -> None:
    # Half of the rounds were three times slower for both: the ratio of medians would know nothing of 2.
    noise = np.array([1, 3, 1, 3, 1, 3, 3])
    times = Times(ms={"a": list(10.0 * noise), "b": list(5.0 * noise)})
    assert times.ratio("a", "b") == Ratio(median=2.0, low=2.0, high=2.0, rounds=7)


def test_contestants_are_called_in_turn_and_no_two_rounds_in_a_row_alike() -> None:
    clock = Clock()
    contestants = {name: clock.contestant(name, 1) for name in "abc"}
    time_rounds(contestants, rounds=5, warm_up=1, clock=clock)
    orders = ["".join(clock.called[i : i + 3]) for i in range(0, 18, 3)]
    assert orders == ["abc", "bca", "cab", "cba", "acb", "bac"]


@pytest.mark.parametrize("count", [2, 3, 6])
def test_each_takes_each_place_and_follows_each_neighbour_equally_often(count: int) -> None:
    orders = list(interleave(range(count), 2 * count))
    places = Counter((name, place) for order in orders for place, name in enumerate(order))
    assert set(places.values()) == {2}
    assert len(places) == count**2
    follows = Counter(pair for order in orders for pair in pairwise(order))
    assert all(follows[one, two] == follows[two, one] for one, two in follows)


@pytest.mark.parametrize(("count", "low", "high"), [(5, 1, 5), (6, 1, 6), (50, 18, 33), (100, 40, 61)])
def test_the_median_lies_between_the_ranks_of_the_textbook(count: int, low: int, high: int) -> None:
    # Conover, Practical Nonparametric Statistics: the largest ranks whose binomial tails hold 2.5 %.
    values = np.random.default_rng(0).permutation(np.arange(1, count + 1))
    ratio = Times(ms={"a": values.tolist(), "b": [1] * count}).ratio("a", "b")
    assert (ratio.low, ratio.high) == (low, high)


def test_a_summary_is_that_of_numpy() -> None:
    values = np.random.default_rng(0).exponential(size=200)
    expected = Summary(
        p50_ms=np.median(values), p95_ms=np.percentile(values, 95), min_ms=values.min(), runs=200
    )
    assert summarise(values.tolist()) == expected


def test_there_is_a_pause_before_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    paused: list[float] = []
    monkeypatch.setattr("trashlens.benchmark.timing.time.sleep", paused.append)
    contestants = {name: clock.contestant(name, 1) for name in "ab"}
    time_rounds(contestants, rounds=2, warm_up=1, pause_s=0.25, clock=clock)
    assert paused == [0.25] * 6
