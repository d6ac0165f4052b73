"""Cross entropy against the labels, hard or mixed."""

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Supervised", "class_weights"]


def class_weights(counts: Tensor, power: float) -> Tensor:
    """Return (1 / counts) ** power [classes]; only their ratios matter to a weighted mean."""
    return counts.clamp(min=1) ** -power


class Supervised(nn.Module):
    """Cross entropy against the labels, weighted by class, with label smoothing (Szegedy et al. 2016).

    Labels may be mixed (mixup, Zhang et al. 2018). It is the weighted mean over the photos, each of which weighs
    what its labels do: the number of `torch.nn.CrossEntropyLoss` for hard labels without smoothing. Otherwise
    torch weighs the classes inside a photo's sum instead, which moves the best answer to a label spread over all
    classes towards the rare ones.
    """

    weights: Tensor

    def __init__(self, weights: Tensor, label_smoothing: float) -> None:
        """Take the weight of each class, float32 [classes]."""
        super().__init__()
        self.register_buffer("weights", weights)
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, _images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return `loss`, a scalar, for logits [B, classes] and labels int64 [B] or float32 [B, classes].

        The images are not needed here.
        """
        shares = labels if labels.is_floating_point() else F.one_hot(labels, len(self.weights)).float()
        weights = shares @ self.weights
        losses = F.cross_entropy(
            logits.float(), shares, reduction="none", label_smoothing=self.label_smoothing
        )
        return {"loss": (weights * losses).sum() / weights.sum()}
