"""A bundle's network in other formats: rebuilt from the bundle alone, gated, recorded, or refused."""

import builtins
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import LABELS, toy_bundle, toy_model
from scipy.special import softmax

from trashlens.__main__ import main
from trashlens.bundle import Bundle
from trashlens.classifier import Classifier
from trashlens.errors import ExportError
from trashlens.image import Preprocess
from trashlens.training.class_maps import add_class_maps
from trashlens.training.data import read_photos
from trashlens.training.formats import FORMATS, convert_bundle
from trashlens.training.formats import torchscript as torchscript_module
from trashlens.training.formats.tflite import PhoneNetwork, to_pixels
from trashlens.training.graph import to_onnx
from trashlens.training.networks import NetworkConfig, create_network, fit_head
from trashlens.training.rebuild import rebuild_network

FORMATS_FOLDER = Path(torchscript_module.__file__).parent
PREPROCESS = Preprocess(size_px=64)


def make_network(config: NetworkConfig) -> torch.nn.Module:
    """Return a network of which no two tensors are the same, as after training."""
    torch.manual_seed(0)
    network, _ = create_network(config, classes=6)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith(("weight", "bias", "mean", "var")):
                tensor.add_(0.1 * torch.rand_like(tensor))
    return network


@pytest.fixture(scope="module")
def bundle(processed: Path) -> Bundle:
    """A bundle with heat maps and weights in float16."""
    architecture, weights = "test_efficientnet", "float16"
    network = make_network(NetworkConfig(name=architecture, weights="none"))
    images, labels = read_photos(processed / "train", LABELS, PREPROCESS)
    fit_head(network, [(torch.from_numpy(images), torch.from_numpy(labels))])
    return Bundle(
        role="student",
        architecture=architecture,
        labels=LABELS,
        preprocess=PREPROCESS,
        model=add_class_maps(to_onnx(network, size_px=64, weights=weights)),
        parameters=1,
        weights=weights,
        temperature=3.0,
        threshold=0.7,
        metrics={"test": {"accuracy": 0.9}},
        provenance={"recipe": {"network": dataclasses.asdict(NetworkConfig(name=architecture))}},
    )


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    bundle.write(tmp_path / "models" / "student")
    return tmp_path / "models" / "student"


@pytest.fixture(scope="module")
def images(processed: Path) -> np.ndarray:
    return read_photos(processed / "val", LABELS, PREPROCESS)[0]


def test_the_network_is_rebuilt_from_the_bundle_alone(bundle: Bundle, images: np.ndarray) -> None:
    with torch.inference_mode():
        logits = rebuild_network(bundle)(torch.from_numpy(images)).numpy()
    assert np.ptp(logits) > 1
    np.testing.assert_allclose(logits, Classifier(bundle).infer(images), rtol=1e-5, atol=1e-4)


