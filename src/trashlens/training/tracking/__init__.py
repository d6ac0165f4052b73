"""The only room that knows W&B: records runs, and never stands in training's way."""

from trashlens.training.tracking.run import Tracker, track

__all__ = ["Tracker", "track"]
