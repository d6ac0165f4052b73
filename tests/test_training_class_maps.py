"""The maps are exact, cost next to nothing, lie where the evidence lies; heads that allow none are refused."""

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import timm
import torch
from conftest import toy_bundle, toy_model
from onnx import helper, numpy_helper
from onnx.shape_inference import infer_shapes
from PIL import Image, ImageDraw

from trashlens.bundle import ROLES, load_bundle
from trashlens.classifier import Classifier
from trashlens.errors import ExportError
from trashlens.training import class_maps as module
from trashlens.training.class_maps import add_class_maps, explain_bundle
from trashlens.training.graph import quantise, to_onnx

MODELS = Path(__file__).parents[1] / "models"
SIZE_PX = 64


def noise(count: int, size_px: int = SIZE_PX) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 3, size_px, size_px)).astype(np.float32)


def run(graph: bytes, images: np.ndarray) -> list[np.ndarray]:
    return ort.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(None, {"images": images})


def export(name: str, weights: str = "float32") -> bytes:
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=6)
    # Untrained networks answer with logits near 0, in which no error would show.
    with torch.no_grad():
        network.get_classifier().weight *= 50
        network.get_classifier().bias += torch.arange(6)
    return to_onnx(network, size_px=SIZE_PX, weights=weights)


HEADS = ("mobilenetv2_035", "resnetv2_50x1_bit", "resnet10t")


@pytest.mark.parametrize("weights", ["float32", "float16"])
@pytest.mark.parametrize("name", HEADS)
def test_the_mean_of_a_map_is_the_logit_and_the_logits_stay(name: str, weights: str) -> None:
    graph = export(name, weights)
    explained = add_class_maps(graph)
    images = noise(3)
    (expected,) = run(graph, images)
    logits, maps = run(explained, images)
    assert np.array_equal(logits, expected)
    assert maps.shape[:2] == (3, 6)
    assert min(maps.shape[2:]) >= 2
    assert np.ptp(maps, axis=(2, 3)).min() > 1e-3  # no map is flat
    assert np.ptp(logits) > 1
    assert np.abs(maps.mean(axis=(2, 3)) - logits).max() < 1e-6 * np.abs(logits).max() + 1e-5
    assert len(explained) - len(graph) < 300  # the weights are stored once
    assert add_class_maps(explained) == explained


@pytest.mark.parametrize("name", ["mobilenetv2_035", "resnet10t"])
def test_int8_has_maps_of_what_it_stores(name: str) -> None:
    graph = quantise(export(name), noise(8))
    explained = add_class_maps(graph)
    images = noise(1)
    (expected,) = run(graph, images)
    logits, maps = run(explained, images)
    assert np.array_equal(logits, expected)
    step = np.ptp(logits) / 100
    assert np.abs(maps.mean(axis=(2, 3)) - logits).max() < 3 * step
    assert len(explained) - len(graph) < 300


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "test_convnext"])
def test_a_head_of_another_form_is_refused_in_a_sentence(name: str) -> None:
    graph = export(name)
    with pytest.raises(ExportError, match="only global average pooling with a linear layer"):
        add_class_maps(graph)


def headed(nodes: list[onnx.NodeProto], *, opset: int = 20, **constants: np.ndarray) -> bytes:
    """Return a graph that ends in `nodes`, which make `logits` of `images` [B, 3, 8, 8]."""
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 6])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return bytes(model.SerializeToString())


W = np.random.default_rng(1).normal(size=(3, 6)).astype(np.float32)
B = np.arange(6, dtype=np.float32)
MEAN = helper.make_node("GlobalAveragePool", ["images"], ["mean"])
FLAT = helper.make_node("Flatten", ["mean"], ["flat"])
PLACES = np.array([-1, -2])


def node(kind: str, *inputs: str, to: str = "logits", **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [to], **attributes)


def test_it_knows_the_ways_in_which_a_head_is_written() -> None:
    product = node("MatMul", "flat", "w", to="product")
    squeezed = node("ReduceMean", "images", to="flat", axes=[2, 3], keepdims=0)
    convolved = node("Conv", "mean", "w", "b", to="column")
    graphs = [
        headed([MEAN, FLAT, node("Gemm", "flat", "w", "b")], w=W, b=B),
        headed([MEAN, FLAT, node("Gemm", "flat", "w", "b", transB=1)], w=W.T.copy(), b=B),
        headed([MEAN, FLAT, product, node("Add", "product", "b")], w=W, b=B),
        headed([MEAN, FLAT, product, node("Add", "b", "product")], w=W, b=B),
        headed([squeezed, node("Gemm", "flat", "w", "b")], opset=13, w=W, b=B),
        headed([MEAN, convolved, node("Flatten", "column")], w=W.T.reshape(6, 3, 1, 1).copy(), b=B),
        headed([MEAN, FLAT, node("MatMul", "flat", "w")], w=W),
    ]
    images = noise(2, 8)
    for graph in graphs:
        logits, maps = run(add_class_maps(graph), images)
        assert maps.shape == (2, 6, 8, 8)
        assert np.abs(maps.mean(axis=(2, 3)) - logits).max() < 1e-5
    assert np.ptp(maps.mean(axis=(2, 3))) > 0.1


