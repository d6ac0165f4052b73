"""Pictures of no waste are there without a download, the same each time, and are counted by kind."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS, coloured_photo, toy_bundle, toy_model
from PIL import Image

from trashlens.classifier import Classifier
from trashlens.errors import DataError
from trashlens.training.data.backgrounds import TRAINED_ON
from trashlens.training.unrelated import DRAWERS, read_unrelated, rejection_rate, unrelated_photos


@pytest.fixture(scope="module")
def photos() -> list[tuple[str, Image.Image]]:
    return unrelated_photos()


def test_real_photographs_come_in_six_views_from_installed_packages(
    photos: list[tuple[str, Image.Image]],
) -> None:
    real = {name: image for name, image in photos if name.startswith("real/")}
    stems = {name.split("/")[1] for name in real}
    assert {"grace_hopper", "china", "flower", "cheetah", "tower"} <= stems
    assert len(real) == 6 * len(stems)
    assert real["real/china/whole"].size == (640, 427)
    assert {image.size for name, image in real.items() if "/china/" in name} == {(640, 427), (299, 299)}
    corners = [np.asarray(real[f"real/china/{view}"]) for view in ("top-left", "bottom-right")]
    whole = np.asarray(real["real/china/whole"])
    assert np.array_equal(corners[0], whole[:299, :299])
    assert np.array_equal(corners[1], whole[-299:, -299:])


def test_generated_pictures_are_of_every_kind_and_all_different(
    photos: list[tuple[str, Image.Image]],
) -> None:
    generated = {name: image for name, image in photos if name.startswith("generated/")}
    assert {name.split("/")[1] for name in generated} == set(DRAWERS)
    assert len(generated) == 70
    assert len({image.tobytes() for image in generated.values()}) == len(generated)
    assert all(image.mode == "RGB" and min(image.size) > 100 for image in generated.values())
    assert len(dict(photos)) == len(photos)


def test_a_seed_gives_the_same_pictures_and_another_seed_others(
    photos: list[tuple[str, Image.Image]],
) -> None:
    first, again, other = ([image.tobytes() for _, image in unrelated_photos(seed=s)] for s in (0, 0, 1))
    real = sum(name.startswith("real/") for name, _ in photos)
    assert first == again == [image.tobytes() for _, image in photos]
    assert first[:real] == other[:real]
    assert not set(first[real:]) & set(other[real:])


def test_what_training_shows_as_an_empty_ground_is_not_measured(
    photos: list[tuple[str, Image.Image]],
) -> None:
    assert {"plain", "woven"} <= set(TRAINED_ON)  # patterns are woven, coarsely
    assert not {*TRAINED_ON, "pattern"} & set(DRAWERS)
    generated = [np.asarray(image) for name, image in photos if name.startswith("generated/")]
    assert all(pixels.reshape(-1, 3).std(axis=0).max() > 1 for pixels in generated)


def test_what_is_rejected_is_counted_by_origin_and_kind() -> None:
    sure = Image.new("RGB", (90, 90), COLOURS["glass"])
    unsure = Image.new("RGB", (90, 90), (128, 128, 128))
    named = [
        ("real/lion/whole", sure),
        ("real/lion/middle", unsure),
        ("real/tower/whole", unsure),
        ("generated/noise/0", sure),
        ("own/folder/photo.jpg/whole", unsure),
    ]
    bundle = dataclasses.replace(toy_bundle("student", toy_model()), threshold=0.99)
    assert rejection_rate(Classifier(bundle), named) == {
        "real": {"photos": 3, "rejected": pytest.approx(2 / 3), "kinds": {"lion": 0.5, "tower": 1.0}},
        "generated": {"photos": 1, "rejected": 0.0, "kinds": {"noise": 0.0}},
        "own": {"photos": 1, "rejected": 1.0, "kinds": {"folder/photo.jpg": 1.0}},
    }
    every = rejection_rate(Classifier(toy_bundle("student", toy_model())), named)
    assert {origin: each["rejected"] for origin, each in every.items()} == dict.fromkeys(every, 0.0)


def test_a_folder_of_ones_own_is_read_and_an_empty_one_refused(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    coloured_photo("metal").save(tmp_path / "cats" / "tom.png")
    coloured_photo("glass").save(tmp_path / "dog.png")
    (tmp_path / "notes.txt").write_text("no photo")
    names = [name for name, _ in read_unrelated(tmp_path)]
    assert names == ["own/cats/tom.png/whole", "own/dog.png/whole"]
    with pytest.raises(DataError, match="holds no photos"):
        read_unrelated(tmp_path / "none")
