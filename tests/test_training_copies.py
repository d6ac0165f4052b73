"""A bundle's copy in int8 passes the same gate as a checkpoint's, and says what it is a copy of."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import LABELS, toy_bundle, toy_model

from trashlens.__main__ import main
from trashlens.bundle import MAPS, Bundle
from trashlens.classifier import Classifier
from trashlens.errors import DataError, ExportError
from trashlens.image import Preprocess
from trashlens.training import export as export_module
from trashlens.training.class_maps import add_class_maps, drop_class_maps
from trashlens.training.copies import copy_bundle
from trashlens.training.data import read_photos
from trashlens.training.export import ExportConfig
from trashlens.training.graph import to_onnx
from trashlens.training.networks import NetworkConfig, create_network, fit_head

SPLIT = {"split": "official", "seed": None}


@pytest.fixture(scope="module")
def original(processed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with heat maps and weights in float16, as the teacher is committed."""
    folder = tmp_path_factory.mktemp("original") / "teacher"
    preprocess = Preprocess(size_px=32)
    torch.manual_seed(0)
    network, _ = create_network(NetworkConfig(name="test_efficientnet", weights="none"), classes=6)
    images, labels = read_photos(processed / "train", LABELS, preprocess)
    fit_head(network, [(torch.from_numpy(images), torch.from_numpy(labels))])
    Bundle(
        role="teacher",
        architecture="test_efficientnet",
        labels=LABELS,
        preprocess=preprocess,
        model=add_class_maps(to_onnx(network, size_px=32, weights="float16")),
        parameters=1,
        weights="float16",
        temperature=3.0,
        metrics={"val": {"accuracy": 0.0}, "test": {"accuracy": 0.9}},
        provenance={"epoch": 3, "data": SPLIT, "maps": {"how": "added"}},
    ).write(folder)
    return folder


@pytest.fixture
def config(processed: Path, monkeypatch: pytest.MonkeyPatch) -> ExportConfig:
    monkeypatch.setattr(export_module, "ACCURACY_LOSS", 1.0)  # a network this small may lose much
    return ExportConfig(
        weights="int8", photos=processed / "val", calibration=processed / "train", precision=0.5
    )


def test_the_copy_is_int8_measured_anew_and_names_its_original(
    original: Path, config: ExportConfig, processed: Path, tmp_path: Path
) -> None:
    former = Bundle.load(original)
    folder = copy_bundle(original, tmp_path / "live", config)
    assert folder == tmp_path / "live" / "teacher"
    copy = Bundle.load(folder)
    assert (copy.weights, copy.role, copy.labels) == ("int8", "teacher", LABELS)
    assert len(copy.model) < len(former.model)
    model = onnx.load_from_string(copy.model)
    assert [output.name for output in model.graph.output] == ["logits"]
    operations = {node.op_type for node in model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operations
    assert "Cast" not in operations
    assert set(copy.metrics) == {"val", "parity"}
    assert copy.temperature != former.temperature
    assert copy.metrics["val"]["accepted"]["threshold"] == copy.threshold
    assert copy.original_sha256 == former.sha256
    assert former.original_sha256 is None
    assert copy.provenance["copy_of"]["weights"] == "float16"
    assert {key: copy.provenance[key] for key in ("epoch", "data")} == {"epoch": 3, "data": SPLIT}
    assert "maps" not in copy.provenance
    # What is recorded is what the written graph does, beside what the original does.
    images, labels = read_photos(processed / "val", LABELS, copy.preprocess)
    exact, answers = (
        np.array([Classifier(one).infer(image[None])[0].argmax() for image in images])
        for one in (former, copy)
    )
    assert copy.metrics["val"]["accuracy"] == pytest.approx(np.mean(answers == labels))
    lost = np.mean(exact == labels) - np.mean(answers == labels)
    assert copy.metrics["parity"]["accuracy_loss"] == pytest.approx(lost)
    assert copy.metrics["parity"]["same_answer"] == pytest.approx(np.mean(exact == answers))
    assert Bundle.load(original) == former


def test_a_copy_may_see_less(
    original: Path, config: ExportConfig, processed: Path, tmp_path: Path
) -> None:
    copy = Bundle.load(copy_bundle(original, tmp_path, dataclasses.replace(config, size_px=24)))
    former = Bundle.load(original)
    assert copy.preprocess == dataclasses.replace(former.preprocess, size_px=24)
    images, labels = read_photos(processed / "val", LABELS, copy.preprocess)
    answers = np.concatenate([Classifier(copy).infer(image[None]) for image in images]).argmax(axis=1)
    assert copy.metrics["val"]["accuracy"] == pytest.approx(np.mean(answers == labels))
    assert len(Classifier(copy).infer(images)) == len(images)  # several at a time, too
    assert copy.original_sha256 == former.sha256


def test_a_network_that_does_not_pool_keeps_its_size(
    original: Path, config: ExportConfig, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 6))
    fixed = dataclasses.replace(Bundle.load(original), model=to_onnx(network, size_px=32))
    fixed.write(tmp_path / "fixed")
    with pytest.raises(ExportError, match=r"sees 32 px and nothing else\. Leave out --size_px"):
        copy_bundle(tmp_path / "fixed", tmp_path, dataclasses.replace(config, size_px=24))


