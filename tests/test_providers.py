"""Networks compute where they are told to, or say in a sentence that they cannot."""

import warnings
from pathlib import Path

import onnxruntime as ort
import pytest
from conftest import coloured_photo, toy_bundle, toy_model

import trashlens.providers
from trashlens.__main__ import main
from trashlens.classifier import Classifier, load_classifiers
from trashlens.errors import ProviderError
from trashlens.providers import default_provider, find_provider

OTHERS = [name for name in ort.get_available_providers() if name != "CPUExecutionProvider"]


def test_a_provider_is_named_as_people_do(monkeypatch: pytest.MonkeyPatch) -> None:
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(trashlens.providers.ort, "get_available_providers", lambda: both)
    assert find_provider("cpu") == find_provider("CPU") == "CPUExecutionProvider"
    assert find_provider("cuda") == "CUDAExecutionProvider"
    with pytest.raises(ProviderError, match=r"does not compute on coreml, but on cpu or cuda\. Choose"):
        find_provider("coreml")


def test_the_environment_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, expected in (("cuda", "cuda"), ("", "cpu")):
        monkeypatch.setenv("TRASHLENS_PROVIDER", value)
        assert default_provider() == expected
    monkeypatch.delenv("TRASHLENS_PROVIDER")
    assert default_provider() == "cpu"


def test_a_session_computes_on_the_processor_unless_told_otherwise(toy_models: Path) -> None:
    for classifier in load_classifiers(toy_models).values():
        assert classifier._session.get_providers() == ["CPUExecutionProvider"]


@pytest.mark.skipif(not OTHERS, reason="this ONNX Runtime computes on the processor only")
def test_what_is_chosen_comes_first_and_the_processor_second(toy_models: Path) -> None:
    name = OTHERS[0].removesuffix("ExecutionProvider").lower()
    for classifier in load_classifiers(toy_models, provider=name).values():
        assert classifier._session.get_providers() == [OTHERS[0], "CPUExecutionProvider"]


def test_a_provider_that_does_not_start_is_no_silent_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    # As with onnxruntime-gpu on a machine without its libraries: known, and ONNX Runtime goes on without it.
    monkeypatch.setattr(
        "trashlens.classifier.find_provider", lambda name: f"{name.upper()}ExecutionProvider"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with pytest.raises(ProviderError, match="knows cuda but cannot start it here"):
            Classifier(toy_bundle("teacher", toy_model()), provider="cuda")


def test_predict_takes_it_from_the_environment_or_an_option(
    toy_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "photo.png"
    coloured_photo("metal").save(photo)
    command = ["predict", str(photo), f"--models={toy_models}"]
    monkeypatch.setenv("TRASHLENS_PROVIDER", "abacus")
    assert main(command) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(
        "trashlens predict: The installed ONNX Runtime does not compute on abacus, but on"
    )
    assert said.err.count("\n") == 1
    assert main([*command, "--provider=cpu"]) == 0
    assert "teacher metal" in capsys.readouterr().out
