"""Feedback becomes training data, and never judges: what is added, what is left out, and that training sees it."""

import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import COLOURS, LABELS, encode
from PIL import Image
from test_server_feedback import answer

from trashlens.__main__ import main
from trashlens.errors import DataError
from trashlens.given import NONE
from trashlens.image import decode_image
from trashlens.server.feedback import Feedback
from trashlens.training.data import (
    DataConfig,
    prepare_data,
    read_data_record,
    read_manifest,
)
from trashlens.training.data.added import add_feedback
from trashlens.training.data.loaders import load_split
from trashlens.training.tracking.versions import data_version

MANIFEST = Path(__file__).parents[1] / "data" / "trashnet-official.csv"


def scene(seed: int, label: str = "glass") -> Image.Image:
    """Return a picture unlike all of another seed: few large spots around the colour of a class."""
    spots = np.random.default_rng(seed).integers(-90, 90, (6, 8, 1)) + np.array(COLOURS[label])
    small = Image.fromarray(np.clip(spots, 0, 255).astype(np.uint8))
    return small.resize((640, 480), Image.Resampling.BICUBIC)


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """Feedback as a server keeps it: two photos of glass, one each of metal and of nothing."""
    feedback = Feedback(tmp_path / "feedback", most_bytes=2**30)
    for seed, label in enumerate(("glass", "glass", "metal", NONE)):
        feedback.keep(scene(seed), label=label, comparison=answer("teacher"))
    return tmp_path / "feedback"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    shutil.copy(MANIFEST, tmp_path / "data")
    return tmp_path / "data"


def known(*images: Image.Image) -> dict[str, bytes]:
    return {f"paper/paper{n}.jpg": encode(image, quality=95) for n, image in enumerate(images, 1)}


def test_the_command_adds_feedback_to_train_alone_with_its_own_manifest(
    given: Path, folder: Path, trashnet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = prepare_data(DataConfig(source=str(trashnet), folder=folder, short_side_px=32))
    arguments = [f"--source={trashnet}", f"--folder={folder}", "--short_side_px=32"]
    assert main(["data", f"--add={given}", *arguments]) == 0
    said = capsys.readouterr().out
    assert "3 photos of feedback added to train (2 glass, 1 metal); left out: 1 of none" in said
    record = read_data_record(DataConfig(folder=folder).processed)
    added = record.pop("added")
    rows = read_manifest(folder / "feedback.csv")
    assert {row.split for row in rows} == {"train"}
    assert added["photos"] == {"glass": 2, "metal": 1} == Counter(row.label for row in rows)
    assert added["manifest_sha256"] == hashlib.sha256((folder / "feedback.csv").read_bytes()).hexdigest()
    assert added["left_out"] == {"none": 1}
    # All else is TrashNet's own, but that other photos were trained on.
    assert record.pop("content_sha256") != plain.pop("content_sha256")
    assert record == plain
    counts = {
        split: len(list((folder / "processed" / split).rglob("*.jpg"))) for split in record["photos"]
    }
    assert counts == {"train": 1764 + 3, "val": 327, "test": 430}
    kept = {hashlib.sha256(path.read_bytes()).hexdigest() for path in given.rglob("*.jpg")}
    assert {row.sha256 for row in rows} <= kept
    seen = load_split(folder / "processed", "train")
    fed = [i for i, path in enumerate(seen.paths) if path.name.startswith("feedback-")]
    assert Counter(seen.labels[seen.classes[i]] for i in fed) == added["photos"]
    assert main(["data", *arguments]) == 0
    assert read_data_record(DataConfig(folder=folder).processed)["content_sha256"] != record.get(
        "content_sha256"
    )
    assert not list((folder / "processed").rglob("feedback-*"))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        lambda image: image.resize((128, 96)),
        lambda image: image.rotate(90, expand=True),
        lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda image: image.crop((6, 5, 634, 475)),
        lambda image: image.point(lambda value: int(value * 0.95)),
    ],
    ids=["again", "smaller", "turned", "mirrored", "cut", "darker"],
)
def test_a_copy_of_a_known_photo_is_left_out(tmp_path: Path, change: object) -> None:
    feedback = Feedback(tmp_path, most_bytes=2**30)
    feedback.keep(change(scene(1)), label="paper", comparison=answer("teacher"))
    feedback.keep(scene(2), label="paper", comparison=answer("teacher"))
    added = add_feedback(tmp_path, known(scene(1), scene(3)))
    assert added.left_out == {"known": 1}
    assert len(added.photos) == 1
    (content,) = added.files.values()
    assert np.abs(np.asarray(decode_image(content), int) - np.asarray(scene(2), int)).mean() < 3


