"""Network -> ONNX graph, and the graph with smaller weights."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

__all__ = ["PERCENTILE", "quantise", "resize_input", "to_onnx"]

PERCENTILE = 99.99
"""Of the values that flow through a place of the network, so many percent lie in the range that int8 covers."""

HALF_MIN_VALUES = 1024
"""Tensors with fewer values stay float32: they weigh nothing."""


def to_onnx(network: nn.Module, *, size_px: int, weights: str = "float32") -> bytes:
    """Return the network as an ONNX graph, `images` float32 [B, 3, size_px, size_px] -> `logits`."""
    example = torch.zeros(2, 3, size_px, size_px)
    program = torch.onnx.export(
        network.eval(),
        (example,),
        dynamo=True,
        external_data=False,
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    _strip_traces(model)
    if weights == "float16":
        _store_as_half(model.graph)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def resize_input(graph: bytes, *, size_px: int) -> bytes:
    """Return a graph of `to_onnx` for images of another size, whose network pools over all places."""
    model = onnx.load_from_string(graph)
    del model.graph.value_info[:]  # the shapes between, which are others now
    (images,) = model.graph.input
    for side in images.type.tensor_type.shape.dim[2:]:
        side.dim_value = size_px
    return bytes(model.SerializeToString())


def quantise(graph: bytes, images: NDArray[np.float32]) -> bytes:
    """Return a graph of `to_onnx` with weights of 7 bits in int8 and uint8 activations (Jacob et al. 2018).

    Weights have a scale for each output channel; the activations' ranges hold `PERCENTILE` of their values over
    `images`, [N, 3, size_px, size_px], so that these need to be typical, and few: all values of all places are in
    memory at once, 200 MB a photo for the shipped teacher. Quantising after training costs accuracy, for
    the caller to measure.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source, prepared, result = (
            Path(scratch) / f"{name}.onnx" for name in ("source", "prepared", "int8")
        )
        source.write_bytes(graph)
        quant_pre_process(
            source, prepared, skip_symbolic_shape=True
        )  # folds batch norm into convolutions, and the casts of weights that are stored as float16
        quantize_static(
            prepared,
            result,
            _Reader(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # Processors without VNNI add pairs of products in 16 bits, which weights of 8 bits overflow: there the
            # teacher's logits would be three times as far from the exact ones. With 7 bits they are the same.
            reduce_range=True,
            # Extremes are of a few outliers, for which all other values would be rounded more coarsely.
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": PERCENTILE},
        )
        model = onnx.load(result)
    _strip_traces(model)
    return bytes(model.SerializeToString())


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands photos to the quantiser one by one."""

    def __init__(self, images: NDArray[np.float32]) -> None:
        self.inputs: Iterator[dict[str, Any]] = ({"images": image[None]} for image in images)

    def get_next(self) -> dict[str, Any] | None:
        return next(self.inputs, None)


def _strip_traces(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes about the machine it ran on: paths and stack traces."""
    del model.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    del model.graph.metadata_props[:]
    graph = model.graph
    for part in (*graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]


def _store_as_half(graph: onnx.GraphProto) -> None:
    """Keep large weights as float16 behind a Cast, which ONNX Runtime folds away when it loads the graph."""
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < HALF_MIN_VALUES:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
