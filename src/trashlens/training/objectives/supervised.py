"""The answers against the labels, hard or mixed: cross entropy, focal loss or F1."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from trashlens.training.objectives.imbalanced import f1_loss, focal_losses

__all__ = ["Supervised", "class_weights"]


def class_weights(counts: Tensor, power: float) -> Tensor:
    """Return (1 / counts) ** power [classes]; only their ratios matter to a weighted mean."""
    return counts.clamp(min=1) ** -power


class Supervised(nn.Module):
    """A loss against the labels, weighted by class, with label smoothing (Szegedy et al. 2016).

    Labels may be mixed (mixup, Zhang et al. 2018). Cross entropy and focal loss are the weighted mean over the
    photos, each of which weighs what its labels do: with cross entropy the number of `torch.nn.CrossEntropyLoss`
    for hard labels without smoothing. Otherwise torch weighs the classes inside a photo's sum instead, which moves
    the best answer to a label spread over all classes towards the rare ones. F1 weighs the classes by itself, and
    takes the labels unsmoothed: a smoothed batch would seem to have all classes.
    """

    weights: Tensor

    def __init__(
        self,
        weights: Tensor,
        label_smoothing: float,
        *,
        loss: Literal["cross-entropy", "focal", "f1"] = "cross-entropy",
        focal_gamma: float = 2.0,
    ) -> None:
        """Take the weight of each class, float32 [classes]."""
        super().__init__()
        self.register_buffer("weights", weights)
        self.label_smoothing, self.loss, self.focal_gamma = label_smoothing, loss, focal_gamma

    def forward(self, logits: Tensor, _images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return `loss`, a scalar, for logits [B, classes] and labels int64 [B] or float32 [B, classes].

        The images are not needed here.
        """
        shares = labels if labels.is_floating_point() else F.one_hot(labels, len(self.weights)).float()
        weights = shares @ self.weights
        match self.loss:
            case "cross-entropy":
                losses = F.cross_entropy(
                    logits.float(), shares, reduction="none", label_smoothing=self.label_smoothing
                )
            case "focal":
                losses = focal_losses(logits.float(), self._smooth(shares), self.focal_gamma)
            case "f1":
                return {"loss": f1_loss(logits.float(), shares)}
        return {"loss": (weights * losses).sum() / weights.sum()}

    def _smooth(self, shares: Tensor) -> Tensor:
        return (1 - self.label_smoothing) * shares + self.label_smoothing / len(self.weights)
