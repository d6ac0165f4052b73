"""Loss of a batch, by named part: supervised, and distilled from a teacher."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["DistillConfig", "Distilled", "ObjectiveConfig", "Supervised", "class_weights", "kd_loss"]


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """Knowledge distillation (Hinton, Vinyals, Dean 2015)."""

    teacher: Path
    """Checkpoint folder of the trained teacher."""
    alpha: float = 0.7
    """Share of the teacher's part in the loss; the rest is the supervised part."""
    temperature: float = 3.0
    """Softens both distributions; dimensionless."""

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ValueError("objective.distill.alpha must lie in [0, 1].")
        if not self.temperature > 0:
            raise ValueError("objective.distill.temperature must be positive.")


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What training minimises."""

    label_smoothing: float = 0.1
    """Probability mass spread over all classes (Szegedy et al. 2016)."""
    class_weight_power: float = 0.5
    """Weights are (1 / class frequency) to this power: 0 for none, 1 for fully balanced."""
    distill: DistillConfig | None = None
    """Learn from a teacher as well."""

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError("objective.label_smoothing must lie in [0, 1).")
        if not 0 <= self.class_weight_power <= 1:
            raise ValueError("objective.class_weight_power must lie in [0, 1].")


def class_weights(counts: Tensor, power: float) -> Tensor:
    """Return (1 / counts) ** power [classes]; only their ratios matter to a weighted mean."""
    return counts.clamp(min=1) ** -power


def kd_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T² · KL(teacher ‖ student) of the softened distributions, mean over the batch.

    Both logits are [B, classes]. T² keeps the gradient's size independent of the temperature (Hinton et al.
    2015, section 2).
    """
    log_student = F.log_softmax(student / temperature, dim=1)
    log_teacher = F.log_softmax(teacher / temperature, dim=1)
    return temperature**2 * F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)


class Supervised(nn.Module):
    """Cross entropy against the labels, weighted by class, with label smoothing."""

    def __init__(self, weights: Tensor, label_smoothing: float) -> None:
        """Take the weight of each class, float32 [classes]."""
        super().__init__()
        self.cross_entropy = nn.CrossEntropyLoss(weights, label_smoothing=label_smoothing)

    def forward(self, logits: Tensor, _images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return `loss`, a scalar, for logits [B, classes]; the images are not needed here."""
        return {"loss": self.cross_entropy(logits.float(), labels)}


class Distilled(nn.Module):
    """The supervised part and the teacher's part, on the same augmented view."""

    def __init__(self, supervised: Supervised, teacher: nn.Module, config: DistillConfig) -> None:
        """Freeze the teacher, which must expect the student's normalisation."""
        super().__init__()
        self.supervised = supervised
        self.teacher = teacher.requires_grad_(False).eval()
        self.config = config

    def train(self, mode: bool = True) -> Self:
        """Switch everything but the teacher, whose batch norm must keep its running statistics."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, logits: Tensor, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the scalars `loss`, `supervised` and `kd` for logits [B, classes], images [B, 3, H, W]."""
        with torch.no_grad():
            teacher_logits = self.teacher(images).float()
        supervised = self.supervised(logits, images, labels)["loss"]
        kd = kd_loss(logits.float(), teacher_logits, self.config.temperature)
        alpha = self.config.alpha
        return {"loss": (1 - alpha) * supervised + alpha * kd, "supervised": supervised, "kd": kd}
