"""How far a network is pruned, and by which measure of what a channel is worth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["PruneConfig"]


@dataclass(frozen=True, kw_only=True)
class PruneConfig:
    """How far, and by which measure."""

    output: Path = Path("runs/pruned")
    """Folder of the pruned network's checkpoint."""
    macs_share: float | None = 0.3
    """Share of the multiply-adds that may be left, such as 0.3; `null` for no such target."""
    parameters_share: float | None = None
    """Share of the parameters that may be left; of two targets both are met."""
    importance: Literal["taylor", "magnitude"] = "taylor"
    """What a channel and all that depends on it are worth, as a multiple of the mean of its layer: the first-order
    estimate of what the loss rises without each of their weights, summed (Molchanov et al. 2019), on 32 training
    photos drawn anew for each step, or the norm of their weights (Li et al. 2017)."""
    scope: Literal["network", "alike", "layer"] = "network"
    """Channels are ranked in the whole network, among parts of the same structure (isomorphic pruning, Fang et al.
    2024), or in each layer for itself, so that all layers lose the same share."""
    steps: int = 30
    """Into so many steps the way to `max_share` is cut; each ranks what is left anew, and the first that meets the
    targets is the last."""
    max_share: float = 0.75
    """No layer loses more than this share of its channels."""
    round_to: int = 8
    """Channels come in multiples of this, as vector instructions take them."""
    photos: int = 256
    """Training photos that importance draws from, and that the batch norms' statistics are reckoned by."""
    processed: Path = Path("data/processed")
    """Folder of the prepared photos."""
    seed: int = 0
    """Determines the order of the photos."""

    def __post_init__(self) -> None:
        shares = (self.macs_share, self.parameters_share)
        if shares == (None, None):
            raise ValueError("Pruning needs a target: macs_share or parameters_share, such as 0.3.")
        if not all(share is None or 0 < share < 1 for share in shares):
            raise ValueError("macs_share and parameters_share must lie between 0 and 1, such as 0.3.")
        if not 0 < self.max_share < 1:
            raise ValueError("max_share must lie between 0 and 1, such as 0.75.")
        if self.steps < 1 or self.round_to < 1:
            raise ValueError("steps and round_to must be at least 1.")
        if self.photos < 32:
            raise ValueError("photos must be at least 32: importance needs a batch.")
