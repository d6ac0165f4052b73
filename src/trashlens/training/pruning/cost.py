"""What a network costs: layers, parameters, multiply-adds and bytes, counted in torch or in an ONNX graph."""

import math
from dataclasses import dataclass

import onnx
import torch
from onnx import numpy_helper
from onnx.shape_inference import infer_shapes
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from trashlens.errors import ExportError
from trashlens.training.class_maps import drop_class_maps

__all__ = ["Cost", "count_cost", "count_macs", "count_parameters"]

WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one photo costs, and what the file weighs."""

    layers: int
    """Convolutions and linear layers; batch norm is folded into them."""
    parameters: int
    """Numbers that layers multiply or add, batch norm folded."""
    macs: int
    """Multiply-adds of convolutions and linear layers for one photo at the network's own input size."""
    size_bytes: int
    """Of the graph's file."""
    size_px: int
    """Side of the input, pixels."""


def count_macs(network: nn.Module, example: Tensor) -> int:
    """Return the multiply-adds of convolutions and linear layers for `example`, float32 [1, 3, H, W]."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(example)
    return int(counter.get_total_flops()) // 2


def count_parameters(network: nn.Module) -> int:
    """Return the number of values that training changes."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_cost(graph: bytes, *, size_px: int) -> Cost:
    """Return what a graph of `to_onnx` costs, without the heat maps, of which the logits need nothing.

    A layer multiplies each of its weights once for each place of its output.

    Raises:
        ExportError: no layer has weights in floating point, as in int8.
    """
    model = infer_shapes(onnx.load_from_string(drop_class_maps(graph)))
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.output)
    }
    constants = {
        tensor.name: list(tensor.dims)
        for tensor in model.graph.initializer
        if numpy_helper.to_array(tensor).dtype.kind == "f"
    }
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in constants:  # weights that are stored as float16
            constants[node.output[0]] = constants.pop(node.input[0])
    layers, macs = 0, 0
    for node in model.graph.node:
        if node.op_type not in WEIGHTED or node.input[1] not in constants:
            continue
        shape = shapes[node.output[0]]
        places = math.prod(shape[2:] if node.op_type == "Conv" else shape[1:-1])
        layers += 1
        macs += math.prod(constants[node.input[1]]) * places
    if not layers:
        raise ExportError(
            "What an int8 graph costs is not counted. Compare the bundles before quantisation."
        )
    return Cost(
        layers=layers,
        # Single numbers are the bounds of activations.
        parameters=sum(math.prod(dims) for dims in constants.values() if dims),
        macs=macs,
        size_bytes=len(graph),
        size_px=size_px,
    )