def test_batch_norms_that_stay_in_the_graph_are_taken_from_it(
    bundle: Bundle, images: np.ndarray
) -> None:
    # Its blocks begin with batch norms, which can be folded into nothing, as the shipped teacher's do.
    arguments = {"layers": [1, 1], "channels": [16, 16]}
    config = NetworkConfig(name="resnetv2_18", arguments=arguments, weights="none")
    network = make_network(config)
    other = dataclasses.replace(
        bundle,
        model=to_onnx(network, size_px=64),
        provenance={"recipe": {"network": dataclasses.asdict(config)}},
    )
    assert b"running_mean" in other.model
    with torch.inference_mode():
        logits = rebuild_network(other)(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(logits, Classifier(other).infer(images), rtol=1e-5, atol=1e-4)


def test_a_bias_of_a_convolution_that_is_all_zero_is_found_again(
    bundle: Bundle, images: np.ndarray
) -> None:
    config = NetworkConfig(name="lcnet_035", weights="none")  # its squeeze and excite have biases
    network = make_network(config)
    biases = [m.bias for m in network.modules() if isinstance(m, torch.nn.Conv2d) and m.bias is not None]
    for bias in biases:
        torch.nn.init.zeros_(bias)
    other = dataclasses.replace(
        bundle,
        model=to_onnx(network, size_px=64),
        provenance={"recipe": {"network": dataclasses.asdict(config)}},
    )
    with torch.inference_mode():
        logits = rebuild_network(other)(torch.from_numpy(images)).numpy()
    expected = Classifier(other).infer(images)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_a_bias_that_is_all_zero_and_not_in_the_graph_is_zero_again(
    bundle: Bundle, images: np.ndarray
) -> None:
    network = make_network(NetworkConfig(name="test_efficientnet", weights="none"))
    torch.nn.init.zeros_(network.classifier.bias)
    other = dataclasses.replace(bundle, model=to_onnx(network, size_px=64))
    assert b"classifier.bias" not in other.model
    rebuilt = rebuild_network(other)
    assert not rebuilt.classifier.bias.any()
    with torch.inference_mode():
        logits = rebuilt(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(logits, Classifier(other).infer(images), rtol=1e-5, atol=1e-4)


def test_a_network_that_cannot_be_rebuilt_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ExportError, match="is int8, of which no float network can be made"):
        rebuild_network(dataclasses.replace(bundle, weights="int8"))
    with pytest.raises(ExportError, match="does not say how its network is built"):
        rebuild_network(toy_bundle("student", toy_model()))
    other = {"recipe": {"network": {"name": "test_resnet"}}}
    with pytest.raises(ExportError, match="are not those of the network its recipe names"):
        rebuild_network(dataclasses.replace(bundle, provenance=other))
    with pytest.raises(ExportError, match=r"its recipe names: .*\. Choose --format openvino"):
        PhoneNetwork(dataclasses.replace(bundle, provenance=other))


def test_a_phone_gives_pixels_and_gets_calibrated_probabilities(
    bundle: Bundle, images: np.ndarray
) -> None:
    network = PhoneNetwork(bundle).eval()
    expected = softmax(Classifier(bundle).infer(images) / bundle.temperature, axis=1)
    pixels = to_pixels(images, bundle.preprocess)
    assert pixels.shape == (len(images), 64, 64, 3)
    np.testing.assert_array_equal(np.stack([bundle.preprocess.normalise(one) for one in pixels]), images)
    with torch.inference_mode():
        np.testing.assert_allclose(network(torch.from_numpy(pixels)).numpy(), expected, atol=1e-5)


def test_a_format_is_written_with_what_its_user_needs_and_recorded(
    folder: Path, bundle: Bundle, processed: Path, tmp_path: Path, images: np.ndarray
) -> None:
    output = tmp_path / "out"
    measured = convert_bundle(folder, "torchscript", output, photos=processed / "val", write=True)
    assert sorted(path.name for path in output.iterdir()) == ["model.pt", "record.json"]
    record = json.loads((output / "record.json").read_text())
    assert (record["labels"], record["temperature"], record["threshold"]) == ([*LABELS], 3.0, 0.7)
    assert record["preprocess"]["size_px"] == 64
    assert record["measured"] == json.loads(json.dumps(measured))
    assert measured["bytes"] == (output / "model.pt").stat().st_size
    assert measured["photos"] == len(images)
    assert 0 <= measured["max_logit_difference"] < 1e-4
    assert measured["packages"] == {"torch": torch.__version__.split("+")[0]}
    after = Bundle.load(folder)
    assert after.metrics == {"test": {"accuracy": 0.9}, "formats": {"torchscript": record["measured"]}}
    assert (after.model, after.short_id) == (bundle.model, measured["bundle"])
    run = torchscript_module.open_network(bundle, output / "model.pt")
    np.testing.assert_allclose(run(images), Classifier(bundle).infer(images), rtol=1e-5, atol=1e-4)


def answering(change: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Any]:
    """Return what opens a converted network whose answers are changed."""
    open_network = torchscript_module.open_network
    return lambda bundle, path: lambda images: change(open_network(bundle, path)(images))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda logits: logits + 2e-3, r"differs from the bundle by 0\.002 in a logit on 18 photos"),
        (lambda logits: logits * np.nan, "differs from the bundle by nan"),
        (lambda logits: logits[:, :3], r"answers \(18, 3\) where the bundle answers \(18, 6\)"),
        (lambda logits: logits + 2e-3 * (len(logits) > 1), r"differs from the bundle by 0\.002"),
    ],
)
def test_what_answers_otherwise_is_not_written(
    folder: Path,
    processed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[np.ndarray], np.ndarray],
    said: str,
) -> None:
    monkeypatch.setattr(torchscript_module, "open_network", answering(change))
    before = (folder / "bundle.json").read_bytes()
    with pytest.raises(ExportError, match=said):
        convert_bundle(folder, "torchscript", tmp_path / "out", photos=processed / "val", write=True)
    assert not (tmp_path / "out").exists()
    assert (folder / "bundle.json").read_bytes() == before


