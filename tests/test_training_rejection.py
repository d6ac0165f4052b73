"""A threshold keeps its promise by a count that can be checked by hand, or says that none does."""

import numpy as np
import pytest
from scipy.stats import binom

from trashlens.training.evaluate import NEVER, accepted, choose_threshold


def answers(right: list[bool], best: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return labels [N] and probabilities [N, 2] of photos answered with class 0, rightly or not."""
    labels = np.where(right, 0, 1)
    return labels, np.stack([best, 1 - np.array(best)], axis=1)


def descending(count: int) -> list[float]:
    return np.linspace(0.999, 0.6, count).tolist()


def test_eighty_answers_without_an_error_are_enough_and_seventy_nine_are_not() -> None:
    # 0.98 ** 79 = 0.203: so many right answers would not be rare enough if 2 % were wrong.
    assert choose_threshold(*answers([True] * 79, descending(79))) == NEVER
    labels, probabilities = answers([True] * 80, descending(80))
    threshold = choose_threshold(labels, probabilities)
    assert accepted(labels, probabilities, threshold)["coverage"] == 1


@pytest.mark.parametrize(("errors", "least"), [(1, 149), (2, 213), (3, 275)])
def test_the_errors_allowed_are_those_of_the_binomial_bound(errors: int, least: int) -> None:
    # With exactly 2 % wrong, so few errors among so many would be seen one time in five.
    assert binom.cdf(errors, least, 0.02) <= 0.2 < binom.cdf(errors, least - 1, 0.02)
    for count, passes in ((least, True), (least - 1, False)):
        # The errors are the first photos, so that no smaller set of accepted ones passes.
        right = [False] * errors + [True] * (count - errors)
        threshold = choose_threshold(*answers(right, descending(count)))
        assert (threshold != NEVER) == passes


def test_the_smallest_passing_threshold_lies_halfway_below_the_last_answer_kept() -> None:
    right = [True] * 100 + [False] * 20
    best = [0.9] * 100 + [0.7] * 20
    labels, probabilities = answers(right, best)
    threshold = choose_threshold(labels, probabilities)
    assert threshold == pytest.approx(0.8)
    assert accepted(labels, probabilities, threshold) == {
        "threshold": threshold,
        "photos": 120,
        "coverage": pytest.approx(100 / 120),
        "precision": 1.0,
    }


def test_photos_of_equal_probability_are_accepted_together_or_not_at_all() -> None:
    # The first 90 of the 100 equals are right; without the other ten, the threshold would not hold.
    right = [True] * 90 + [False] * 10
    assert choose_threshold(*answers(right, [0.9] * 100)) == NEVER


def test_one_confident_mistake_among_many_right_answers_does_not_silence_the_network() -> None:
    labels, probabilities = answers([False] + [True] * 299, descending(300))
    threshold = choose_threshold(labels, probabilities)
    assert accepted(labels, probabilities, threshold)["coverage"] == 1


def test_a_higher_precision_and_a_smaller_coverage_are_stricter() -> None:
    labels, probabilities = answers([True] * 300 + [False] * 100, descending(400))
    loose = choose_threshold(labels, probabilities, precision=0.9)
    strict = choose_threshold(labels, probabilities, precision=0.99)
    assert 0.6 < loose < strict < NEVER
    half = choose_threshold(labels, probabilities, coverage=0.5)
    assert accepted(labels, probabilities, half)["coverage"] == 0.5


def test_all_wrong_is_never_sure() -> None:
    assert choose_threshold(*answers([False] * 200, descending(200)), precision=0.5) == NEVER


def test_the_promise_is_kept_on_photos_it_was_not_chosen_on() -> None:
    generator = np.random.default_rng(0)
    kept = []
    for _ in range(100):
        best = generator.uniform(0.5, 1, 400)
        right = generator.random(400) < best**0.5  # a bit too modest, as no calibration is perfect
        threshold = choose_threshold(*answers(right.tolist(), best.tolist()), precision=0.95)
        # The precision that is true of all photos from the threshold on, not of these 400.
        true = np.linspace(threshold, 1, 1000) ** 0.5
        kept.append(true.mean() >= 0.95)
    assert 0.7 <= np.mean(kept) < 1


def test_without_a_threshold_everything_is_accepted_and_nothing_accepted_has_no_precision() -> None:
    labels, probabilities = answers([True, False, True, True], [0.9, 0.8, 0.7, 0.6])
    assert accepted(labels, probabilities, None) == {
        "threshold": None,
        "photos": 4,
        "coverage": 1.0,
        "precision": 0.75,
    }
    nothing = accepted(labels, probabilities, NEVER)
    assert (nothing["coverage"], nothing["precision"]) == (0.0, None)
    assert accepted(labels, probabilities, 0.8)["precision"] == 0.5  # the photo at the threshold counts


def test_the_intervals_of_what_is_accepted_are_drawn_by_group() -> None:
    # Twenty objects with ten photos each: sure of all but every fourth, and wrong about two of the other fifteen.
    groups = np.arange(200) // 10
    best = np.where(groups % 4 == 0, 0.6, 0.9)
    labels, probabilities = answers((~np.isin(groups, (1, 2))).tolist(), best.tolist())
    by_object, by_photo = (
        accepted(labels, probabilities, 0.8, groups=given) for given in (groups, np.arange(200))
    )
    for one in (by_object, by_photo):
        assert (one["coverage"], one["precision"]) == (0.75, pytest.approx(13 / 15))
    # The mean of 20 draws varies by sqrt(0.75 · 0.25 / 20), that of 200 by sqrt(0.75 · 0.25 / 200).
    widths = [one["coverage_interval"][1] - one["coverage_interval"][0] for one in (by_object, by_photo)]
    expected = [2 * 1.96 * (0.75 * 0.25 / count) ** 0.5 for count in (20, 200)]
    assert widths == pytest.approx(expected, rel=0.15)
    low, high = by_object["precision_interval"]
    assert low < by_photo["precision_interval"][0] < 13 / 15 < by_photo["precision_interval"][1] < high
    assert "coverage_interval" not in accepted(labels, probabilities, 0.8)


def test_resamples_without_an_accepted_photo_say_nothing_of_the_precision() -> None:
    # One object of three is accepted, rightly: every third resample or so goes without.
    labels, probabilities = answers([True, False, False], [0.9, 0.6, 0.6])
    one = accepted(labels, probabilities, 0.8, groups=np.array(["can", "box", "bin"]))
    assert (one["coverage_interval"][0], one["precision_interval"]) == (0.0, [1.0, 1.0])
    none = accepted(labels, probabilities, NEVER, groups=np.array(["can", "box", "bin"]))
    assert (none["coverage_interval"], none["precision_interval"]) == ([0.0, 0.0], None)
