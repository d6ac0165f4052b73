"""What predictions are worth: metrics with their uncertainty, and one network against another."""

from trashlens.training.evaluate.calibration import calibration_error, change_temperature, reliability
from trashlens.training.evaluate.metrics import rank_by_loss, score
from trashlens.training.evaluate.paired import compare_paired
from trashlens.training.evaluate.rejection import NEVER, accepted, choose_threshold
from trashlens.training.evaluate.tradeoff import TradeOffConfig, format_trade_offs, trade_off

__all__ = [
    "NEVER",
    "TradeOffConfig",
    "accepted",
    "calibration_error",
    "change_temperature",
    "choose_threshold",
    "compare_paired",
    "format_trade_offs",
    "rank_by_loss",
    "reliability",
    "score",
    "trade_off",
]
