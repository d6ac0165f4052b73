"""Loss of a batch, by named part: supervised, and distilled from a teacher in one of four ways."""

from trashlens.training.objectives.auxiliary import WithAuxiliary
from trashlens.training.objectives.config import DistillConfig, ObjectiveConfig
from trashlens.training.objectives.dist import dist_loss
from trashlens.training.objectives.distilled import Distilled
from trashlens.training.objectives.hinton import kd_loss
from trashlens.training.objectives.imbalanced import f1_loss, focal_losses
from trashlens.training.objectives.matching import matching_loss
from trashlens.training.objectives.standardised import standardised_loss
from trashlens.training.objectives.supervised import Supervised, class_weights

__all__ = [
    "DistillConfig",
    "Distilled",
    "ObjectiveConfig",
    "Supervised",
    "WithAuxiliary",
    "class_weights",
    "dist_loss",
    "f1_loss",
    "focal_losses",
    "kd_loss",
    "matching_loss",
    "standardised_loss",
]
