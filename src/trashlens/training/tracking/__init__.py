"""The only room that knows W&B: records runs, and never stands in training's way.

What is imported here needs no train package but wandb: `trashlens pull` passes through.
"""

from trashlens.training.tracking.run import track
from trashlens.training.tracking.tracker import Tracker
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
    "track",
]
