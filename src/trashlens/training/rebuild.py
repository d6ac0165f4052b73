"""Bundle -> torch network: the way back, where the checkpoint is gone."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trashlens.bundle import Bundle
from trashlens.errors import ExportError, RecipeError
from trashlens.training.networks import NetworkConfig, create_network
from trashlens.training.parts import drop_auxiliary
from trashlens.training.widths import resize_layers

__all__ = ["pair_norms", "rebuild_network"]

HALF = "_half"
"""Ending of a weight's name where the graph stores it as float16."""
LINEAR = ("Conv", "Gemm")
"""Operations whose inputs are values, weight and bias."""


def rebuild_network(bundle: Bundle, *, instead: str = "") -> nn.Module:
    """Return the bundle's network, float32 [B, 3, size_px, size_px] -> logits, in evaluation mode.

    The recipe in its provenance says how it is built, its graph holds the weights by their names, and a pruned
    network's widths. Where the graph has a batch norm folded into the convolution before it, the convolution gets
    the folded weights and the batch norm becomes neutral. An auxiliary head is left out, as in the graph. Whether
    the network answers as the graph does is for the caller to check; `instead` is the sentence that says what else
    would help.

    Raises:
        ExportError: the provenance names no recipe, or the weights are not those of its network.
    """
    if bundle.weights == "int8":
        raise ExportError(
            f"The {bundle.role} bundle is int8, of which no float network can be made. Name the bundle that it "
            "was made from."
        )
    try:
        recipe = bundle.provenance["recipe"]["network"]
        config = NetworkConfig(**{**recipe, "weights": "none", "widths": "own"})
        network, _ = create_network(config, classes=len(bundle.labels))
        drop_auxiliary(network)
    except (KeyError, TypeError, RecipeError) as error:
        raise ExportError(
            f"The {bundle.role} bundle does not say how its network is built. {instead}".strip()
        ) from error
    tensors = _read_tensors(bundle.model)
    try:
        if recipe.get("widths") == "weights":
            resize_layers(network, _with_norms(network, tensors))
        with torch.no_grad():
            needed = _neutralise(network, tensors)
        missing = sorted(needed - tensors.keys())
        if missing:
            raise ValueError(f"its graph has no {missing[0]}")
        network.load_state_dict({name: tensors[name] for name in needed}, strict=False)
    except (RuntimeError, ValueError) as error:
        why = "their shapes differ" if isinstance(error, RuntimeError) else str(error)
        raise ExportError(
            f"The {bundle.role} bundle's weights are not those of the network its recipe names: {why}. "
            f"{instead}".strip()
        ) from error
    return network.eval()


def pair_norms(network: nn.Module) -> dict[str, str]:
    """Return the name of each batch norm that follows a convolution of as many channels, and that one's name."""
    layers = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | _BatchNorm)
    ]
    return {
        second: first
        for (first, before), (second, behind) in pairwise(layers)
        if isinstance(before, nn.Conv2d)
        and isinstance(behind, _BatchNorm)
        and before.out_channels == behind.num_features
    }


def _with_norms(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors, and for each folded batch norm one of its size."""
    biases = {
        norm: tensors.get(f"{convolution}.bias") for norm, convolution in pair_norms(network).items()
    }
    sizes = {f"{norm}.weight": bias for norm, bias in biases.items() if bias is not None}
    return {**sizes, **tensors}


def _neutralise(network: nn.Module, tensors: dict[str, Tensor]) -> set[str]:
    """Give convolutions their folded bias, make folded batch norms neutral; return the tensors that remain."""
    needed = {name for name in network.state_dict() if not name.endswith("num_batches_tracked")}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and module.bias is None and f"{name}.bias" in tensors:
            module.bias = nn.Parameter(tensors[f"{name}.bias"].clone())
        if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
            # The export leaves out a bias that is all zero.
            tensors.setdefault(f"{name}.bias", torch.zeros_like(module.bias))
        if isinstance(module, _BatchNorm) and f"{name}.running_mean" not in tensors:
            module.reset_parameters()  # mean 0, variance 1, weight 1, bias 0
            assert module.running_var is not None
            module.running_var.fill_(1 - module.eps)
            needed -= {f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")}
    return needed


def _read_tensors(graph: bytes) -> dict[str, Tensor]:
    """Return a graph's weights by the names that they have in the network, as float32."""
    parts = onnx.load_from_string(graph).graph
    tensors = {
        tensor.name.removesuffix(HALF): torch.from_numpy(
            numpy_helper.to_array(tensor).astype(np.float32)
        )
        for tensor in parts.initializer
    }
    for node in parts.node:
        # A bias is found by its weight: it comes from a folded batch norm, or is one that several layers share.
        if node.op_type in LINEAR and len(node.input) > 2 and node.input[1].endswith(".weight"):
            tensors[f"{node.input[1].removesuffix('.weight')}.bias"] = tensors[
                node.input[2].removesuffix(HALF)
            ]
    return tensors
