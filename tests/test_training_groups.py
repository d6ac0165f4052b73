"""Photos of one object share a group, no group lies on two sides, and the committed manifest keeps to that."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import LABELS, TWINS, coloured_photo
from matplotlib.figure import Figure
from torch import Tensor, nn

from trashlens.__main__ import main
from trashlens.errors import DataError
from trashlens.image import Preprocess
from trashlens.training import pictures, regroup
from trashlens.training.data import (
    FOLDS,
    DataConfig,
    GroupedPhoto,
    Photo,
    assign_folds,
    leak_of,
    prepare_data,
    read_grouped,
    read_groups,
    read_manifest,
    read_originals,
)
from trashlens.training.data.groups import (
    GroupConfig,
    count_colours,
    describe_photos,
    embed_photos,
    find_border,
    group_photos,
)
from trashlens.training.data.manifest import format_grouped

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def committed() -> list[GroupedPhoto]:
    return read_grouped(DATA / "trashnet-grouped.csv")


def test_the_committed_groups_hold_the_official_photos_by_the_same_hashes(
    committed: list[GroupedPhoto],
) -> None:
    official = {(p.path, p.label, p.sha256) for p in read_manifest(DATA / "trashnet-official.csv")}
    assert len(committed) == len(official) == 2521
    assert {(photo.path, photo.label, photo.sha256) for photo in committed} == official
    twins = {f"{label}/{label}{number}.jpg" for pair in TWINS.items() for label, number in pair}
    assert not twins & {photo.path for photo in committed}


def test_no_committed_group_is_on_two_sides_of_any_fold(committed: list[GroupedPhoto]) -> None:
    for fold in range(FOLDS):
        sides: dict[str, set[str]] = {}
        for photo in committed:
            sides.setdefault(photo.group, set()).add(photo.split_in(fold))
        assert {len(side) for side in sides.values()} == {1}
        counts = Counter(photo.split_in(fold) for photo in committed)
        assert abs(counts["test"] / 2521 - 0.2) < 0.005
        assert abs(counts["val"] / 2521 - 0.13) < 0.01


def test_every_committed_photo_is_tested_once_and_classes_are_balanced(
    committed: list[GroupedPhoto],
) -> None:
    tests = [
        photo.path for fold in range(FOLDS) for photo in committed if photo.split_in(fold) == "test"
    ]
    assert sorted(tests) == [photo.path for photo in committed]
    total = Counter(photo.label for photo in committed)
    for fold in range(FOLDS):
        for split, share in (("test", 1 / 5), ("val", 2 / 15)):
            counts = Counter(p.label for p in committed if p.split_in(fold) == split)
            # The rarest class has 137 photos: three of them are two points.
            assert all(abs(counts[label] / total[label] - share) < 0.04 for label in LABELS)


def test_known_objects_share_a_committed_group_and_none_is_a_giant() -> None:
    groups = read_groups(DATA)
    cans = {groups[f"metal/metal{number}.jpg"] for number in range(203, 213)}
    assert cans == {"metal203"}
    sizes = Counter(groups.values())
    assert max(sizes.values()) < 0.02 * 2521
    assert len({path.split("/")[0] + group for path, group in groups.items()}) == len(sizes)


def photos_of(groups: dict[str, int], *, label: str = "glass") -> list[Photo]:
    """Return photos with as many members a group as told; a photo's hash begins with its group."""
    return [
        Photo(path=f"{label}/{group}-{n}.jpg", label=label, split="train", sha256=f"{group}-{n}")
        for group, count in groups.items()
        for n in range(count)
    ]


def test_folds_hold_whole_groups_and_equal_shares() -> None:
    photos = [
        *photos_of({f"g{n}": 2 for n in range(30)}, label="glass"),
        *photos_of({f"m{n}": 4 for n in range(30)}, label="metal"),
    ]
    groups = {photo.path: photo.sha256.split("-")[0] for photo in photos}
    grouped = assign_folds(photos, groups, seed=3)
    assert [photo.path for photo in grouped] == sorted(groups)
    for fold in range(FOLDS):
        counts = Counter((photo.label, photo.split_in(fold)) for photo in grouped)
        assert counts["glass", "test"] == 12
        assert counts["metal", "test"] == 24
        assert counts["glass", "val"] == 8  # two thirds of the next fold
        assert counts["metal", "val"] == 16
        sides = {(groups[photo.path], photo.split_in(fold)) for photo in grouped}
        assert len(sides) == 60
    assert all(photo.val_of in (None, (photo.fold - 1) % FOLDS) for photo in grouped)
    assert assign_folds(photos[::-1], groups, seed=3) == grouped
    assert assign_folds(photos, groups, seed=4) != grouped


