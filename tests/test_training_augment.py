"""Objects are told from their boards, laid on other grounds, lit otherwise and mixed with their labels."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from trashlens.image import Preprocess
from trashlens.training.data.augment import (
    AugmentConfig,
    BatchAugmentation,
    PhotoAugmentation,
    change_light,
)
from trashlens.training.data.backgrounds import FAMILIES, HELD_OUT, TRAINED_ON, Grounds, draw_ground
from trashlens.training.data.cutouts import read_cutouts
from trashlens.training.data.foreground import Cutout, cut_out, place

RED, BOARD = (200, 30, 40), (228, 226, 222)


def photograph(*, colour: tuple[int, int, int] = RED, shadow: bool = False) -> NDArray[np.uint8]:
    """A red block of 60 by 40 pixels in the middle of a board that is lit from the left."""
    photo = np.full((128, 170, 3), BOARD, np.float32)
    photo *= np.linspace(1.0, 0.85, 170, dtype=np.float32)[np.newaxis, :, np.newaxis]
    if shadow:
        soft = np.ones((128, 170, 1), np.float32)
        soft[84:104, 60:110] = 0.85
        photo *= cv2.GaussianBlur(soft, (0, 0), 5)[..., np.newaxis]
    photo[44:84, 55:115] = colour
    noise = np.random.default_rng(0).normal(0, 2, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8)


def overlap(mask: NDArray[np.uint8], expected: NDArray[np.bool_]) -> float:
    found = mask > 127
    return float((found & expected).sum() / (found | expected).sum())


def block() -> NDArray[np.bool_]:
    expected = np.zeros((128, 170), bool)
    expected[44:84, 55:115] = True
    return expected


def test_the_object_is_told_from_an_unevenly_lit_board() -> None:
    cutout = cut_out(photograph())
    assert overlap(cutout.mask, block()) > 0.9
    assert overlap(cutout.hull, block()) > 0.8
    assert cutout.centre == pytest.approx((84.5, 63.5), abs=2)


def test_a_shadow_belongs_to_the_light_and_not_to_the_object() -> None:
    cutout = cut_out(photograph(shadow=True))
    assert (cutout.mask[92:98, 65:105] < 127).mean() > 0.9
    assert cutout.light[95, 85] < 118
    assert cutout.light[20, 20] == pytest.approx(128, abs=6)
    assert cutout.light[20, 150] == pytest.approx(128, abs=6)


def test_a_white_thing_on_the_board_is_found_by_its_edges() -> None:
    photo = photograph(colour=(235, 233, 230))
    photo[44:46, 55:115] = photo[82:84, 55:115] = photo[44:84, 55:57] = photo[44:84, 113:115] = 120
    cutout = cut_out(photo)
    assert (cutout.hull[50:78, 60:110] > 127).mean() > 0.95


@pytest.mark.parametrize(
    "photo",
    [
        np.full((128, 170, 3), (150, 100, 55), np.uint8),
        np.random.default_rng(1).integers(0, 256, (128, 170, 3), np.uint8),
        np.full((128, 170, 3), BOARD, np.uint8),
    ],
    ids=["cardboard fills the picture", "no board at all", "nothing on the board"],
)
def test_without_board_and_object_all_of_the_photo_is_the_object(photo: NDArray[np.uint8]) -> None:
    cutout = cut_out(photo)
    assert cutout.mask.min() == cutout.hull.min() == 255


def test_the_object_keeps_its_colour_and_lies_on_the_ground() -> None:
    cutout, rng = cut_out(photograph()), np.random.default_rng(0)
    grounds = Grounds(96, 4, ("plain",), seed=3)
    for _ in range(20):
        view = place(cutout, rng, grounds, size_px=96, scales=(1.0, 1.0)).astype(int)
        red = (np.abs(view - np.array(RED)) < 25).all(axis=2)
        assert 0.6 < red.sum() / (60 * 40 * (96 / 128) ** 2) < 1.2
        board = (np.abs(view - np.array(BOARD)) < 8).all(axis=2)
        assert board.mean() < 0.35  # a ground may be as bright as a board, most are not
    assert view.shape == (96, 96, 3)


def test_smaller_scales_show_the_object_smaller() -> None:
    cutout, rng = cut_out(photograph()), np.random.default_rng(0)
    grounds = Grounds(96, 4, ("plain",), seed=0)
    areas = []
    for scale in (0.3, 0.6, 1.2):
        view = place(cutout, rng, grounds, size_px=96, scales=(scale, scale)).astype(int)
        areas.append((np.abs(view - np.array(RED)) < 30).all(axis=2).sum())
    assert areas[0] * 3 < areas[1]
    assert areas[1] * 2 < areas[2]


@pytest.mark.parametrize("family", FAMILIES)
def test_grounds_are_colours_and_each_is_another(family: str) -> None:
    rng = np.random.default_rng(0)
    first, second = (draw_ground(60, 80, rng, (family,)) for _ in range(2))
    assert first.shape == (60, 80, 3)
    assert first.dtype == np.float32
    assert first.min() >= 0
    assert first.max() <= 1
    assert np.abs(first - second).mean() > 0.01


def test_what_measures_robustness_is_never_trained_on() -> None:
    assert not set(TRAINED_ON) & set(HELD_OUT)
    assert set(TRAINED_ON) | set(HELD_OUT) == set(FAMILIES)


def test_light_changes_as_drawn() -> None:
    photo = photograph()
    changed = change_light(photo, np.random.default_rng(0), 0.2)
    assert changed.shape == photo.shape
    assert np.abs(changed.astype(int) - photo).mean() > 5
    same = change_light(photo, np.random.default_rng(0), 0.0)
    assert np.abs(same.astype(int) - photo).max() <= 1


def test_views_are_determined_by_torchs_seed() -> None:
    cutout = cut_out(photograph())
    augmentation = PhotoAugmentation(AugmentConfig(size_px=32, background=0.5, light=0.2), seed=0)
    torch.manual_seed(5)
    first = [augmentation(cutout) for _ in range(6)]
    torch.manual_seed(5)
    second = [augmentation(cutout) for _ in range(6)]
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert first[0].shape == (3, 32, 32)
    assert first[0].dtype == torch.uint8
    assert len({view.sum().item() for view in first}) == 6


def test_the_share_of_drawn_grounds_is_the_one_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = []
    monkeypatch.setattr(
        "trashlens.training.data.augment.place",
        lambda *_, size_px, **__: placed.append(1) or np.zeros((size_px, size_px, 3), np.uint8),
    )
    augmentation = PhotoAugmentation(AugmentConfig(size_px=16, background=0.25))
    cutout = cut_out(photograph())
    torch.manual_seed(0)
    for _ in range(400):
        augmentation(cutout)
    assert 75 < len(placed) < 125
    augmentation(Image.fromarray(cutout.image))  # nothing was taken apart: never placed
    assert len(placed) < 125


def test_mixed_labels_follow_the_mixed_pictures() -> None:
    augment = AugmentConfig(size_px=16, jitter=0.0, mixup=1.0)
    plain = Preprocess(size_px=16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    torch.manual_seed(0)
    black, white = torch.zeros(3, 16, 16, dtype=torch.uint8), torch.full(
        (3, 16, 16), 255, dtype=torch.uint8
    )
    images, labels = BatchAugmentation(
        augment, plain, classes=2, grounds=Grounds(16, 0, TRAINED_ON, seed=0)
    )([(black, 0), (white, 1)])
    assert labels.shape == (2, 2)
    assert labels.sum(dim=1).tolist() == pytest.approx([1, 1])
    # Class 1 is white: a picture's brightness is its share of that class.
    assert images.mean(dim=(1, 2, 3)).tolist() == pytest.approx(labels[:, 1].tolist(), abs=1e-6)
    assert 0 < labels[0, 1] < 1


def test_objects_are_sought_once_and_then_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, folder = tmp_path / "metal1.jpg", tmp_path / "cutouts"
    image = Image.fromarray(photograph(shadow=True))
    image.save(path)
    (first,) = read_cutouts(folder, [path], [image])
    monkeypatch.setattr("trashlens.training.data.cutouts.cut_out", lambda _: pytest.fail("sought again"))
    (second,) = read_cutouts(folder, [path], [image])
    for part in ("image", "mask", "hull", "light"):
        assert np.array_equal(getattr(first, part), getattr(second, part))
    assert isinstance(second, Cutout)
    assert cv2.moments(second.mask)["m00"] > 0


@pytest.mark.parametrize(
    ("setting", "value"),
    [("light", 1.0), ("background", 1.1), ("background", -0.1), ("min_scale", 0.0), ("mixup", -1.0)],
)
def test_settings_out_of_range_are_refused(setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"augment.{setting}"):
        AugmentConfig(**{setting: value})  # type: ignore[arg-type]


def test_empty_views_show_a_ground_and_speak_for_no_class() -> None:
    augment = AugmentConfig(size_px=16, jitter=0.0, empty=0.25)
    plain = Preprocess(size_px=16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    grounds = Grounds(16, 4, ("plain",), seed=0)
    torch.manual_seed(0)
    black = torch.zeros(3, 16, 16, dtype=torch.uint8)
    images, labels = BatchAugmentation(augment, plain, classes=4, grounds=grounds)([(black, 1)] * 400)
    empty = images.sum(dim=(1, 2, 3)) > 0  # a ground is never black
    assert 75 < empty.sum() < 125
    assert torch.equal(labels[empty], torch.full((int(empty.sum()), 4), 0.25))
    assert torch.equal(labels[~empty], torch.tensor([0.0, 1, 0, 0]).expand(int((~empty).sum()), 4))
    assert len(images[empty].mean(dim=(1, 2, 3)).unique()) > 20  # the four are lit anew each time


def test_random_changes_are_drawn_anew_from_the_seed_and_only_where_asked_for() -> None:
    photo = Image.fromarray(photograph())
    plain = {"size_px": 64, "min_area": 1.0, "flip": False, "jitter": 0.0}

    def view(ops: int, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return PhotoAugmentation(AugmentConfig(**plain, random_ops=ops, random_magnitude=15))(photo)

    assert torch.equal(view(2, 1), view(2, 1))
    changed = {seed: view(2, seed).float() - view(0, seed).float() for seed in range(12)}
    assert all(view(2, seed).dtype == torch.uint8 for seed in range(2))
    assert sum(bool(difference.any()) for difference in changed.values()) >= 8
    with pytest.raises(ValueError, match="random_ops must not be negative"):
        AugmentConfig(random_ops=-1)