def test_it_is_not_taken_in_by_what_only_looks_like_a_head() -> None:
    along = node("ReduceMean", "images", "axes", to="flat", keepdims=0)
    gemm = node("Gemm", "flat", "w", "b")
    wide = np.ones((8, 6), np.float32)
    graphs = [
        headed([along, gemm], w=wide, b=B, axes=np.array([1, 2])),  # averaged over channels and rows
        headed([MEAN, FLAT, node("Gemm", "flat", "w", "b", alpha=2.0)], w=W, b=B),
        headed(  # another product in the place of a bias
            [
                *(MEAN, FLAT, node("MatMul", "flat", "w", to="one"), node("Relu", "one", to="two")),
                node("Add", "one", "two"),
            ],
            w=W,
        ),
        headed([MEAN, FLAT, node("Relu", "flat", to="kept"), node("Gemm", "kept", "w", "b")], w=W, b=B),
        headed([MEAN, FLAT, node("Gemm", "flat", "w", "b", to="raw"), node("Softmax", "raw")], w=W, b=B),
        headed([node("Flatten", "images", to="flat"), gemm], w=np.ones((192, 6), np.float32), b=B),
    ]
    for graph in graphs:
        with pytest.raises(ExportError, match="No heat maps for this network"):
            add_class_maps(graph)
    right = headed([along, gemm], w=W, b=B, axes=PLACES)  # the first one's only mistake is its axes
    assert len(run(add_class_maps(right), noise(1, 8))) == 2


def test_the_gate_lets_no_map_pass_that_is_not_its_logit(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = toy_bundle("student", toy_model())
    images = noise(2, 32)
    assert Classifier(explain_bundle(bundle, images)).has_maps
    assert not Classifier(bundle).has_maps

    def shift(name: str, by: float) -> bytes:
        model = onnx.load_from_string(add_class_maps(bundle.model))
        (made,) = (n for n in model.graph.node if n.output[0] == name)
        made.output[0] = "honest"
        model.graph.initializer.append(numpy_helper.from_array(np.float32(by), "by"))
        model.graph.node.append(node("Add", "honest", "by", to=name))
        return bytes(model.SerializeToString())

    monkeypatch.setattr(module, "add_class_maps", lambda _: shift("maps", 0.01))
    with pytest.raises(ExportError, match=r"differs by 0\.01 from its logit; 0\.001 is allowed"):
        explain_bundle(bundle, images)
    monkeypatch.setattr(module, "add_class_maps", lambda _: shift("maps", math.nan))
    with pytest.raises(ExportError, match="differs by nan"):
        explain_bundle(bundle, images)
    monkeypatch.setattr(module, "add_class_maps", lambda _: shift("logits", 0.01))
    with pytest.raises(ExportError, match="would answer otherwise"):
        explain_bundle(bundle, images)


# The committed bundles


@pytest.fixture(scope="module", params=ROLES)
def committed(request: pytest.FixtureRequest) -> Classifier:
    return Classifier(load_bundle(MODELS, request.param))


def draw_box(seed: int, *, right: bool, low: bool) -> Image.Image:
    """Return a picture of a piece of corrugated cardboard in one quadrant of a light ground."""
    generator = np.random.default_rng(seed)
    ground = np.full((400, 400, 3), (222.0, 221.0, 217.0)) + generator.normal(0, 3, (400, 400, 1))
    waves = 8 * np.sin(np.arange(140) / 3) + generator.normal(0, 5, (140, 140))
    left, top = 250 if right else 10, 250 if low else 10
    ground[top : top + 140, left : left + 140] = np.array((176.0, 132.0, 84.0)) + waves[..., None]
    picture = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    corners = (left, top, left + 139, top + 139)
    ImageDraw.Draw(picture).rectangle(corners, outline=(110, 80, 45), width=3)
    return picture


@pytest.mark.parametrize("low", [False, True])
@pytest.mark.parametrize("right", [False, True])
def test_the_committed_networks_see_cardboard_where_it_lies(
    committed: Classifier, right: bool, low: bool
) -> None:
    bundle = committed.bundle
    images = bundle.preprocess(draw_box(0, right=right, low=low))[None]
    logits, maps = committed.infer_maps(images)
    assert np.abs(maps.mean(axis=(2, 3)) - logits).max() < 1e-3
    values = maps[0, bundle.labels.index("cardboard")]
    row, column = np.unravel_index(values.argmax(), values.shape)
    assert (column >= values.shape[1] / 2, row >= values.shape[0] / 2) == (right, low)
    assert values.max() > 0


def test_the_maps_of_the_committed_networks_cost_a_hundredth_at_most(committed: Classifier) -> None:
    """Multiplications of the one convolution, of those of all convolutions and linear layers."""
    graph = infer_shapes(onnx.load_from_string(committed.bundle.model)).graph
    values = (*graph.value_info, *graph.output)
    shapes = {v.name: [dim.dim_value or 1 for dim in v.type.tensor_type.shape.dim] for v in values}
    shapes |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    by_output = {
        one.output[0]: math.prod(shapes[one.input[1]]) * math.prod(shapes[one.output[0]][2:])
        for one in graph.node
        if one.op_type in ("Conv", "Gemm")
    }
    assert len(by_output) > 30
    assert 0 < by_output["maps"] < 0.01 * sum(by_output.values())
    assert sum(by_output.values()) > 1e8
