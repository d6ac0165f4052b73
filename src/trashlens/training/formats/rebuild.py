"""Bundle -> torch network: the way back, for converters that begin with torch, where the checkpoint is gone."""

from collections.abc import Mapping

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from trashlens.bundle import Bundle
from trashlens.errors import ExportError, RecipeError
from trashlens.training.networks import NetworkConfig, create_network

__all__ = ["rebuild_network"]

HALF = "_half"
"""Ending of a weight's name where the graph stores it as float16."""
LINEAR = ("Conv", "Gemm")
"""Operations whose inputs are values, weight and bias."""


def rebuild_network(bundle: Bundle) -> nn.Module:
    """Return the bundle's network, float32 [B, 3, size_px, size_px] -> logits, in evaluation mode.

    The recipe in its provenance says how it is built, its graph holds the weights by their names. Where the graph
    has a batch norm folded into the convolution before it, the convolution gets the folded weights and the batch
    norm becomes neutral. Whether the network answers as the graph does is for the caller to check.

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
        config = NetworkConfig(**{**recipe, "weights": "none"})
        network, _ = create_network(config, classes=len(bundle.labels))
    except (KeyError, TypeError, RecipeError) as error:
        raise ExportError(
            f"The {bundle.role} bundle does not say how its network is built. Export it anew from its checkpoint, "
            "or choose openvino, which is made of the graph."
        ) from error
    tensors = _read_tensors(bundle.model)
    with torch.no_grad():
        needed = _unfold(network, tensors)
    missing = sorted(needed - tensors.keys())
    if missing:
        raise _unlike(bundle, f"its graph has no {missing[0]}")
    try:
        network.load_state_dict({name: torch.from_numpy(tensors[name]) for name in needed}, strict=False)
    except RuntimeError as error:
        raise _unlike(bundle, "their shapes differ") from error
    return network.eval()


def _unfold(network: nn.Module, tensors: Mapping[str, NDArray[np.float32]]) -> set[str]:
    """Give convolutions their folded bias, make folded batch norms neutral; return the tensors that remain."""
    needed = {name for name in network.state_dict() if not name.endswith("num_batches_tracked")}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and module.bias is None and f"{name}.bias" in tensors:
            module.bias = nn.Parameter(torch.from_numpy(tensors[f"{name}.bias"]))
        if isinstance(module, _BatchNorm) and f"{name}.running_mean" not in tensors:
            module.reset_parameters()  # mean 0, variance 1, weight 1, bias 0
            module.eps = 0.0
            needed -= {f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")}
    return needed


def _read_tensors(graph: bytes) -> dict[str, NDArray[np.float32]]:
    """Return a graph's weights by the names that they have in the network, as float32."""
    parts = onnx.load_from_string(graph).graph
    tensors = {
        tensor.name.removesuffix(HALF): numpy_helper.to_array(tensor).astype(np.float32)
        for tensor in parts.initializer
    }
    for node in parts.node:
        # A bias is found by its weight: it comes from a folded batch norm, or is one that several layers share.
        if node.op_type in LINEAR and len(node.input) > 2 and node.input[1].endswith(".weight"):
            tensors[f"{node.input[1].removesuffix('.weight')}.bias"] = tensors[
                node.input[2].removesuffix(HALF)
            ]
    return tensors


def _unlike(bundle: Bundle, why: str) -> ExportError:
    return ExportError(
        f"The {bundle.role} bundle's weights are not those of the network its recipe names: {why}. Choose "
        "openvino, which is made of the graph."
    )
