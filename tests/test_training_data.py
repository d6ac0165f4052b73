"""TrashNet is counted, cleaned, split and written whole or not at all; batches are what serving sees."""

import hashlib
import os
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import COLOURS, LABELS, TWINS
from PIL import Image

from trashlens.__main__ import main
from trashlens.errors import DataError
from trashlens.image import Preprocess, decode_image
from trashlens.training import data as data_module
from trashlens.training.data import (
    AugmentConfig,
    DataConfig,
    LoaderConfig,
    make_loaders,
    prepare_data,
    read_data_record,
    read_labels,
    read_manifest,
)
from trashlens.training.data.source import COUNTS, contradictory_twins

REPOSITORY = Path(__file__).parents[1]
MANIFEST = REPOSITORY / "data" / "trashnet-official.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with the committed manifest and nothing else."""
    (tmp_path / "data").mkdir()
    shutil.copy(MANIFEST, tmp_path / "data")
    return tmp_path / "data"


def count_photos(processed: Path) -> dict[str, int]:
    return {
        split.name: len(list(split.rglob("*.jpg")))
        for split in sorted(processed.iterdir())
        if split.is_dir()
    }


def test_the_committed_manifest_is_trashnets_own_split_without_the_twins() -> None:
    photos = read_manifest(MANIFEST)
    assert Counter(photo.split for photo in photos) == {"train": 1764, "val": 327, "test": 430}
    dropped = {f"{label}/{label}{number}.jpg" for pair in TWINS.items() for label, number in pair}
    paths = {photo.path for photo in photos}
    everything = {
        f"{label}/{label}{n}.jpg" for label, count in COUNTS.items() for n in range(1, count + 1)
    }
    assert paths == everything - dropped
    assert all(photo.path.startswith(f"{photo.label}/") for photo in photos)


def test_no_content_is_on_two_sides_of_the_committed_split() -> None:
    sides: dict[str, set[str]] = {}
    for photo in read_manifest(MANIFEST):
        assert len(photo.sha256) == 64
        sides.setdefault(photo.sha256, set()).add(photo.split)
    assert all(len(splits) == 1 for splits in sides.values())


@pytest.mark.parametrize("as_folder", [False, True])
def test_the_official_split_is_written(
    trashnet: Path, folder: Path, tmp_path: Path, as_folder: bool
) -> None:
    source = trashnet
    if as_folder:
        source = tmp_path / "unpacked"
        zipfile.ZipFile(trashnet).extractall(source)
    record = prepare_data(DataConfig(source=str(source), folder=folder, short_side_px=32))
    assert count_photos(folder / "processed") == {"test": 430, "train": 1764, "val": 327}
    assert len(record["dropped"]) == 6
    assert record["differ_from_manifest"] == 2521  # other bytes under TrashNet's names: said, not hidden
    assert record["manifest_sha256"] == hashlib.sha256(MANIFEST.read_bytes()).hexdigest()
    assert read_data_record(DataConfig(folder=folder).processed) == record
    for photo in read_manifest(MANIFEST)[::500]:
        image = Image.open(folder / "processed" / photo.split / photo.path)
        assert image.size == (43, 32)
        centre = np.asarray(image)[16, 20]
        assert np.abs(centre.astype(int) - COLOURS[photo.label]).max() < 12
    assert sorted(path.name for path in folder.iterdir()) == ["processed", MANIFEST.name]


def test_the_random_split_is_stratified_seeded_and_recorded(trashnet: Path, folder: Path) -> None:
    config = DataConfig(source=str(trashnet), folder=folder, split="random", seed=7, short_side_px=32)
    record = prepare_data(config)
    photos = read_manifest(folder / "trashnet-random-7.csv")
    shares = Counter(photo.split for photo in photos)
    assert {split: round(count / 2521, 2) for split, count in shares.items()} == {
        "train": 0.8,
        "val": 0.1,
        "test": 0.1,
    }
    for label in LABELS:
        of_class = Counter(photo.split for photo in photos if photo.label == label)
        assert abs(of_class["train"] / of_class.total() - 0.8) < 0.01
    assert prepare_data(config) == record
    assert read_manifest(folder / "trashnet-random-7.csv") == photos


