"""Logit standardisation in knowledge distillation (Sun, Ren, Li, Wang, Cao 2024)."""

from torch import Tensor

from trashlens.training.objectives.hinton import kd_loss

__all__ = ["standardised_loss"]

MIN_DEVIATION = 1e-7
"""Keeps equal logits from a division by zero."""


def standardised_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return `kd_loss` at the base temperature of logits [B, classes] whose z-scores were taken photo by photo.

    Each photo's logits so get a temperature of their own, their standard deviation times the base temperature:
    the student learns which classes are alike, and not how large the teacher's logits are (equation 11).
    """
    return kd_loss(_standardise(student), _standardise(teacher), temperature)


def _standardise(logits: Tensor) -> Tensor:
    """Return (z - mean) / standard deviation over the classes; the deviation is the population's."""
    centred = logits - logits.mean(dim=1, keepdim=True)
    return centred / (logits.std(dim=1, correction=0, keepdim=True) + MIN_DEVIATION)
