"""Metrics against values computed by hand."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import f1_score

from trashlens.training.evaluate import (
    calibration_error,
    change_temperature,
    compare_paired,
    rank_by_loss,
    reliability,
    score,
)
from trashlens.training.evaluate.intervals import (
    RESAMPLES,
    percentile_interval,
    reflected_interval,
    resample_sums,
)

CLASSES = ("a", "b", "c")


def answers(right: list[int]) -> np.ndarray:
    """Return probabilities [N, 2] of a network that is right (1) or wrong (0) about photos of class 0."""
    return np.eye(2)[1 - np.array(right)]


def test_score_by_hand() -> None:
    labels = np.array([0, 0, 1, 1, 2])
    probabilities = np.eye(3)[[0, 1, 1, 1, 0]]
    result = score(labels, probabilities, classes=CLASSES)
    assert result["photos"] == 5
    assert result["accuracy"] == pytest.approx(3 / 5)
    # a: 1 of 2 predicted, 1 of 2 found; b: 2 of 3 predicted, 2 of 2 found; c: never named.
    assert result["f1"] == pytest.approx({"a": 0.5, "b": 0.8, "c": 0.0})
    assert result["macro_f1"] == pytest.approx(1.3 / 3)
    assert result["confusion"] == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_the_interval_is_wilsons() -> None:
    # 8 of 10 at z = 1.96: centre (0.8 + z²/20) / (1 + z²/10), as in Wilson (1927).
    z, n, p = 1.959964, 10, 0.8
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
    probabilities = np.eye(3)[[0] * 8 + [1] * 2]
    result = score(np.zeros(10, int), probabilities, classes=CLASSES)
    assert result["accuracy_interval"] == pytest.approx([centre - half, centre + half], abs=1e-4)
    assert result["interval"] == "Wilson"
    assert not {"macro_f1_interval", "ece_interval"} & set(result)


def test_f1_is_the_fields_own() -> None:
    generator = np.random.default_rng(0)
    labels, probabilities = generator.integers(0, 3, 50), generator.dirichlet(np.ones(3), 50)
    expected = f1_score(labels, probabilities.argmax(axis=1), average=None)
    assert list(score(labels, probabilities, classes=CLASSES)["f1"].values()) == pytest.approx(expected)


def test_groups_that_are_all_alike_leave_nothing_to_chance() -> None:
    # Each of ten objects: one photo of class 0 named rightly at 0.9, one of class 1 named 0 at 0.6.
    labels = np.tile([0, 1], 10)
    probabilities = np.tile([[0.9, 0.1], [0.6, 0.4]], (10, 1))
    result = score(labels, probabilities, classes=("a", "b"), groups=np.arange(20) // 2)
    assert result["accuracy"] == 0.5
    assert result["macro_f1"] == pytest.approx(1 / 3)  # 2 · 10 / (10 + 20), and 0
    assert result["ece"] == pytest.approx(0.5 * 0.1 + 0.5 * 0.6)
    for key in ("accuracy", "macro_f1", "ece"):
        assert result[f"{key}_interval"] == pytest.approx([result[key]] * 2), key
    assert result["interval"] == "bootstrap over 10 groups"


def test_photos_of_one_object_that_fall_together_widen_the_interval() -> None:
    labels, groups = np.zeros(200, int), np.arange(200) // 10
    probabilities = answers([int(group % 4 != 0) for group in groups])
    by_object = score(labels, probabilities, classes=("a", "b"), groups=groups)
    by_photo = score(labels, probabilities, classes=("a", "b"), groups=np.arange(200))
    assert by_object["accuracy"] == by_photo["accuracy"] == 0.75
    widths = [high - low for low, high in (one["accuracy_interval"] for one in (by_object, by_photo))]
    # The mean of 20 draws varies by sqrt(0.75 · 0.25 / 20), that of 200 by sqrt(0.75 · 0.25 / 200).
    expected = [2 * 1.96 * (0.75 * 0.25 / count) ** 0.5 for count in (20, 200)]
    assert widths == pytest.approx(expected, rel=0.15)


def test_a_drawn_group_brings_all_its_photos() -> None:
    # Three right photos of one object, one wrong of another: both drawn, or one of them twice.
    values = np.array([[1.0, 1.0]] * 3 + [[0.0, 1.0]])
    sums = resample_sums(values, np.array(["can", "can", "can", "box"]))
    samples, counts = np.unique(sums, axis=0, return_counts=True)
    assert samples.tolist() == [[0, 2], [3, 4], [6, 6]]
    assert counts / RESAMPLES == pytest.approx([0.25, 0.5, 0.25], abs=0.05)
    assert np.array_equal(sums, resample_sums(values, np.array([1, 1, 1, 0])))
    assert not np.array_equal(sums, resample_sums(values, np.array([1, 1, 1, 0]), seed=1))


def test_the_interval_of_the_calibration_error_is_reflected_and_not_negative() -> None:
    resamples = np.linspace(0.10, 0.30, RESAMPLES)  # of an estimate of 0.12: far too high, most of them
    assert percentile_interval(resamples) == pytest.approx([0.105, 0.295])
    assert reflected_interval(0.12, resamples) == pytest.approx([0.0, 0.24 - 0.105])
    assert reflected_interval(0.2, resamples) == pytest.approx([0.4 - 0.295, 0.4 - 0.105])


def test_the_calibration_error_of_a_calibrated_network_may_be_none() -> None:
    # What it claims is true, so that the error is 0; it comes out higher, and in resamples higher still.
    generator = np.random.default_rng(0)
    held = 0
    for seed in range(20):
        best = generator.uniform(0.5, 1, 300)
        labels = (generator.random(300) > best).astype(int)
        probabilities = np.stack([best, 1 - best], axis=1)
        result = score(labels, probabilities, classes=("a", "b"), groups=np.arange(300), seed=seed)
        held += result["ece_interval"][0] < 0.01
    assert held >= 15


def test_calibration_error_by_hand() -> None:
    # Two bins: two photos at 0.9 of which one is right, two at 0.6 of which both are.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    labels = np.array([0, 1, 0, 0])
    assert calibration_error(labels, probabilities) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    assert calibration_error(np.array([0, 0]), np.array([[1.0, 0.0], [1.0, 0.0]])) == 0


def test_reliability_by_hand() -> None:
    # Of ten bins only two hold photos: 0.6 in the seventh, 0.9 and the certain one in the last.
    probabilities = np.array([[0.62, 0.38], [0.64, 0.36], [0.94, 0.06], [0.0, 1.0]])
    bins = reliability(np.array([0, 1, 0, 1]), probabilities, bins=10)
    assert bins["confidence"] == pytest.approx([0.63, 0.97])
    assert bins["accuracy"] == [0.5, 1.0]
    assert bins["photos"] == [2, 2]
    # Wilson at 2 of 2: the lower end is n / (n + z²), the upper one 1.
    assert bins["interval"][1] == pytest.approx([2 / (2 + 1.959964**2), 1.0], abs=1e-4)


def test_the_recorded_bins_give_the_calibration_error() -> None:
    generator = np.random.default_rng(0)
    labels, probabilities = generator.integers(0, 3, 80), generator.dirichlet(np.ones(3), 80)
    result = score(labels, probabilities, classes=CLASSES)
    bins = {key: np.array(values) for key, values in result["reliability"].items()}
    gaps = np.abs(bins["accuracy"] - bins["confidence"]) * bins["photos"] / 80
    assert gaps.sum() == pytest.approx(result["ece"])
    assert result["ece"] == pytest.approx(calibration_error(labels, probabilities))


def test_a_pair_is_compared_by_hand() -> None:
    # Both right 5, only the other 2, only its own 8, both wrong 5.
    other = answers([1] * 5 + [1] * 2 + [0] * 8 + [0] * 5)
    own = answers([1] * 5 + [0] * 2 + [1] * 8 + [0] * 5)
    labels = np.zeros(20, int)
    pair = compare_paired(labels, other, own)
    assert pair["photos"] == 20
    assert pair["difference"] == pytest.approx(6 / 20)
    assert (pair["only_other"], pair["only_own"]) == (2, 8)
    # Twice the chance of two heads or fewer in ten throws.
    assert pair["p"] == pytest.approx(2 * (1 + 10 + 45) / 2**10)
    assert pair["interval"] == "bootstrap over 20 photos"
    # A photo's difference has the variance 10/20 − 0.3², the mean of twenty a twentieth of it.
    low, high = pair["difference_interval"]
    assert high - low == pytest.approx(2 * 1.96 * ((0.5 - 0.09) / 20) ** 0.5, rel=0.15)
    back = compare_paired(labels, own, other)
    assert back["difference"] == -pair["difference"]
    assert back["difference_interval"] == pytest.approx([-high, -low])
    assert back["p"] == pair["p"]


def test_a_pair_by_objects_is_told_apart_less_easily() -> None:
    # The second network names five more objects of twenty, with ten photos each.
    groups, labels = np.arange(200) // 10, np.zeros(200, int)
    first, second = answers(list(groups % 2)), answers([int(g % 2 or g % 4 == 0) for g in groups])
    by_object, by_photo = (
        compare_paired(labels, first, second, groups=given) for given in (groups, None)
    )
    assert by_object["difference"] == by_photo["difference"] == 0.25
    widths = [high - low for low, high in (one["difference_interval"] for one in (by_object, by_photo))]
    assert widths[0] > 2.5 * widths[1]
    assert by_object["interval"] == "bootstrap over 20 groups"


def test_networks_that_answer_alike_are_a_tie() -> None:
    labels, both = np.array([0, 0, 1]), answers([1, 0, 1])
    pair = compare_paired(labels, both, both, groups=np.array(["x", "x", "y"]))
    assert (pair["difference"], pair["difference_interval"], pair["p"]) == (0, [0, 0], 1)


def test_the_worst_mistake_comes_first() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.05, 0.95], [0.6, 0.4]])
    assert rank_by_loss(np.array([0, 0, 0, 1]), probabilities).tolist() == [2, 1, 3, 0]


def test_changing_the_temperature_needs_no_logits() -> None:
    logits = np.array([[2.0, 0.0, -1.0], [0.5, 0.4, 0.3]])
    softened = change_temperature(softmax(logits / 0.5, axis=1), old=0.5, new=3.0)
    assert np.allclose(softened, softmax(logits / 3.0, axis=1))
