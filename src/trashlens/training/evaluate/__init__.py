"""What predictions are worth: metrics with their uncertainty, and one network against another."""

from trashlens.training.evaluate.metrics import calibration_error, change_temperature, rank_by_loss, score

__all__ = ["calibration_error", "change_temperature", "rank_by_loss", "score"]
