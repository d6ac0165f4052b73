"""Image folders as a data set: found, checked, cleaned, drawn from, and prepared for training."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trashlens.__main__ import main
from trashlens.errors import DataError
from trashlens.training.data import (
    FOLDER_SETS,
    DataConfig,
    name_processed,
    prepare_data,
    read_manifest,
)
from trashlens.training.data import folders as folders_module
from trashlens.training.data.folders import FolderSet, find_leaving, read_folder_set
from trashlens.training.data.loaders import load_split

CLASSES = ("Cardboard", "Glass", "Metal", "Paper", "Plastic")
EACH = 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A stand-in of Singh's set: five classes in capitals, in two folders as Kaggle unpacks them."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "download"
    for label in CLASSES:
        for index in range(EACH):
            part = "train" if index % 2 else "test"
            path = folder / part / label / f"{index // 2}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (40, 48, 3), np.uint8)).save(path)
    return folder


def config_of(source: Path, **changes: object) -> DataConfig:
    settings = {"dataset": "recycle", "source": str(source), "folder": source.parent / "data"}
    return DataConfig(**{**settings, "split": "random", "short_side_px": 32, **changes})


def test_a_set_of_folders_is_split_like_trashnet_under_its_own_name(source: Path) -> None:
    config = config_of(source)
    record = prepare_data(config)
    assert config.processed.name == "processed-recycle"
    assert config.manifest.name == "recycle-random-0.csv"
    photos = read_manifest(config.manifest)
    assert len(photos) == len({photo.path for photo in photos}) == EACH * len(CLASSES)
    assert {photo.label for photo in photos} == {label.lower() for label in CLASSES}
    assert {split: sum(by.values()) for split, by in record["photos"].items()} == {
        **{"train": 80, "val": 10},
        "test": 10,
    }
    assert record["found"] == 100
    assert record["left_out"] == {}
    assert json.loads((config.processed / "data.json").read_text()) == record
    assert load_split(config.processed, "train").labels == tuple(label.lower() for label in CLASSES)


def test_broken_repeated_and_contradictory_photos_are_left_out_and_counted(source: Path) -> None:
    glass, metal = source / "train/Glass", source / "train/Metal"
    (glass / "broken.png").write_bytes(b"no photo")
    (glass / "again.png").write_bytes((glass / "0.png").read_bytes())
    (metal / "glass.png").write_bytes((glass / "1.png").read_bytes())
    record = prepare_data(config_of(source))
    assert record["found"] == 103
    assert record["left_out"] == {"broken": 1, "contradictory": 2, "duplicate": 1}
    assert sum(sum(by.values()) for by in record["photos"].values()) == 99
    assert {"glass/broken.png", "glass/train-1.png", "metal/glass.png"} <= set(record["dropped"])


@pytest.mark.parametrize(
    "folders",
    [("Glass", "glass"), ("a/b/Glass", "a-b/Glass"), ("train/Glass", "test/Glass", "Glass", "x/GLASS ")],
)
def test_no_photo_is_lost_to_another_one_of_its_name(source: Path, folders: tuple[str, ...]) -> None:
    places = [source / folder / "new.png" for folder in folders]
    places.append(source / "Glass" / "train-new.png")  # what one of them may be called
    for index, place in enumerate(places):
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 48), (index, 0, 0)).save(place)
    files, _, found = read_folder_set("recycle", str(source), seed=0)
    assert found["found"] == len(files) == EACH * len(CLASSES) + len(places)
    assert set(files.paths.values()) >= set(places)
    assert len(set(files.paths.values())) == len(files)


def test_of_identical_files_the_first_stays_unless_they_contradict_each_other() -> None:
    hashes = {"a/2": "x", "a/1": "x", "b/1": "y", "c/1": "y", "c/2": None, "c/3": "z"}
    assert find_leaving(hashes) == {
        **{"a/2": "duplicate", "b/1": "contradictory"},
        **{"c/1": "contradictory", "c/2": "broken"},
    }


def test_the_small_set_is_as_large_as_garbage_and_drawn_by_the_seed(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FOLDER_SETS["recycle-small"].drawn == 2527
    small = FolderSet(note="Download it", classes=5, photos=100, drawn=25)
    monkeypatch.setattr(folders_module, "FOLDER_SETS", {"recycle-small": small})
    drawn = [read_folder_set("recycle-small", str(source), seed=seed)[1] for seed in (0, 0, 1)]
    assert len(drawn[0]) == 25
    assert drawn[0] == drawn[1] != drawn[2]
    files, hashes, found = read_folder_set("recycle-small", str(source), seed=0)
    assert set(files) == set(hashes)
    assert found["drawn"] == 25
    (source / "train/Glass/0.png").unlink()
    monkeypatch.setitem(
        folders_module.FOLDER_SETS, "recycle-small", FolderSet(note="", classes=5, photos=100, drawn=100)
    )
    with pytest.raises(DataError, match="only 99 are of use"):
        read_folder_set("recycle-small", str(source), seed=0)


def test_what_is_no_such_set_is_one_sentence_that_says_where_to_get_it(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ["data", "--dataset=recycle", "--split=random", f"--folder={source.parent / 'data'}"]
    for given, said in (
        ([], "not on the Hub. Download Singh's recycling set"),
        ([f"--source={source / 'nowhere'}"], "there is no folder"),
        ([f"--source={source / 'train/Glass'}"], "photos in 0 folders (none)"),
        (["--split=official"], "give split random"),
        (["--dataset=nothing"], "There is no dataset 'nothing'"),
    ):
        assert main([*wanted, *given]) == 2
        captured = capsys.readouterr()
        assert said in captured.err
        assert captured.err.strip().count("\n") == 0
    assert not (source.parent / "data").exists()


def test_the_command_says_what_it_found(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--dataset=recycle", "--split=random", f"--source={source}", "--short_side_px=32"]
    assert main(["data", *arguments, f"--folder={source.parent / 'data'}"]) == 0
    said = capsys.readouterr().out
    assert (
        "recycle: 100 photos (20 cardboard, 20 glass, 20 metal, 20 paper, 20 plastic); left out: none."
        in said
    )
    assert "said to have 11,500" in said
    assert "80 train, 10 val, 10 test." in said


def test_classes_of_a_handful_are_too_few_to_split(source: Path) -> None:
    for path in (source / "test/Glass").iterdir():
        path.unlink()
    for path in list((source / "train/Glass").iterdir())[1:]:
        path.unlink()
    with pytest.raises(DataError, match="1 photos of a class are too few"):
        prepare_data(config_of(source))


def test_garbage_is_trashnet_by_another_name() -> None:
    one, other = DataConfig(dataset="garbage"), DataConfig()
    assert (one.processed, one.manifest) == (other.processed, other.manifest)
    recorded = name_processed("garythung/trashnet", None), name_processed("garythung/trashnet", 3)
    assert recorded == (one.processed.name, DataConfig(split="grouped", fold=3).processed.name)
