"""A pruned network again: its layers become as wide as the tensors that were kept of them."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["resize_layers"]


def resize_layers(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give convolutions, batch norms and linear layers the shapes of `tensors`, named as in the network.

    What a pruned network's weights file holds is thus all that is needed to build it: no list of widths could
    contradict it. New parameters are uninitialised; layers whose shapes agree stay as they are.

    Raises:
        ValueError: tensors differ by more than their channels.
    """
    for name, module in network.named_modules():
        weight = tensors.get(f"{name}.weight")
        if weight is None:
            continue
        if isinstance(module, nn.Conv2d):
            _resize_convolution(name, module, weight)
        elif isinstance(module, _BatchNorm):
            _resize_norm(module, len(weight))
        elif isinstance(module, nn.Linear) and weight.ndim == 2:
            module.out_features, module.in_features = weight.shape
            _replace(module, "weight", weight.shape)
            _replace(module, "bias", weight.shape[:1])


def _resize_convolution(name: str, module: nn.Conv2d, weight: Tensor) -> None:
    if weight.shape[2:] != module.weight.shape[2:]:
        raise ValueError(f"{name} has a kernel of another size")
    if module.groups == module.in_channels > 1:  # depthwise: a channel is a group
        module.groups = weight.shape[0]
    module.out_channels = weight.shape[0]
    module.in_channels = weight.shape[1] * module.groups
    _replace(module, "weight", weight.shape)
    _replace(module, "bias", weight.shape[:1])


def _resize_norm(module: _BatchNorm, channels: int) -> None:
    module.num_features = channels
    for name in ("weight", "bias"):
        _replace(module, name, torch.Size([channels]))
    for name in ("running_mean", "running_var"):
        kept = getattr(module, name)
        if kept is not None and kept.shape != (channels,):
            module.register_buffer(name, torch.zeros(channels))


def _replace(module: nn.Module, name: str, shape: torch.Size) -> None:
    """Put an empty parameter where there is one of another shape."""
    kept = getattr(module, name)
    if kept is not None and kept.shape != shape:
        setattr(module, name, nn.Parameter(torch.empty(shape)))