def test_contradictory_and_deleted_photos_are_left_out(given: Path) -> None:
    Feedback(given, most_bytes=2**30).keep(scene(0), label="paper", comparison=answer("teacher"))
    next(given.rglob("metal/*.jpg")).unlink()
    added = add_feedback(given, known(scene(9)))
    assert added.left_out == {"contradictory": 1, "deleted": 1, "none": 1}
    assert [photo.label for photo in added.photos] == ["glass"]


def test_a_line_without_its_end_is_overlooked(given: Path) -> None:
    (table,) = given.rglob("metadata.jsonl")
    table.write_bytes(table.read_bytes() + b'{"file_name": "glass/')
    assert len(add_feedback(given, known(scene(9))).photos) == 3


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("no JSON", "is no record"),
        ('{"label": "glass"}', "is no record"),
        ("[]", "is no record"),
        ('{"file_name": "glass/x.jpg", "label": "gold"}', "'gold'"),
        ('{"file_name": "../../secret.jpg", "label": "glass"}', "elsewhere"),
        ('{"file_name": "/etc/passwd", "label": "glass"}', "elsewhere"),
        ('{"file_name": "bad.jpg", "label": "glass"}', "cannot be used"),
    ],
)
def test_a_damaged_line_or_photo_is_a_sentence(given: Path, line: str, sentence: str) -> None:
    (table,) = given.rglob("metadata.jsonl")
    (table.parent / "bad.jpg").write_bytes(b"no photo")
    table.write_text(table.read_text() + line + "\n")
    with pytest.raises(DataError, match=sentence) as caught:
        add_feedback(given, known(scene(9)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", ["missing", "empty", "nothing"])
def test_a_folder_without_feedback_is_a_sentence_code_2_and_nothing_written(
    tmp_path: Path, folder: Path, trashnet: Path, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "given"
    if wrong != "missing":
        place.mkdir()
    if wrong == "nothing":
        Feedback(place, most_bytes=2**30).keep(scene(1), label=NONE, comparison=answer("teacher"))
    before = sorted(folder.iterdir())
    assert main(["data", f"--add={place}", f"--source={trashnet}", f"--folder={folder}"]) == 2
    said = capsys.readouterr().err
    assert str(place) in said
    assert said.count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_a_run_learns_from_it_and_its_checkpoint_and_bundle_name_the_manifest(
    given: Path, folder: Path, trashnet: Path, recipe_file: Path, tmp_path: Path
) -> None:
    # Few of TrashNet's toys, so that the run takes seconds: the rest are removed after preparing.
    record = prepare_data(DataConfig(source=str(trashnet), folder=folder, short_side_px=32), add=given)
    for split in ("train", "val"):
        for label in LABELS:
            photos = sorted((folder / "processed" / split / label).glob(f"{label}*.jpg"))
            for path in photos[4:]:
                path.unlink()
    settings = yaml.safe_load(recipe_file.read_text())
    settings["data"] = {"folder": str(folder), "short_side_px": 32}
    settings["schedule"]["epochs"] = 1
    recipe_file.write_text(yaml.safe_dump(settings))
    assert main(["train", str(recipe_file)]) == 0
    learned = json.loads((tmp_path / "run" / "checkpoint.json").read_text())["data"]
    assert learned["added"] == record["added"]
    assert learned["manifest_sha256"] == record["manifest_sha256"]
    options = [f"--models={tmp_path / 'models'}", f"--photos={folder / 'processed' / 'val'}"]
    assert main(["export", str(tmp_path / "run"), *options]) == 0
    bundle = json.loads((tmp_path / "models" / "baseline" / "bundle.json").read_text())
    assert bundle["provenance"]["data"]["added"] == record["added"]


def test_a_version_of_the_photos_is_another_one_with_feedback(
    given: Path, folder: Path, trashnet: Path
) -> None:
    config = DataConfig(source=str(trashnet), folder=folder, short_side_px=32)
    with_it = prepare_data(config, add=given)
    without = {key: value for key, value in with_it.items() if key != "added"}
    record = config.processed / "data.json"
    plain = data_version(without, manifest=config.manifest, record=record)
    fed = data_version(with_it, manifest=config.manifest, record=record)
    assert plain.sha256 == without["manifest_sha256"]
    assert fed.sha256 != plain.sha256
    assert (plain.files, fed.files) == ((config.manifest,), (record,))
