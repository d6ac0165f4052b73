"""The supervised part and the teacher's part, together."""

from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trashlens.training.objectives.config import DistillConfig
from trashlens.training.objectives.dist import dist_loss
from trashlens.training.objectives.hinton import kd_loss
from trashlens.training.objectives.matching import matching_loss
from trashlens.training.objectives.standardised import standardised_loss
from trashlens.training.objectives.supervised import Supervised

__all__ = ["Distilled"]


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
        """Return the scalars `loss`, `supervised` and `kd` for logits [B, classes], images [B, 3, H, W].

        Labels are int64 [B], or float32 [B, classes] where photos are mixed. Without a supervised part (alpha
        1) `supervised` is still returned, for the curves.
        """
        with torch.no_grad():
            teacher_logits = self.teacher(self._resize(images)).float()
        supervised = self.supervised(logits, images, labels)["loss"]
        kd = self._teachers_part(logits.float(), teacher_logits)
        alpha = self.config.alpha
        return {"loss": (1 - alpha) * supervised + alpha * kd, "supervised": supervised, "kd": kd}

    def _resize(self, images: Tensor) -> Tensor:
        """Return the same views at the teacher's size."""
        size_px = self.config.size_px
        if size_px is None or images.shape[-2:] == (size_px, size_px):
            return images
        size = (size_px, size_px)
        resized = F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
        return resized.contiguous(memory_format=torch.channels_last)

    def _teachers_part(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return how far the student is from the teacher, by the chosen method."""
        config = self.config
        match config.method:
            case "hinton":
                return kd_loss(student, teacher, config.temperature)
            case "dist":
                return dist_loss(
                    student, teacher, config.temperature, beta=config.beta, gamma=config.gamma
                )
            case "standardised":
                return standardised_loss(student, teacher, config.temperature)
            case "matching":
                return matching_loss(student, teacher, config.temperature)