@pytest.mark.parametrize("split", ["official", "random"])
@pytest.mark.parametrize(
    "damage", ["missing", "cut", "no-zip", "bit-flip", "one-photo-less", "empty-folder", "cut-photo"]
)
def test_a_bad_source_is_one_sentence_code_2_and_nothing_written(
    trashnet: Path,
    folder: Path,
    tmp_path: Path,
    damage: str,
    split: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = tmp_path / "source.zip"
    content = bytearray(trashnet.read_bytes())
    if damage == "cut":
        source.write_bytes(content[: len(content) // 2])
    elif damage == "no-zip":
        source.write_text("hello")
    elif damage == "bit-flip":
        content[5000] ^= 0xFF
        source.write_bytes(content)
    elif damage == "one-photo-less":
        with zipfile.ZipFile(trashnet) as old, zipfile.ZipFile(source, "w") as new:
            for name in old.namelist()[:-1]:
                new.writestr(name, old.read(name))
    elif damage == "empty-folder":
        source.mkdir()
    elif damage == "cut-photo":
        zipfile.ZipFile(trashnet).extractall(source)
        photo = source / "dataset-resized" / "paper" / "paper7.jpg"
        photo.write_bytes(photo.read_bytes()[:300])
    (folder / "processed").mkdir()
    (folder / "processed" / "earlier").touch()
    assert main(["data", f"--source={source}", f"--folder={folder}", f"--split={split}"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    *progress, said = output.err.splitlines()
    assert said.startswith("trashlens data: ")
    assert all(line.startswith("photos:") for line in "".join(progress).split("\r") if line)
    expected = {
        "missing": "There is no",
        "one-photo-less": "trash has 136 of 137",
        "empty-folder": "0 photos",
        "cut-photo": "paper/paper7.jpg of the source cannot be used: ",
    }
    assert expected.get(damage, "is damaged or not a zip file") in said
    assert [path.name for path in (folder / "processed").iterdir()] == ["earlier"]
    assert sorted(path.name for path in folder.iterdir()) == ["processed", MANIFEST.name]


def test_an_interruption_while_writing_leaves_the_earlier_photos(
    trashnet: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "processed").mkdir()
    (folder / "processed" / "earlier").touch()

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(data_module.prepare, "decode_image", interrupt)
    with pytest.raises(KeyboardInterrupt):
        prepare_data(DataConfig(source=str(trashnet), folder=folder, short_side_px=32))
    assert [path.name for path in (folder / "processed").iterdir()] == ["earlier"]


def test_an_unreachable_hub_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **options: object) -> str:
        assert options == {"repo_type": "dataset", "revision": "abc123"}
        raise ConnectionError("no route")

    monkeypatch.setattr(data_module.source, "hf_hub_download", refuse)
    with pytest.raises(
        DataError, match=r"dataset-resized\.zip of garythung/trashnet@abc123 could not be"
    ):
        prepare_data(DataConfig(folder=folder, revision="abc123"))


def test_the_hub_file_is_read_and_its_commit_recorded(
    trashnet: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cached = tmp_path / "snapshots" / "c0ffee" / "dataset-resized.zip"
    cached.parent.mkdir(parents=True)
    shutil.copy(trashnet, cached)
    monkeypatch.setattr(data_module.source, "hf_hub_download", lambda *_, **__: str(cached))
    assert prepare_data(DataConfig(folder=folder, short_side_px=32))["revision"] == "c0ffee"


def test_contradictory_twins_are_found_and_agreeing_ones_kept() -> None:
    files = {"glass/a.jpg": b"1", "metal/b.jpg": b"1", "glass/c.jpg": b"2", "glass/d.jpg": b"2"}
    assert contradictory_twins(files) == {"glass/a.jpg", "metal/b.jpg"}


def test_a_missing_manifest_and_unprepared_photos_are_sentences(trashnet: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no split manifest"):
        prepare_data(DataConfig(source=str(trashnet), folder=tmp_path))
    with pytest.raises(DataError, match="Run `trashlens data` first"):
        read_data_record(DataConfig(folder=tmp_path).processed)
    assert list(tmp_path.iterdir()) == []


def loaders_of(processed: Path, preprocess: Preprocess, **augment: object) -> data_module.Loaders:
    return make_loaders(
        processed,
        preprocess=preprocess,
        augment=AugmentConfig(size_px=24, **augment),
        loader=LoaderConfig(batch_size=8),
        seed=0,
    )


def test_evaluation_batches_are_exactly_what_serving_preprocesses(processed: Path) -> None:
    preprocess = Preprocess(size_px=40)
    loaders = loaders_of(processed, preprocess)
    assert loaders.labels == LABELS
    paths = [path for label in LABELS for path in sorted((processed / "val" / label).iterdir())]
    served = np.stack([preprocess(decode_image(path)) for path in paths])
    images = torch.cat([images for images, _ in loaders.val]).numpy()
    assert np.array_equal(images, served)
    labels = torch.cat([labels for _, labels in loaders.val]).tolist()
    assert labels == [LABELS.index(path.parent.name) for path in paths]


def test_training_without_augmentation_normalises_as_serving_does(processed: Path) -> None:
    preprocess = Preprocess(size_px=24)
    loaders = loaders_of(processed, preprocess, min_area=1.0, flip=False, jitter=0.0)
    photos = loaders.train.dataset
    pixels, label = photos[0]
    images, labels = loaders.train.collate_fn([(pixels, label)])
    expected = preprocess.normalise(pixels.permute(1, 2, 0).numpy())
    assert np.allclose(images[0].numpy(), expected, atol=1e-5)
    assert labels.tolist() == [label]


def test_training_batches_are_augmented_and_counted(processed: Path) -> None:
    loaders = loaders_of(processed, Preprocess(size_px=40))
    first, second = (torch.cat([images for images, _ in loaders.train]) for _ in range(2))
    assert first.shape == (48, 3, 24, 24)
    assert first.dtype == torch.float32
    assert not torch.equal(first, second)
    assert loaders.class_counts.tolist() == [8.0] * 6


@pytest.mark.parametrize(
    "make",
    [
        lambda: AugmentConfig(min_area=0.0),
        lambda: AugmentConfig(jitter=1.0),
        lambda: AugmentConfig(size_px=8),
        lambda: LoaderConfig(batch_size=1),
        lambda: LoaderConfig(workers=-1),
        lambda: DataConfig(short_side_px=8),
    ],
)
def test_settings_that_contradict_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match=r"must"):
        make()


def test_the_real_trashnet_when_it_is_here(folder: Path) -> None:
    source = os.environ.get("TRASHLENS_SOURCE")
    if not source or not Path(source).exists():
        pytest.skip("TRASHLENS_SOURCE names no copy of TrashNet")
    record = prepare_data(DataConfig(source=source, folder=folder))
    assert sum(sum(by_class.values()) for by_class in record["photos"].values()) == 2521
    assert record["dropped"] == sorted(
        f"{label}/{label}{number}.jpg" for pair in TWINS.items() for label, number in pair
    )
    assert {split: sum(by.values()) for split, by in record["photos"].items()} == {
        "train": 1764,
        "val": 327,
        "test": 430,
    }


def test_a_class_that_validation_lacks_does_not_shift_the_others(tmp_path: Path) -> None:
    photo = Image.new("RGB", (40, 40))
    kept = {"train": ("a", "b", "c"), "val": ("a", "c")}
    for split, labels in kept.items():
        for label in labels:
            (tmp_path / split / label).mkdir(parents=True)
            photo.save(tmp_path / split / label / f"{split}.jpg")

    def load() -> object:
        return make_loaders(
            tmp_path,
            preprocess=Preprocess(size_px=32),
            augment=AugmentConfig(size_px=32),
            loader=LoaderConfig(batch_size=2),
            seed=0,
        )

    loaders = load()
    assert loaders.labels == read_labels(tmp_path) == ("a", "b", "c")
    assert [label for _, labels in loaders.val for label in labels.tolist()] == [0, 2]
    shutil.rmtree(tmp_path / "train" / "c")
    with pytest.raises(DataError, match="photos of c to validate on and none to train on"):
        load()
