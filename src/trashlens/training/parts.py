"""The top-level parts of a network: how much of it a frozen share is, and an auxiliary head."""

import math
from collections.abc import Callable
from typing import Any

from torch import nn

from trashlens.errors import RecipeError

__all__ = ["answer_once_in_use", "drop_auxiliary", "name_parts", "share_of_parts"]

HALF = 0.5
"""A child that holds more of the layers with weights is no part but a box of parts."""
AUXILIARY = "AuxLogits"
"""What timm calls InceptionV3's auxiliary head."""


def name_parts(network: nn.Module) -> list[str]:
    """Return the names of a network's top-level parts, in the order of its children, the head last.

    A part is a child of the network, with weights or without: ResNet-50 has ten of them (`conv1`, `bn1`, `act1`,
    `maxpool`, `layer1` to `layer4`, `global_pool`, `fc`), as the study that the frozen shares are from counts
    them. Some networks put all their stages into one child (MobileNet's `blocks`, ResNet v2's `stages`): where one
    holds more than half of all modules with weights of their own, its children stand in its place. An auxiliary
    head hangs beside the others and is none of them.
    """
    layers = sum(map(_has_weights, network.modules()))
    names = []
    for name, child in network.named_children():
        if name == AUXILIARY:
            continue
        inside = sum(map(_has_weights, child.modules()))
        if inside > HALF * layers and any(True for _ in child.children()):
            names += [f"{name}.{part}" for part, _ in child.named_children()]
        else:
            names.append(name)
    return names


def share_of_parts(network: nn.Module, share: float) -> tuple[str, ...]:
    """Return the first parts of a network that make up a share of them, rounded down: 0.6 of ten are six.

    The head is never among them, nor is an auxiliary one.

    Raises:
        RecipeError: the share leaves out less than the head.
    """
    names = name_parts(network)
    # Of ten parts 0.7 are seven, whatever the product of floats says.
    count = math.floor(share * len(names) + 1e-9)
    if count >= len(names):
        raise RecipeError(
            f"network.frozen_share {share} of {len(names)} parts leaves no head to train: take less than 1."
        )
    return tuple(names[:count])


def answer_once_in_use(network: nn.Module) -> nn.Module:
    """Return the network, whose auxiliary head, if it has one, answers while it is trained and never else.

    timm's InceptionV3, built with `aux_logits: true`, gives two answers in evaluation too; the second is there to
    send gradients into the middle of the network, and to be left out in use (Szegedy et al. 2015, section 5).
    """
    if not hasattr(network, "aux_logits") or not hasattr(network, AUXILIARY):
        return network
    train: Callable[..., nn.Module] = type(network).train
    network.__class__ = type(type(network).__name__, (type(network),), {"train": _make_switch(train)})
    return network


def drop_auxiliary(network: nn.Module) -> None:
    """Take away an auxiliary head, which is there to be trained with, and in nobody's way where there is none."""
    if hasattr(network, AUXILIARY):
        delattr(network, AUXILIARY)


def _make_switch(train: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    def switch(network: Any, mode: bool = True) -> nn.Module:
        network.aux_logits = mode and hasattr(network, AUXILIARY)
        return train(network, mode)

    return switch


def _has_weights(module: nn.Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None
