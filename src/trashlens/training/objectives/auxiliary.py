"""The loss of a network that answers twice while it is trained: at its end and from its middle."""

from torch import Tensor, nn

from trashlens.training.objectives.supervised import Supervised

__all__ = ["WithAuxiliary"]


class WithAuxiliary(nn.Module):
    """The loss of the last answer, and a share of the auxiliary head's (Szegedy et al. 2015, section 5).

    The auxiliary head sends gradients into the middle of the network; it is judged by the labels alone, whatever
    the last answer learns from.
    """

    def __init__(self, inner: nn.Module, supervised: Supervised, weight: float) -> None:
        """Take the loss of the last answer, that of labels, and what the auxiliary one counts."""
        super().__init__()
        self.inner = inner
        self.supervised = supervised
        self.weight = weight

    def forward(
        self, logits: tuple[Tensor, Tensor], images: Tensor, labels: Tensor
    ) -> dict[str, Tensor]:
        """Return the parts of the last answer's loss, with `auxiliary` and, in `loss`, its share of it.

        `logits` are the network's two answers in training, last and auxiliary, both [B, classes]; images and
        labels are as the inner loss takes them.
        """
        last, middle = logits
        parts = dict(self.inner(last, images, labels))
        auxiliary = self.supervised(middle, images, labels)["loss"]
        return {**parts, "loss": parts["loss"] + self.weight * auxiliary, "auxiliary": auxiliary}
