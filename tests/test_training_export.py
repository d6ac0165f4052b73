"""Export passes only what agrees with torch; the bundle carries no trace of the machine; reports add up."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import LABELS, toy_bundle, toy_model
from torch import nn

from trashlens.__main__ import main
from trashlens.bundle import Bundle
from trashlens.classifier import Classifier
from trashlens.errors import DataError, ExportError, TrainingError
from trashlens.scoreboard import format_table
from trashlens.training import export as export_module
from trashlens.training import report
from trashlens.training.checkpoint import read_checkpoint, write_checkpoint
from trashlens.training.data import check_prepared, read_photos
from trashlens.training.evaluate import NEVER
from trashlens.training.export import ExportConfig, export_bundle, fit_temperature
from trashlens.training.graph import to_onnx
from trashlens.training.networks import NetworkConfig, create_network, fit_head
from trashlens.training.recipe import parse_recipe
from trashlens.training.report import evaluate_bundles, labelled_photos


@pytest.fixture(scope="module")
def checkpoint(processed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a toy network whose head was fitted on the synthetic photos."""
    folder = tmp_path_factory.mktemp("runs") / "toy"
    recipe = parse_recipe(
        "baseline",
        ["--network.name=test_efficientnet", "--network.weights=none", "--preprocess.size_px=32"],
    )
    torch.manual_seed(0)
    network, _ = create_network(NetworkConfig(name="test_efficientnet", weights="none"), classes=6)
    images, labels = read_photos(processed / "train", LABELS, recipe.preprocess)
    fit_head(network, [(torch.from_numpy(images), torch.from_numpy(labels))])
    record = {
        "recipe": recipe.to_json(),
        "labels": list(LABELS),
        "data": {"manifest_sha256": "0" * 64},
        "weights": {"source": "none"},
        "inputs": {},
        "environment": {"torch": torch.__version__},
        "epoch": 1,
        "history": [{"epoch": 1}],
    }
    write_checkpoint(folder, network, record)
    return folder


@pytest.mark.parametrize("weights", ["float32", "float16"])
def test_the_bundle_agrees_with_torch_and_says_how_much(
    checkpoint: Path, processed: Path, tmp_path: Path, weights: str
) -> None:
    config = ExportConfig(weights=weights, photos=processed / "val")
    folder = export_bundle(checkpoint, tmp_path, config)
    assert folder == tmp_path / "baseline"
    bundle = Bundle.load(folder)
    assert bundle.weights == weights
    assert bundle.metrics["parity"]["photos"] == 18
    assert bundle.metrics["parity"]["max_logit_difference"] < export_module.TOLERANCE[weights]
    assert bundle.metrics["val"]["accuracy"] > 0.8
    images, _ = read_photos(processed / "test", LABELS, bundle.preprocess)
    with torch.inference_mode():
        expected = read_checkpoint(checkpoint).network(torch.from_numpy(images)).numpy()
    logits, maps = Classifier(bundle).infer_maps(images)
    assert np.abs(logits - expected).max() < export_module.TOLERANCE[weights]
    assert np.abs(maps.mean(axis=(2, 3)) - logits).max() < 1e-3


def test_the_resolution_may_be_chosen_at_export(
    checkpoint: Path, processed: Path, tmp_path: Path
) -> None:
    folder = export_bundle(checkpoint, tmp_path, ExportConfig(size_px=48, photos=processed / "val"))
    bundle = Bundle.load(folder)
    assert bundle.preprocess.size_px == 48
    assert bundle.provenance["recipe"]["preprocess"]["size_px"] == 32
    images, _ = read_photos(processed / "val", LABELS, bundle.preprocess)
    assert Classifier(bundle).infer(images[:1]).shape == (1, 6)


