"""The weights that are validated and kept: averaged over the steps, and partly those that training began with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

__all__ = ["Averaging"]


class Averaging:
    """An exponential average of the weights over the steps, and a share of the weights at the start.

    The average (Polyak and Juditsky 1992, with forgetting) is less noisy than the last step's weights. The
    share of the start (WiSE-FT, Wortsman et al. 2022) keeps what fine-tuning forgets of the pretrained
    features: kept = (1 - share) · trained + share · start. Batch norm's statistics are treated like weights.
    """

    def __init__(
        self, network: nn.Module, *, ema: float, keep_start: float, device: torch.device
    ) -> None:
        """Take the decay a step and the share of the start; 0 for neither. Not yet wrapped by accelerate."""
        self.keep_start = keep_start
        self.start: dict[str, Tensor] = {}
        self.average: AveragedModel | None = None
        if ema:
            self.average = AveragedModel(
                network,
                device,
                multi_avg_fn=get_ema_multi_avg_fn(ema),  # type: ignore[no-untyped-call]
                use_buffers=True,
            )

    def begin(self, network: nn.Module) -> None:
        """Remember the weights at the start, which all processes share by now."""
        if self.keep_start:
            self.start = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    def update(self, network: nn.Module) -> None:
        """Take a step's weights into the average; the first ones are the average."""
        if self.average is not None:
            self.average.update_parameters(network)

    @contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """Give the network the weights to validate and keep, for the length of the block."""
        if self.average is None and not self.keep_start:
            yield
            return
        current = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        trained = current if self.average is None else self.average.module.state_dict()
        network.load_state_dict({name: self._keep(name, tensor) for name, tensor in trained.items()})
        try:
            yield
        finally:
            network.load_state_dict(current)

    def _keep(self, name: str, trained: Tensor) -> Tensor:
        if not (self.keep_start and trained.is_floating_point()):  # counters are not averaged
            return trained
        return torch.lerp(self.start[name], trained, 1 - self.keep_start)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        average = {} if self.average is None else self.average.state_dict()
        return {"start": self.start, "average": average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state of the same settings."""
        self.start = {
            name: tensor.to(self.start[name].device) for name, tensor in state["start"].items()
        }
        if self.average is not None:
            self.average.load_state_dict(state["average"])