def test_the_leak_is_the_test_photos_whose_object_was_trained_on() -> None:
    def photo(path: str, split: str) -> Photo:
        return Photo(path=path, label=path.split("/")[0], split=split, sha256="")

    photos = [
        photo("glass/1", "train"),
        photo("glass/2", "test"),  # the object of glass/1
        photo("glass/3", "test"),  # its sibling validates only
        photo("glass/4", "val"),
        photo("metal/1", "test"),  # in no group
        photo("metal/2", "train"),
    ]
    groups = {"glass/1": "a", "glass/2": "a", "glass/3": "b", "glass/4": "b"}
    leak = leak_of(photos, groups)
    assert leak.seen == ("glass/2",)
    assert leak.unseen == ("glass/3", "metal/1")
    assert leak.share == pytest.approx(1 / 3)
    assert leak.by_class() == {"glass": (1, 2), "metal": (0, 1)}


def unit(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_average_linkage_does_not_chain_and_twins_are_never_apart() -> None:
    # Neighbours 20 degrees apart have a cosine of 0.94: single linkage would chain all four.
    paths = [f"glass/glass{n}.jpg" for n in (12, 9, 10, 11)]
    vectors = unit(0, 20, 40, 60)
    apart = group_photos(paths, vectors, GroupConfig(threshold=0.85, twins=0.99))
    # 0 and 20 merge, 40 and 60 merge; their mean cosine, (cos 40 + cos 60 + cos 20 + cos 40) / 4, is 0.743.
    assert apart == dict(zip(paths, ["glass9", "glass9", "glass10", "glass10"], strict=True))
    assert set(group_photos(paths, vectors, GroupConfig(threshold=0.74, twins=0.99)).values()) == {
        "glass9"
    }
    assert len(set(group_photos(paths, vectors, GroupConfig(threshold=0.75, twins=0.99)).values())) == 2
    assert set(group_photos(paths, vectors, GroupConfig(threshold=0.85, twins=0.93)).values()) == {
        "glass9"
    }


def test_a_group_lies_within_a_class() -> None:
    paths = ["glass/glass1.jpg", "metal/metal1.jpg", "metal/metal2.jpg"]
    groups = group_photos(paths, unit(0, 0, 0), GroupConfig())
    assert list(groups.values()) == ["glass1", "metal1", "metal1"]


def test_the_border_is_what_was_decided_most_narrowly() -> None:
    paths = [f"glass/glass{n}.jpg" for n in range(5)] + ["metal/metal0.jpg"]
    vectors = unit(0, 10, 40, 100, 129, 0)
    groups = dict(zip(paths, ["a", "a", "a", "b", "b", "a"], strict=True))
    together, apart = find_border(paths, vectors, groups, count=2)
    # Each photo's nearest of its group: 0-1, 1-0, 2-1, 3-4, 4-3; the metal has none.
    assert [pair[:2] for pair in together] == [(paths[1], paths[2]), (paths[3], paths[4])]
    assert [pair[2] for pair in together] == pytest.approx(np.cos(np.radians([30, 29])), abs=1e-6)
    # 60 and 89 degrees; the metal equals a glass, and is of another class.
    assert [pair[:2] for pair in apart] == [(paths[2], paths[3]), (paths[2], paths[4])]
    assert [pair[2] for pair in apart] == pytest.approx(np.cos(np.radians([60, 89])), abs=1e-6)


def test_what_all_photos_share_does_not_count() -> None:
    board = 10 * np.ones((4, 1), np.float32)
    objects = np.array([[1, 0], [1, 0], [0, 1], [-1, -1]], np.float32)
    vectors = describe_photos([(np.hstack([board, objects]), 2)])
    likeness = vectors @ vectors.T
    assert np.allclose(np.diag(likeness), 1, atol=1e-5)
    assert likeness[0, 1] == pytest.approx(1, abs=1e-5)
    assert likeness[0, 2] < 0
    twice = describe_photos([(np.hstack([board, objects]), 2)] * 2)
    assert np.allclose(twice @ twice.T, likeness, atol=1e-5)


class MeanColour(nn.Module):
    """Its features are the mean of the image's upper half: a turn changes them."""

    def forward_features(self, images: Tensor) -> Tensor:
        return images[:, :, : images.shape[2] // 2].mean(dim=(2, 3))

    def forward_head(self, features: Tensor, *, pre_logits: bool) -> Tensor:
        assert pre_logits
        return features


def test_an_embedding_does_not_change_when_the_photo_is_turned_upside_down() -> None:
    photo = coloured_photo("glass", size=(64, 64))
    photo.paste((0, 0, 0), (0, 0, 64, 20))
    files = []
    for image in (photo, photo.rotate(180)):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        files.append(buffer.getvalue())
    preprocess = Preprocess(size_px=16)
    first, second = embed_photos(MeanColour(), files, preprocess)
    assert np.allclose(first, second, atol=1e-6)
    assert np.allclose(first, preprocess(photo).mean(axis=(1, 2)), atol=1e-5)
    alone = MeanColour().forward_features(torch.from_numpy(preprocess(photo))[None])
    assert not np.allclose(first, alone[0].numpy(), atol=0.1)
    colours = count_colours(files)
    assert colours.shape == (2, 576)
    assert np.allclose((colours**2).sum(axis=1), 1)
    assert colours[0] @ colours[1] == pytest.approx(1, abs=0.01)


def test_a_fold_is_written_and_read_back(trashnet: Path, tmp_path: Path) -> None:
    (tmp_path / "trashnet-grouped.csv").write_bytes((DATA / "trashnet-grouped.csv").read_bytes())
    config = DataConfig(source=str(trashnet), folder=tmp_path, split="grouped", fold=3, short_side_px=32)
    record = prepare_data(config)
    assert (record["split"], record["fold"], record["seed"]) == ("grouped", 3, None)
    grouped = read_grouped(config.manifest)
    for split in ("train", "val", "test"):
        expected = {photo.path for photo in grouped if photo.split_in(3) == split}
        folder = config.processed / split
        assert {str(p.relative_to(folder)) for p in folder.rglob("*.jpg")} == expected
    groups = read_groups(tmp_path)
    originals = read_originals(config, "test")
    assert {one.path: one.group for one in originals} == {
        photo.path: groups[photo.path] for photo in grouped if photo.fold == 3
    }
    assert all(one.label == one.path.split("/")[0] and one.data[:2] == b"\xff\xd8" for one in originals)


def test_originals_without_groups_are_their_own(trashnet: Path, tmp_path: Path) -> None:
    (tmp_path / "trashnet-official.csv").write_bytes((DATA / "trashnet-official.csv").read_bytes())
    originals = read_originals(DataConfig(source=str(trashnet), folder=tmp_path), "val")
    assert len(originals) == 327
    assert all(one.group == one.path for one in originals)


def test_a_manifest_of_groups_is_read_back_as_written(tmp_path: Path) -> None:
    photos = [
        GroupedPhoto(path="b/2", label="b", group="x", fold=1, val_of=0, sha256="2"),
        GroupedPhoto(path="a/1", label="a", group="y", fold=0, val_of=None, sha256="1"),
    ]
    path = tmp_path / "trashnet-grouped.csv"
    path.write_bytes(format_grouped(photos))
    assert read_grouped(path) == photos[::-1]
    assert [photos[0].split_in(fold) for fold in (0, 1, 2)] == ["val", "test", "train"]
    path.write_text("path,class\na,b\n")
    with pytest.raises(DataError, match="is not a manifest of groups"):
        read_grouped(path)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: GroupConfig(threshold=0.6), "threshold not above twins"),
        (lambda: GroupConfig(threshold=0.0), "must lie in"),
        (lambda: DataConfig(fold=5, split="grouped"), "fold must lie in 0 to 4"),
        (lambda: DataConfig(fold=1), "Only the grouped split has folds"),
    ],
)
def test_settings_that_contradict_are_refused(make: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


@pytest.fixture
def toy_data(tmp_path: Path) -> tuple[Path, Path]:
    """TrashNet's names with two groups a class: dark photos and light ones; source zip and data folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "trashnet-official.csv").write_bytes((DATA / "trashnet-official.csv").read_bytes())
    (folder / "trashnet-grouped.csv").write_bytes((DATA / "trashnet-grouped.csv").read_bytes())
    return tmp_path, folder


def test_the_command_reports_the_committed_groups(
    toy_data: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder = toy_data
    assert main(["groups", f"--folder={folder}"]) == 0
    said = capsys.readouterr().out
    assert "2,521 photos in 701 groups, 180 of a single photo, the largest of 41." in said
    assert "Fold 3: 1679 train, 337 val, 505 test." in said
    assert "372 of 430 test photos (86.5%)" in said
    assert "trash 22 of 29." in said


def test_the_command_groups_anew_by_what_networks_see(
    trashnet: Path,
    toy_data: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tmp_path, folder = toy_data
    looks = []

    def look(_: nn.Module, photos: list[bytes], __: Preprocess) -> np.ndarray:
        # Ten kinds of object, by the file's last two bytes, which the fixture numbers.
        looks.append(len(photos))
        kinds = np.array([int.from_bytes(photo[-2:], "big") % 10 for photo in photos])
        return np.eye(10, dtype=np.float32)[kinds] + 1

    monkeypatch.setattr(regroup, "embed_photos", look)
    monkeypatch.setattr(
        regroup, "create_network", lambda config, *, classes: (MeanColour(), (config, classes))
    )
    monkeypatch.setattr(regroup, "count_colours", lambda photos: np.ones((len(photos), 3), np.float32))
    monkeypatch.setattr(regroup, "COMPONENTS", {"mobilenet": 9, "resnet": 9})
    for name in ("draw_groups", "draw_pairs"):  # drawn in earnest by the tests of pictures
        monkeypatch.setattr(pictures, name, lambda *_, **__: Figure(figsize=(1, 1)))
    drawn, features = tmp_path / "pictures", tmp_path / "runs" / "features.safetensors"
    command = [
        *("groups", "--remake", f"--folder={folder}", f"--source={trashnet}", "--twins=0.9"),
        *(f"--pictures={drawn}", f"--features={features}"),
    ]
    assert main(command) == 0
    assert looks == [2521, 2521]
    said = capsys.readouterr().out
    assert "2,521 photos in 60 groups, 0 of a single photo" in said
    assert "(100.0%)" in said
    expected = {"together.png", "apart.png", *(f"groups-{label}.png" for label in LABELS)}
    assert {path.name for path in drawn.iterdir()} == expected
    groups = read_groups(folder)
    assert groups["glass/glass21.jpg"] == groups["glass/glass1.jpg"] == "glass1"
    assert groups["glass/glass22.jpg"] == "glass2"
    assert main([*command[:-2], f"--features={features}"]) == 0
    assert looks == [2521, 2521]  # what was seen is kept
    weights = tmp_path / "other.safetensors"
    for content, times in (
        (b"one", 4),
        (b"one", 4),
        (b"another", 6),
    ):  # by other weights, name or content
        weights.write_bytes(content)
        assert main([*command[:-2], f"--features={features}", f"--resnet={weights}"]) == 0
        assert looks == [2521] * times


def test_a_probe_tells_seen_objects_from_unseen_ones() -> None:
    rng = np.random.default_rng(0)
    official, grouped, rows = [], [], []
    for n in range(60):
        label, split = LABELS[n % 2], ("train", "train", "test")[n // 2 % 3]
        # Half of the test photos look like the other class, and their objects are in no training photo.
        alien = split == "test" and n >= 30
        photo = Photo(path=f"{label}/{n}", label=label, split=split, sha256="")
        official.append(photo)
        group = f"alone{n}" if alien else label
        grouped.append(
            GroupedPhoto(
                path=photo.path, label=label, group=group, fold=n // 2 % 5, val_of=None, sha256=""
            )
        )
        side = (n % 2) ^ alien
        rows.append([side + rng.normal(0, 0.05), rng.normal()])
    probe = regroup.probe_splits(np.array(rows, np.float32), official, grouped)
    assert (probe.seen, probe.unseen, probe.official) == (1.0, 0.0, 0.5)
    # Ten of sixty photos are aliens: photos 34, 35, 40, 41, 46, 47, 52, 53, 58 and 59, two in each fold.
    assert probe.folds == pytest.approx([10 / 12] * 5)