def test_the_bundle_knows_when_it_is_sure(checkpoint: Path, processed: Path, tmp_path: Path) -> None:
    config = ExportConfig(photos=processed / "val", precision=0.8, coverage=0.7)
    bundle = Bundle.load(export_bundle(checkpoint, tmp_path, config))
    assert bundle.threshold is not None
    said = bundle.metrics["val"]["accepted"]
    assert said["threshold"] == bundle.threshold
    assert said["wanted"] == 0.8
    assert said["precision"] >= 0.8
    assert 8 / 18 <= said["coverage"] <= 0.7
    # The photos as they are served, one by one, agree with what the record says.
    images, _ = read_photos(processed / "val", LABELS, bundle.preprocess)
    sure = [Classifier(bundle).predict(image[None])[0].sure for image in images]
    assert np.mean(sure) == pytest.approx(said["coverage"])


def test_too_few_photos_for_the_promise_are_told_and_the_network_is_sure_of_none(
    checkpoint: Path, processed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = export_bundle(checkpoint, tmp_path, ExportConfig(photos=processed / "val"))
    assert Bundle.load(folder).threshold == NEVER
    assert "98.0 % of the answers are right, as seen on 18 photos" in caplog.text


@pytest.mark.parametrize(
    "values", [{"precision": 1.0}, {"precision": 0}, {"coverage": 0}, {"coverage": 2}, {"size_px": 0}]
)
def test_a_promise_nobody_can_keep_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must (lie|be positive)"):
        ExportConfig(**values)


def test_float16_storage_halves_the_file(checkpoint: Path) -> None:
    network = read_checkpoint(checkpoint).network
    full, half = (
        len(to_onnx(network, size_px=32, weights=weights)) for weights in ("float32", "float16")
    )
    assert half < 0.65 * full


def test_int8_is_smaller_still_and_passes_only_where_it_costs_little(
    checkpoint: Path, processed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ExportConfig(
        weights="int8", photos=processed / "val", calibration=processed / "train", precision=0.5
    )
    monkeypatch.setattr(export_module, "ACCURACY_LOSS", 1.0)  # a network this small may lose much
    bundle = Bundle.load(export_bundle(checkpoint, tmp_path, config))
    full = len(to_onnx(read_checkpoint(checkpoint).network, size_px=32))
    assert bundle.weights == "int8"
    assert len(bundle.model) < full
    operations = {node.op_type for node in onnx.load_from_string(bundle.model).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operations
    assert Classifier(bundle).has_maps
    # What is recorded is what the written graph does.
    images, labels = read_photos(processed / "val", LABELS, bundle.preprocess)
    answers = np.array([Classifier(bundle).infer(image[None])[0].argmax() for image in images])
    assert bundle.metrics["val"]["accuracy"] == pytest.approx(np.mean(answers == labels))
    with torch.inference_mode():
        exact = read_checkpoint(checkpoint).network(torch.from_numpy(images)).argmax(dim=1).numpy()
    lost = np.mean(exact == labels) - np.mean(answers == labels)
    parity = bundle.metrics["parity"]
    assert parity["accuracy_loss"] == pytest.approx(lost)
    assert parity["float32"]["max_logit_difference"] < export_module.TOLERANCE["float32"]
    monkeypatch.setattr(export_module, "ACCURACY_LOSS", lost - 0.01)
    with pytest.raises(ExportError, match=r"int8 costs .* points of accuracy on 18 photos"):
        export_bundle(checkpoint, tmp_path, config)
    assert Bundle.load(tmp_path / "baseline") == bundle


def test_a_head_that_allows_no_maps_is_exported_without_and_that_is_told(
    checkpoint: Path,
    processed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(bundle: Bundle, images: np.ndarray) -> Bundle:
        assert len(bundle.labels) == 6
        assert images.shape == (18, 3, 32, 32)
        raise ExportError("This network has no heat maps.")

    monkeypatch.setattr(export_module, "explain_bundle", refuse)
    bundle = Bundle.load(export_bundle(checkpoint, tmp_path, ExportConfig(photos=processed / "val")))
    assert not Classifier(bundle).has_maps
    assert "This network has no heat maps. The bundle is written without." in caplog.text


def test_no_path_and_no_trace_of_the_machine_is_in_the_bundle(
    checkpoint: Path, processed: Path, tmp_path: Path
) -> None:
    folder = export_bundle(checkpoint, tmp_path, ExportConfig(photos=processed / "val"))
    model = onnx.load(folder / "model.onnx")
    assert not model.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    for file in folder.iterdir():
        content = file.read_bytes()
        for trace in (
            "site-packages",
            ".py",
            sys.prefix,
            str(Path.home()),
            str(Path.cwd()),
            str(tmp_path),
        ):
            assert trace.encode() not in content, f"{trace} in {file.name}"


def test_a_graph_that_disagrees_is_refused_and_the_earlier_bundle_stays(
    checkpoint: Path, processed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ExportConfig(photos=processed / "val")
    folder = export_bundle(checkpoint, tmp_path, config)
    earlier = Bundle.load(folder)
    honest = export_module.to_onnx

    def wrong(network: nn.Module, **options: object) -> bytes:
        with torch.no_grad():
            network.get_classifier().bias[2] += 0.01
        graph = honest(network, **options)
        with torch.no_grad():
            network.get_classifier().bias[2] -= 0.01
        return graph

    monkeypatch.setattr(export_module, "to_onnx", wrong)
    with pytest.raises(ExportError, match=r"differ by 0\.01 in a logit on 18 photos; 0\.001 is allowed"):
        export_bundle(checkpoint, tmp_path, config)
    assert Bundle.load(folder) == earlier


def test_a_graph_that_answers_nan_in_a_batch_is_refused(
    checkpoint: Path, processed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer = Classifier.infer

    def nan_in_batches(self: Classifier, images: np.ndarray) -> np.ndarray:
        logits = infer(self, images)
        return logits if len(images) == 1 else np.full_like(logits, np.nan)

    monkeypatch.setattr(Classifier, "infer", nan_in_batches)
    with pytest.raises(ExportError, match="differ by nan"):
        export_bundle(checkpoint, tmp_path, ExportConfig(photos=processed / "val"))


def test_what_is_missing_is_a_sentence(checkpoint: Path, tmp_path: Path, processed: Path) -> None:
    with pytest.raises(TrainingError, match="holds no checkpoint"):
        export_bundle(tmp_path, tmp_path)
    with pytest.raises(TrainingError, match=r"There is no .*/nobody\."):
        export_bundle(tmp_path / "nobody", tmp_path)
    with pytest.raises(DataError, match="holds no prepared photos"):
        export_bundle(checkpoint, tmp_path, ExportConfig(photos=tmp_path / "none"))
    damaged = tmp_path / "damaged"
    shutil.copytree(checkpoint, damaged)
    (damaged / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(TrainingError, match="is damaged"):
        export_bundle(damaged, tmp_path, ExportConfig(photos=processed / "val"))


def test_photos_of_another_split_are_refused_and_ones_own_are_not(
    checkpoint: Path, processed: Path, tmp_path: Path
) -> None:
    folded = tmp_path / "folded"
    shutil.copytree(checkpoint, folded)
    record = json.loads((folded / "checkpoint.json").read_text())
    record["data"] = {"split": "grouped", "seed": None, "fold": 2, "manifest": "trashnet-grouped.csv"}
    (folded / "checkpoint.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"another split .* \(trashnet-grouped\.csv\)"):
        export_bundle(folded, tmp_path / "models", ExportConfig(photos=processed / "val"))
    shutil.copytree(processed / "val", tmp_path / "own")
    assert export_bundle(folded, tmp_path / "models", ExportConfig(photos=tmp_path / "own")).is_dir()


def test_photos_of_another_data_set_are_refused_and_its_own_are_named(
    checkpoint: Path, processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, dataset in (("processed", "garythung/trashnet"), ("processed-taco", "TACO")):
        shutil.copytree(processed, tmp_path / "data" / name)
        record = json.loads((processed / "data.json").read_text())
        (tmp_path / "data" / name / "data.json").write_text(json.dumps({**record, "dataset": dataset}))
    other, own = tmp_path / "data/processed", tmp_path / "data/processed-taco"
    litter, models, bundles = tmp_path / "litter", tmp_path / "models", tmp_path / "bundles"
    shutil.copytree(checkpoint, litter)
    record = json.loads((litter / "checkpoint.json").read_text())
    learned = json.loads((own / "data.json").read_text())
    (litter / "checkpoint.json").write_text(json.dumps({**record, "data": learned}))
    bundle = export_bundle(litter, bundles, ExportConfig(photos=own / "val"))
    int8 = ["--weights=int8", f"--photos={own / 'val'}"]
    commands = (
        (["export", str(litter)], "--photos", other / "val"),
        (["export", str(litter), *int8], "--calibration", other / "train"),
        (["export", str(bundle), *int8], "--calibration", other / "train"),
        (["export", str(bundle), "--format=torchscript"], "--photos", other / "val"),
        (["prune", str(litter), "--macs_share=0.5"], "--processed", other),
    )
    for words, option, photos in commands:
        place = "output" if "prune" in words or "--format=torchscript" in words else "models"
        assert main([*words, f"{option}={photos}", f"--{place}={models}"]) == 2
        said = capsys.readouterr().err
        assert "is of garythung/trashnet, and the network learned from TACO." in said
        assert f"Give photos of its own with {option}, such as those in {own}." in said
        assert not models.exists()
    check_prepared(learned, own / "val", option="--photos")
    # Records from before there were several data sets name none.
    check_prepared({"split": "official"}, own / "val", option="--photos")
    check_prepared(learned, processed / "val", option="--photos")


def test_temperature_finds_the_one_that_made_the_labels() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 6)) * 3
    probabilities = np.exp(logits / 2.5)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(6, p=row) for row in probabilities])
    assert fit_temperature(logits, labels) == pytest.approx(2.5, rel=0.05)


def test_the_command_exports_and_evaluates(
    checkpoint: Path, processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models"
    for role in ("teacher", "student"):
        toy_bundle(role, toy_model()).write(models / role)
    options = [f"--models={models}", f"--photos={processed / 'val'}"]
    assert main(["export", str(checkpoint), *options, "--weights=float16"]) == 0
    folder = f"--photos={processed / 'test'}"
    assert main(["evaluate", f"--models={models}", folder]) == 0
    output = capsys.readouterr().out
    assert "| student | toy_student | 0.0 M |" in output
    assert "| test accuracy (95 %) |" in output
    assert main(["evaluate", f"--models={models}", folder, "--write"]) == 2
    assert "leave out --photos" in capsys.readouterr().err
    record = json.loads((models / "baseline" / "bundle.json").read_text())
    assert set(record["metrics"]) == {"val", "parity"}


def test_what_was_measured_is_kept_in_the_record(
    toy_models: Path, processed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "measure_memory", lambda _, roles: dict.fromkeys(roles, 7.5))
    models = tmp_path / "models"
    shutil.copytree(toy_models, models)
    photos = labelled_photos(processed / "test", LABELS)
    measured = evaluate_bundles(models, photos, write=True)
    record = json.loads((models / "baseline" / "bundle.json").read_text())
    assert record["metrics"] == json.loads(json.dumps(measured["baseline"].metrics))
    assert set(record["metrics"]) == {"test", "latency"}
    assert record["metrics"]["latency"]["requests"] == 18
    assert record["metrics"]["latency"]["memory_mb"] == 7.5


def test_the_report_counts_what_the_bundles_answer(toy_models: Path, processed: Path) -> None:
    bundles = evaluate_bundles(toy_models, labelled_photos(processed / "test", LABELS))
    teacher, baseline = (bundles[role].metrics["test"] for role in ("teacher", "baseline"))
    assert teacher["accuracy"] == 1.0
    assert baseline["accuracy"] == pytest.approx(12 / 18)  # it swaps glass and plastic
    assert baseline["f1"]["glass"] == 0
    assert bundles["teacher"].metrics["latency"]["times_teacher_speed"] == 1.0
    assert Bundle.load(toy_models / "teacher").metrics == {}
    with pytest.raises(DataError, match="holds no photos in folders named cardboard"):
        labelled_photos(processed / "nowhere", LABELS)


def test_the_table_shows_a_dash_for_what_was_not_measured() -> None:
    rows = format_table({"teacher": toy_bundle("teacher", toy_model())}).splitlines()
    assert len(rows) == 3
    assert rows[-1].endswith("| – | – | – | – |")
