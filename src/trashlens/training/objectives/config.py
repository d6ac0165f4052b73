"""What training minimises: the settings of the supervised part and of the teacher's part."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["DistillConfig", "ObjectiveConfig"]


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """How a student learns from a teacher."""

    teacher: Path
    """Folder of the trained teacher: its checkpoint, or a bundle such as `models/teacher`."""
    method: Literal["hinton", "dist", "standardised", "matching"] = "hinton"
    """What the teacher's part compares: softened probabilities (Hinton et al. 2015), their correlations (DIST,
    Huang et al. 2022), probabilities of standardised logits (Sun et al. 2024), or the function itself on
    mixed-up views, without labels (Beyer et al. 2022)."""
    alpha: float = 0.7
    """Share of the teacher's part in the loss; the rest is the supervised part."""
    temperature: float = 3.0
    """Softens both distributions; dimensionless. For `standardised` it is the base temperature."""
    beta: float = 1.0
    """Weight of the correlation over the classes of a photo; `dist` only."""
    gamma: float = 1.0
    """Weight of the correlation over the photos of a batch, class by class; `dist` only."""
    size_px: int | None = None
    """Side to which the views are resized for the teacher, pixels; by default it sees them as the student does. A
    teacher trained on larger views knows more of enlarged ones: of TrashNet's validation photos at 160 px the
    shipped one names 93.3 %, and enlarged to 224 px 95.7 %."""
    remember: Path | None = None
    """Folder where the teacher's answers to each epoch's views are kept for other students that see the same;
    for a single process."""

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise ValueError("objective.distill.alpha must lie in [0, 1].")
        if not self.temperature > 0:
            raise ValueError("objective.distill.temperature must be positive.")
        if self.size_px is not None and self.size_px < 16:
            raise ValueError("objective.distill.size_px must be at least 16.")
        if self.beta < 0 or self.gamma < 0 or self.beta + self.gamma == 0:
            raise ValueError(
                "objective.distill.beta and .gamma must not be negative, and not both be zero."
            )
        if self.method == "matching" and self.alpha != 1:
            raise ValueError("objective.distill.alpha must be 1 for matching, which uses no labels.")


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What training minimises."""

    loss: Literal["cross-entropy", "focal", "f1"] = "cross-entropy"
    """What the answers are measured by: cross entropy; focal loss, which looks away from what is easy (Lin et
    al. 2017); or 1 - macro F1 of soft counts (Pastor-Pellicer et al. 2013), which weighs classes alike whatever
    their frequency."""
    focal_gamma: float = 2.0
    """How strongly the focal loss looks away, dimensionless; 0 is cross entropy."""
    label_smoothing: float = 0.1
    """Probability mass spread over all classes (Szegedy et al. 2016); not used by `f1`, which counts the classes
    that a batch has."""
    class_weight_power: float = 0.5
    """Weights are (1 / class frequency) to this power: 0 for none, 1 for fully balanced; not used by `f1`."""
    auxiliary_weight: float = 0.3
    """What the loss of an auxiliary head counts, for a network built with one (`network.arguments.aux_logits`):
    0.3 in GoogLeNet (Szegedy et al. 2015, section 5). The Inception V3 paper (Szegedy et al. 2016) names no
    number; its published code has 0.4. Against the labels alone, in training only."""
    distill: DistillConfig | None = None
    """Learn from a teacher as well."""

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError("objective.label_smoothing must lie in [0, 1).")
        if not 0 <= self.class_weight_power <= 1:
            raise ValueError("objective.class_weight_power must lie in [0, 1].")
        if self.focal_gamma < 0:
            raise ValueError("objective.focal_gamma must not be negative.")
        if not 0 <= self.auxiliary_weight <= 1:
            raise ValueError("objective.auxiliary_weight must lie in [0, 1].")