def test_probabilities_are_gated_by_the_logits_they_stand_for(
    folder: Path, processed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = dataclasses.replace(FORMATS["torchscript"], answers="probabilities")
    monkeypatch.setitem(FORMATS, "torchscript", chosen)
    monkeypatch.setattr(
        torchscript_module, "open_network", answering(lambda x: softmax(x / 3.0, axis=1))
    )
    measured = convert_bundle(folder, "torchscript", tmp_path / "out", photos=processed / "val")
    assert measured["max_logit_difference"] < 1e-4
    monkeypatch.undo()
    monkeypatch.setitem(FORMATS, "torchscript", chosen)
    monkeypatch.setattr(
        torchscript_module, "open_network", answering(lambda x: softmax(x / 2.9, axis=1))
    )
    with pytest.raises(ExportError, match="differs from the bundle"):
        convert_bundle(folder, "torchscript", tmp_path / "out", photos=processed / "val")


@pytest.mark.parametrize("name", ["tflite", "openvino"])
def test_a_missing_converter_says_how_to_get_it(
    folder: Path,
    processed: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    package = FORMATS[name].packages[0].replace("-", "_")
    real = builtins.__import__

    def without(wanted: str, *rest: Any, **options: Any) -> Any:
        if wanted.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(wanted, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    options = ["--format", name, "--photos", str(processed / "val"), "--output", str(tmp_path / "out")]
    assert main(["export", str(folder), *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"trashlens export: {package} is missing, which {name} needs")
    assert f"build/{name}/bin/pip install -e . -r src/trashlens/training/formats/{name}.txt" in said
    assert list((tmp_path).iterdir()) == [tmp_path / "models"]


def test_each_environment_is_listed_and_the_lists_agree() -> None:
    lists = {name: chosen.environment for name, chosen in FORMATS.items() if chosen.environment}
    assert sorted(lists.values()) == sorted(path.name for path in FORMATS_FOLDER.glob("*.txt"))
    needs = []
    for name, file in lists.items():
        lines = (FORMATS_FOLDER / file).read_text().splitlines()
        own = [line.split("==")[0] for line in lines if "==" in line]
        assert own == list(FORMATS[name].packages)
        needs.append([line for line in lines if "==" not in line and not line.startswith("#")])
    assert needs[0] == needs[1]


def test_the_command_converts_and_refuses_what_contradicts(
    folder: Path, processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["export", str(folder), "--photos", str(processed / "val"), "--format", "torchscript"]
    assert main(asked) == 0
    assert capsys.readouterr().out.startswith("runs/formats/student/torchscript: ")
    assert (tmp_path / "runs/formats/student/torchscript/model.pt").is_file()
    assert "formats" not in Bundle.load(folder).metrics
    for extra, said in {
        ("--weights", "int8"): "A format has the bundle's own weights and size.",
        ("--size_px", "32"): "A format has the bundle's own weights and size.",
    }.items():
        assert main([*asked, *extra]) == 2
        assert said in capsys.readouterr().err
    assert main(["export", str(folder), "--write"]) == 2
    assert "--output and --write go with --format" in capsys.readouterr().err
    before = Bundle.load(folder)
    for other in (folder, folder.parent):  # which would be gone
        assert main([*asked, "--output", str(other)]) == 2
        assert "holds something else" in capsys.readouterr().err
    assert Bundle.load(folder) == before
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.json").touch()
    assert main(["export", str(tmp_path / "run"), *asked[2:]]) == 2
    assert "is a checkpoint, and a bundle is converted" in capsys.readouterr().err


def test_the_student_was_converted_for_phones_as_it_is_shipped() -> None:
    shipped = Bundle.load(Path(__file__).parents[1] / "models" / "student")
    record = shipped.metrics["formats"]["tflite"]
    assert record["bundle"] == shipped.short_id
    assert record["max_logit_difference"] < 1e-3
    assert record["same_answer"] == 1.0
    assert record["photos"] == shipped.metrics["val"]["photos"]
    assert record["bytes"] < 1.05 * shipped.size_bytes
