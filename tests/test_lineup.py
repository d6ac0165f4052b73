"""Which networks are at work, and which of them answer webcams."""

import dataclasses
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import toy_bundle, toy_model

from trashlens.bundle import Bundle, load_bundles
from trashlens.classifier import Classifier
from trashlens.errors import BundleError
from trashlens.lineup import Lineup, available, load_crowd, load_lineup, load_live


@pytest.fixture
def models(toy_models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy_models, tmp_path / "models"))


def write_copy(models: Path, role: str = "teacher", *, of: str | None = None) -> Bundle:
    """Write a live bundle whose answers are less sharp than those of its original; `of` is its SHA-256."""
    sha256 = of or Bundle.load(models / role).sha256
    copy = dataclasses.replace(
        toy_bundle(role, toy_model(sharpness=20.0)),
        weights="int8",
        provenance={"copy_of": {"sha256": sha256}},
    )
    copy.write(models / "live" / role)
    return copy


def ids(lineup: object) -> dict[str, str]:
    return {role: one.bundle.short_id for role, one in available(lineup).items()}


def test_a_copy_takes_the_place_of_its_original_for_webcams_alone(models: Path) -> None:
    copy, lineup = write_copy(models), load_lineup(models)
    original = ids(lineup)
    live = load_live(models, lineup)
    assert ids(live) == {**original, "teacher": copy.short_id}
    assert ids(lineup) == original
    assert all(live[role] is not lineup[role] for role in lineup)  # one thread each
    assert available(live)["teacher"].bundle.model == b""  # the session has it


def test_without_copies_webcams_get_the_same(models: Path) -> None:
    lineup = load_lineup(models)
    assert ids(load_live(models, lineup)) == ids(lineup)


@pytest.mark.parametrize("fault", ["damaged", "of another teacher", "no bundle"])
def test_a_copy_that_cannot_serve_is_told_and_its_original_serves(
    models: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_copy(models, of="0" * 64 if fault == "of another teacher" else None)
    if fault == "damaged":
        (models / "live" / "teacher" / "model.onnx").write_bytes(b"cut")
    if fault == "no bundle":
        (models / "live" / "teacher" / "bundle.json").unlink()
    lineup = load_lineup(models)
    with caplog.at_level(logging.ERROR):
        live = load_live(models, lineup)
    assert ids(live) == ids(lineup)
    assert live["teacher"] is lineup["teacher"]
    (said,) = caplog.messages
    assert said.startswith("Webcams share the teacher with photos: ")


def test_a_role_that_is_not_at_work_has_no_copy_either(models: Path) -> None:
    write_copy(models)
    (models / "teacher" / "model.onnx").write_bytes(b"cut")
    lineup = load_lineup(models)
    assert isinstance(load_live(models, lineup)["teacher"], BundleError)


def test_a_folder_of_copies_stands_for_three_bundles(models: Path) -> None:
    copy = write_copy(models)
    ordinary, live = load_bundles(models), load_bundles(models / "live")
    assert live["teacher"] == copy != ordinary["teacher"]
    assert {**live, "teacher": None} == {**ordinary, "teacher": None}
    with pytest.raises(BundleError, match=r"models has no readable|teacher has no readable"):
        load_bundles(models / "nowhere")


@pytest.mark.parametrize("load", [load_crowd, load_live])
def test_photos_and_frames_that_come_together_get_the_same_networks_on_one_thread(
    models: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[[Path, Lineup], Lineup]
) -> None:
    lineup = load_lineup(models)
    threads = []
    opened = Classifier.__init__

    def note(self: Classifier, bundle: Bundle, **options: object) -> None:
        threads.append(options["threads"])
        opened(self, bundle, **options)

    monkeypatch.setattr(Classifier, "__init__", note)
    crowd = load(models, lineup)
    assert threads == [1, 1, 1]
    assert ids(crowd) == ids(lineup)
    assert all(crowd[role] is not lineup[role] for role in lineup)


def test_a_bundle_that_was_changed_meanwhile_is_not_mixed_in(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lineup = load_lineup(models)
    toy_bundle("teacher", toy_model(sharpness=20.0)).write(models / "teacher")
    (models / "student" / "model.onnx").unlink()
    crowd = load_crowd(models, lineup)
    assert crowd["teacher"] is lineup["teacher"]
    assert crowd["student"] is lineup["student"]
    assert crowd["baseline"] is not lineup["baseline"]
    assert len(caplog.messages) == 2
