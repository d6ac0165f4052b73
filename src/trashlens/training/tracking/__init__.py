"""The only room that knows W&B: records runs, and never stands in training's way."""

from trashlens.training.tracking.evaluation import record_evaluation
from trashlens.training.tracking.run import Tracker, track
from trashlens.training.tracking.versions import (
    Version,
    checkpoint_reference,
    checkpoint_version,
    data_version,
)

__all__ = [
    "Tracker",
    "Version",
    "checkpoint_reference",
    "checkpoint_version",
    "data_version",
    "record_evaluation",
    "track",
]
