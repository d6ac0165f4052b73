"""What predictions are worth: metrics with their uncertainty, and one network against another."""

from trashlens.training.evaluate.calibration import calibration_error, change_temperature, reliability
from trashlens.training.evaluate.metrics import rank_by_loss, score
from trashlens.training.evaluate.paired import compare_paired
from trashlens.training.evaluate.rejection import NEVER, accepted, choose_threshold

__all__ = [
    "NEVER",
    "accepted",
    "calibration_error",
    "change_temperature",
    "choose_threshold",
    "compare_paired",
    "rank_by_loss",
    "reliability",
    "score",
]
