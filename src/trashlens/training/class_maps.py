"""An exported graph learns to say why: class activation maps as a second output (Zhou et al. 2016).

A head that averages its features over the photo and weighs the averages may as well weigh first and average then.
What it would average is a map: how much each place speaks for each class, and its mean is the logit, exactly.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.shape_inference import infer_shapes
from onnx.utils import Extractor

from trashlens.bundle import MAPS, Bundle
from trashlens.classifier import Classifier
from trashlens.errors import ExportError

__all__ = ["add_class_maps", "drop_class_maps", "explain_bundle"]

PASSING = frozenset({"DequantizeLinear", "Flatten", "Identity", "QuantizeLinear", "Reshape", "Squeeze"})
"""Operations that leave a pooled feature or a logit what it is, but for its shape and rounding."""
TOLERANCE = {"float32": 1e-3, "float16": 1e-3, "int8": 0.5}
"""Largest difference that passes between a logit and its map's mean, by storage of the weights; logits span about
±10, which int8 rounds to steps of a tenth."""
UNLIKE = (
    "No heat maps for this network: only global average pooling with a linear layer gives exact ones."
)


@dataclass(frozen=True, kw_only=True)
class _Head:
    """The end of a graph: features [B, C, h, w], averaged over h and w, times weights."""

    features: str
    weight: str
    bias: str | None
    layout: str
    """Of the weights: `kc11` as a convolution has them, `kc` or `ck` as a matrix."""


def explain_bundle(bundle: Bundle, images: NDArray[np.float32]) -> Bundle:
    """Return the bundle with the maps in its graph, once they have proved right on `images` [N, 3, size, size].

    Raises:
        ExportError: the network's head allows no maps, or the graph answers otherwise with them.
    """
    explained = dataclasses.replace(bundle, model=add_class_maps(bundle.model))
    before, after = Classifier(bundle), Classifier(explained)
    for image in images:
        logits, maps = after.infer_maps(image[None])
        if not np.array_equal(before.infer(image[None]), logits):
            raise ExportError("With heat maps the graph would answer otherwise than without them.")
        difference = float(np.abs(maps.mean(axis=(2, 3)) - logits).max())
        if not difference <= TOLERANCE[bundle.weights]:
            raise ExportError(
                f"The mean of a heat map differs by {difference:.2g} from its logit; "
                f"{TOLERANCE[bundle.weights]:.2g} is allowed with {bundle.weights} weights."
            )
    return explained


def add_class_maps(graph: bytes) -> bytes:
    """Return the graph with a second output `maps`, float32 [B, classes, h, w], whose means are the logits.

    The maps are one 1×1 convolution with the classifier's own weights, which are stored once. Nothing before the
    logits changes. Of an int8 graph, the maps are computed in float32 from what it stores in int8.

    Raises:
        ExportError: the head is no global average pooling with one linear layer behind it.
    """
    model = onnx.load_from_string(graph)
    outputs = [output.name for output in model.graph.output]
    if MAPS in outputs:
        return graph
    shapes = _find_shapes(model)
    head = _find_head(model.graph, outputs[0])
    features, weight = shapes.get(head.features, []), shapes.get(head.weight, [])
    channels = len(weight) > 1 and weight[0 if head.layout == "ck" else 1]
    fits = len(features) == 4 and features[1] == channels and weight[2:] in ([], [1, 1])
    if not fits or (head.bias and len(shapes.get(head.bias, [])) != 1):
        raise ExportError(UNLIKE)
    name = head.weight
    if head.layout == "ck":
        model.graph.node.append(helper.make_node("Transpose", [name], ["maps_matrix"], perm=[1, 0]))
        name = "maps_matrix"
    if head.layout != "kc11":
        model.graph.initializer.append(numpy_helper.from_array(np.array([2, 3]), "maps_axes"))
        model.graph.node.append(helper.make_node("Unsqueeze", [name, "maps_axes"], ["maps_weight"]))
        name = "maps_weight"
    inputs = [head.features, name, *([head.bias] if head.bias else [])]
    model.graph.node.append(helper.make_node("Conv", inputs, [MAPS], "class_maps"))
    classes = weight[1 if head.layout == "ck" else 0]
    shape = [features[0], classes, *features[2:]]
    model.graph.output.append(helper.make_tensor_value_info(MAPS, TensorProto.FLOAT, shape))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def drop_class_maps(graph: bytes) -> bytes:
    """Return the graph without the output `maps` and all that is computed for it alone."""
    model = onnx.load_from_string(graph)
    inputs, (logits, *_) = [
        [value.name for value in part] for part in (model.graph.input, model.graph.output)
    ]
    return bytes(Extractor(model).extract_model(inputs, [logits]).SerializeToString())


def _find_head(graph: onnx.GraphProto, logits: str) -> _Head:
    """Return the head that computes `logits`.

    Raises:
        ExportError: it is of another form.
    """
    producers = {output: node for node in graph.node for output in node.output}
    node, bias = _behind(logits, producers), None
    if node is not None and node.op_type == "Add":
        # A linear layer in two operations; the bias is the side that is no product.
        sides = list(node.input)
        made = [side for side in sides if (one := _behind(side, producers)) and one.op_type == "MatMul"]
        if len(made) != 1:
            raise ExportError(UNLIKE)
        sides.remove(made[0])
        node, bias = _behind(made[0], producers), sides[0]
    layout = _find_layout(node)
    if node is None or layout is None:
        raise ExportError(UNLIKE)
    pool = _behind(node.input[0], producers)
    if pool is None or not _averages_places(pool, graph.initializer):
        raise ExportError(UNLIKE)
    if len(node.input) > 2:
        bias = node.input[2]
    return _Head(features=pool.input[0], weight=node.input[1], bias=bias, layout=layout)


def _behind(name: str, producers: Mapping[str, NodeProto]) -> NodeProto | None:
    """Return the node that made a value, or None where the value comes from outside."""
    node = producers.get(name)
    while node is not None and node.op_type in PASSING:
        node = producers.get(node.input[0])
    return node


def _find_layout(node: NodeProto | None) -> str | None:
    """Return how a linear layer's weights lie, or None where the node is another one."""
    if node is None:
        return None
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "MatMul":
        return "ck"
    if node.op_type == "Gemm":
        plain = given.get("alpha", 1.0) == given.get("beta", 1.0) == 1.0 and not given.get("transA")
        return ("kc" if given.get("transB") else "ck") if plain else None
    if node.op_type == "Conv":
        return "kc11" if given.get("group", 1) == 1 and not any(given.get("pads", [])) else None
    return None


def _averages_places(node: NodeProto, constants: Iterable[TensorProto]) -> bool:
    """Return whether a node averages [B, C, h, w] over h and w."""
    if node.op_type == "GlobalAveragePool":
        return True
    if node.op_type != "ReduceMean":
        return False
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    axes = given.get("axes", ())
    if len(node.input) > 1:  # since version 18 of the operations
        axes = [
            axis for one in constants if one.name == node.input[1] for axis in numpy_helper.to_array(one)
        ]
    return sorted(int(axis) % 4 for axis in axes) == [2, 3]


def _find_shapes(model: onnx.ModelProto) -> dict[str, Sequence[int | str]]:
    """Return the shapes that are known, by value; a length that is open has a name, or none."""
    inferred = infer_shapes(model).graph
    shapes: dict[str, Sequence[int | str]] = {
        value.name: [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    return shapes | {tensor.name: list(tensor.dims) for tensor in inferred.initializer}
