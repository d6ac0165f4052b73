"""A bundle survives the disk unchanged, and a damaged one is refused with a sentence."""

import dataclasses
import json
from pathlib import Path

import pytest
from conftest import toy_bundle, toy_model

from trashlens.bundle import Bundle, load_bundles
from trashlens.errors import BundleError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    toy_bundle("teacher", toy_model()).write(tmp_path / "teacher")
    return tmp_path / "teacher"


def test_what_is_written_is_what_is_read(folder: Path) -> None:
    assert Bundle.load(folder) == toy_bundle("teacher", toy_model())
    assert sorted(path.name for path in folder.iterdir()) == ["bundle.json", "model.onnx"]


def test_writing_replaces_the_earlier_bundle_and_leaves_nothing_beside_it(folder: Path) -> None:
    sharper = toy_bundle("teacher", toy_model(sharpness=80))
    sharper.write(folder)
    assert Bundle.load(folder) == sharper
    assert [path.name for path in folder.parent.iterdir()] == ["teacher"]
    assert sorted(path.name for path in folder.iterdir()) == ["bundle.json", "model.onnx"]


def test_a_threshold_survives_and_a_bundle_of_an_earlier_version_has_none(folder: Path) -> None:
    dataclasses.replace(Bundle.load(folder), threshold=0.937).write(folder)
    assert Bundle.load(folder).threshold == 0.937
    record = json.loads((folder / "bundle.json").read_text())
    del record["threshold"]
    (folder / "bundle.json").write_text(json.dumps(record))
    assert Bundle.load(folder).threshold is None


def test_a_changed_graph_is_refused_by_its_hash(folder: Path) -> None:
    model = bytearray((folder / "model.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (folder / "model.onnx").write_bytes(model)
    with pytest.raises(BundleError, match=r"The SHA-256 of .*model\.onnx differs .* check it out again"):
        Bundle.load(folder)


@pytest.mark.parametrize("name", ["bundle.json", "model.onnx"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"no readable {name}"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda record: record.update(format=99), "has format 99; this version reads 1"),
        (lambda record: record.pop("labels"), "is incomplete: KeyError"),
        (lambda record: record.update(preprocess={"size_px": -1}), "is incomplete: ValueError"),
        (lambda record: record.update(labels=["a", "a"]), "two different labels"),
        (lambda record: record.update(temperature=0), "temperature must be positive"),
        (lambda record: record.update(threshold=0), r"threshold must lie in \(0, 1\]"),
        (lambda record: record.update(threshold=1.5), r"threshold must lie in \(0, 1\]"),
        (lambda record: record.update(threshold="high"), "is incomplete: TypeError"),
        (
            lambda record: record.update(role="<b>expert</b>"),
            "role is one of teacher, baseline, student",
        ),
    ],
)
def test_a_record_that_does_not_hold_is_refused(folder: Path, change: object, sentence: str) -> None:
    record = json.loads((folder / "bundle.json").read_text())
    change(record)
    (folder / "bundle.json").write_text(json.dumps(record))
    with pytest.raises(BundleError, match=sentence):
        Bundle.load(folder)


def test_a_record_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / "bundle.json").write_text("{")
    with pytest.raises(BundleError, match="not valid JSON"):
        Bundle.load(folder)


def test_all_three_roles_are_read_in_order(toy_models: Path) -> None:
    assert list(load_bundles(toy_models)) == ["teacher", "baseline", "student"]


def test_a_bundle_in_another_roles_folder_is_refused(tmp_path: Path) -> None:
    for role in ("teacher", "baseline", "student"):
        toy_bundle("student" if role == "teacher" else role, toy_model()).write(tmp_path / role)
    with pytest.raises(BundleError, match=r"teacher is a student\. Export the teacher there"):
        load_bundles(tmp_path)