def test_a_copy_that_costs_too_much_is_not_written(
    original: Path, config: ExportConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Bundle.load(copy_bundle(original, tmp_path, config))
    lost = copy.metrics["parity"]["accuracy_loss"]
    monkeypatch.setattr(export_module, "ACCURACY_LOSS", lost - 0.01)
    with pytest.raises(ExportError, match=r"int8 costs .* points of accuracy on 18 photos"):
        copy_bundle(original, tmp_path, config)
    assert Bundle.load(tmp_path / "teacher") == copy


def test_what_cannot_be_copied_is_refused(original: Path, config: ExportConfig, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"would replace .* such as models/live"):
        copy_bundle(original, original.parent, config)
    with pytest.raises(ExportError, match="Give a --size_px of at most 32"):
        copy_bundle(original, tmp_path, dataclasses.replace(config, size_px=48))
    int8 = dataclasses.replace(toy_bundle("student", toy_model()), weights="int8")
    int8.write(tmp_path / "int8")
    with pytest.raises(ExportError, match="is int8 already"):
        copy_bundle(tmp_path / "int8", tmp_path, config)
    folded = dataclasses.replace(Bundle.load(original), provenance={"data": {"split": "grouped"}})
    folded.write(tmp_path / "folded")
    with pytest.raises(DataError, match="another split"):
        copy_bundle(tmp_path / "folded", tmp_path, config)
    assert not (tmp_path / "teacher").exists()


@pytest.mark.usefixtures("config")
def test_the_command_makes_a_copy_where_int8_is_asked_for(
    original: Path, processed: Path, tmp_path: Path
) -> None:
    command = ["export", str(original), "--weights=int8", f"--models={tmp_path}", "--precision=0.5"]
    command += [f"--photos={processed / 'val'}", f"--calibration={processed / 'train'}"]
    assert main(command) == 0
    record = json.loads((tmp_path / "teacher" / "bundle.json").read_text())
    assert record["provenance"]["copy_of"]["sha256"] == Bundle.load(original).sha256


def test_without_maps_a_graph_answers_as_with_them() -> None:
    graph = toy_model()
    explained = add_class_maps(graph)
    plain = drop_class_maps(explained)
    assert MAPS in {output.name for output in onnx.load_from_string(explained).graph.output}
    nodes = [len(onnx.load_from_string(one).graph.node) for one in (graph, explained, plain)]
    assert nodes[0] == nodes[2] < nodes[1]
    images = np.random.default_rng(0).random((2, 3, 32, 32)).astype(np.float32)
    before, after = (Classifier(toy_bundle("teacher", one)).infer(images) for one in (explained, plain))
    assert np.array_equal(before, after)
