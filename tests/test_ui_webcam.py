"""The numbers that the Webcam tab smooths over time."""

import pytest

from trashlens.classifier import Comparison, Prediction
from trashlens.ui.webcam import WINDOW_S, Pace


def frame(infer_ms: float, role: str = "student") -> Comparison:
    prediction = Prediction(
        confidences={"glass": 0.75, "metal": 0.25}, infer_ms=infer_ms, bundle="0" * 12
    )
    return Comparison(decode_ms=1.0, preprocess_ms=2.0, predictions={role: prediction})


def test_one_frame_is_no_rate() -> None:
    assert Pace().frames_per_second is None
    assert Pace().add(10.0, frame(1.0)).frames_per_second is None


def test_the_rate_is_intervals_over_time() -> None:
    pace = Pace()
    for number in range(11):
        pace = pace.add(10 + number * 0.05, frame(1.0))
    assert pace.frames_per_second == pytest.approx(20)


def test_one_late_frame_hardly_moves_the_rate() -> None:
    pace, now_s, rates = Pace(), 0.0, []
    for number in range(90):
        now_s += 0.15 if number == 60 else 0.05
        pace = pace.add(now_s, frame(1.0))
        if number > 50:
            rates.append(pace.frames_per_second or 0.0)
    assert 18 <= min(rates) < 19.9
    assert max(rates) == pytest.approx(20)


def test_frames_before_a_pause_are_forgotten() -> None:
    pace = Pace().add(0.0, frame(1.0)).add(0.1, frame(1.0)).add(0.2 + WINDOW_S, frame(1.0))
    assert pace.frames_per_second is None


def test_times_are_medians_and_answers_stay_as_they_are() -> None:
    pace = Pace()
    for number, infer_ms in enumerate((4.0, 50.0, 5.0)):
        latest = frame(infer_ms)
        pace = pace.add(number * 0.1, latest)
    smooth = pace.smooth(latest)
    assert smooth.predictions["student"].infer_ms == 5.0
    assert smooth.predictions["student"].confidences == latest.predictions["student"].confidences


def test_a_network_chosen_later_is_measured_from_then_on() -> None:
    pace = Pace().add(0.0, frame(1.0, "teacher"))
    latest = frame(7.0, "student")
    assert pace.add(0.1, latest).smooth(latest).predictions["student"].infer_ms == 7.0
