"""Metrics against values computed by hand."""

import numpy as np
import pytest
from scipy.special import softmax

from trashlens.training.evaluate import calibration_error, change_temperature, rank_by_loss, score

CLASSES = ("a", "b", "c")


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
    interval = score(np.zeros(10, int), probabilities, classes=CLASSES)["accuracy_interval"]
    assert interval == pytest.approx([centre - half, centre + half], abs=1e-4)


def test_calibration_error_by_hand() -> None:
    # Two bins: two photos at 0.9 of which one is right, two at 0.6 of which both are.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    labels = np.array([0, 1, 0, 0])
    assert calibration_error(labels, probabilities) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    assert calibration_error(np.array([0, 0]), np.array([[1.0, 0.0], [1.0, 0.0]])) == 0


def test_the_worst_mistake_comes_first() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.05, 0.95], [0.6, 0.4]])
    assert rank_by_loss(np.array([0, 0, 0, 1]), probabilities).tolist() == [2, 1, 3, 0]


def test_changing_the_temperature_needs_no_logits() -> None:
    logits = np.array([[2.0, 0.0, -1.0], [0.5, 0.4, 0.3]])
    softened = change_temperature(softmax(logits / 0.5, axis=1), old=0.5, new=3.0)
    assert np.allclose(softened, softmax(logits / 3.0, axis=1))
