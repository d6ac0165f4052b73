"""A bundle of an earlier version gets heat maps, and everybody's records follow its new id."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS, toy_bundle, toy_model

from trashlens.__main__ import main
from trashlens.bundle import ROLES, Bundle, load_bundles
from trashlens.classifier import Classifier
from trashlens.errors import BundleError
from trashlens.training.renewal import renew_bundle

MODELS = Path(__file__).parents[1] / "models"


@pytest.fixture
def earlier(tmp_path: Path) -> dict[str, Bundle]:
    """Three bundles without maps in `models`, whose records name each other."""
    models = tmp_path / "models"
    bundles = {
        role: toy_bundle(role, toy_model(COLOURS, sharpness=sharpness))
        for role, sharpness in zip(ROLES, (10.0, 20.0, 30.0), strict=True)
    }
    between = {role: bundle.short_id for role, bundle in bundles.items()}
    for role, bundle in bundles.items():
        pairs = [{"bundle": short_id} for other, short_id in between.items() if other != role]
        metrics = {"robustness": {"between": between}, "test": {"paired": pairs, "photos": 430}}
        dataclasses.replace(bundle, metrics=metrics, provenance={"epoch": 3}).write(models / role)
    return load_bundles(models)


def test_it_answers_as_before_and_its_record_says_what_happened(
    earlier: dict[str, Bundle], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models"
    assert main(["export", str(models / "teacher")]) == 0
    renewed = load_bundles(models)
    assert renewed["teacher"].short_id in capsys.readouterr().out
    assert renewed["teacher"].short_id != earlier["teacher"].short_id
    images = np.random.default_rng(0).random((3, 3, 32, 32)).astype(np.float32)
    before, after = (Classifier(bundles["teacher"]) for bundles in (earlier, renewed))
    assert np.array_equal(before.infer(images), after.infer(images))
    assert after.has_maps
    assert renewed["teacher"].provenance["maps"]["former_sha256"] == earlier["teacher"].sha256
    assert renewed["teacher"].provenance["epoch"] == 3
    for role in ("baseline", "student"):
        assert renewed[role].model == earlier[role].model
        assert renewed[role].provenance == earlier[role].provenance
    # Nothing in the records changed but the one id.
    for role in ROLES:
        said = json.dumps(earlier[role].metrics).replace(
            earlier["teacher"].short_id, renewed["teacher"].short_id
        )
        assert json.dumps(renewed[role].metrics) == said
        assert renewed["teacher"].short_id in said


def test_what_cannot_be_renewed_stays_as_it_is(
    earlier: dict[str, Bundle], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "models" / "student"
    renewed = renew_bundle(folder)
    assert main(["export", str(folder)]) == 2
    assert "has heat maps already" in capsys.readouterr().err
    assert Bundle.load(folder) == renewed
    teacher = Bundle.load(tmp_path / "models" / "teacher")
    (tmp_path / "models" / "baseline" / "model.onnx").write_bytes(b"cut")
    with pytest.raises(BundleError):
        renew_bundle(tmp_path / "models" / "teacher")
    assert Bundle.load(tmp_path / "models" / "teacher") == teacher
    assert teacher.model == earlier["teacher"].model


def test_the_committed_bundles_were_renewed_and_say_so() -> None:
    for bundle in load_bundles(MODELS).values():
        former = bundle.provenance["maps"]["former_sha256"]
        assert len(former) == 64
        assert former[:12] not in json.dumps(bundle.metrics)
        assert bundle.short_id in json.dumps([b.metrics for b in load_bundles(MODELS).values()])
