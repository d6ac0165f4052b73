"""The drawn photos are always the same, and as hard to decode as real ones."""

import io
from pathlib import Path

import numpy as np
import pytest
from conftest import coloured_photo
from PIL import ExifTags, Image

from trashlens.benchmark.photos import SMALL, draw_scene, make_photos, read_photo
from trashlens.errors import ImageError
from trashlens.image import decode_image


def test_the_three_photos_are_what_they_are_called() -> None:
    phone, small, png = make_photos()
    megapixels = [photo.width_px * photo.height_px / 1e6 for photo in (phone, small, png)]
    assert megapixels == pytest.approx([12.2, 0.197, 3.98], rel=0.01)
    assert 3e6 < len(phone.data) < 6e6  # what phones make of 12 megapixels
    assert 5e4 < len(small.data) < 2e5
    assert small.name == SMALL
    opened = [Image.open(io.BytesIO(photo.data)) for photo in (phone, small, png)]
    assert [image.format for image in opened] == ["JPEG", "JPEG", "PNG"]
    assert [image.size for image in opened] == [
        (photo.width_px, photo.height_px) for photo in (phone, small, png)
    ]
    assert opened[0].getexif()[ExifTags.Base.Orientation] == 6
    upright = decode_image(phone.data)
    assert upright.height > upright.width
    assert [photo.file_name for photo in (phone, png)] == ["photo.jpeg", "photo.png"]


def test_a_scene_depends_on_its_seed_alone() -> None:
    one, again, other = (np.asarray(draw_scene(128, 96, seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_amplitude_falls_with_the_frequency_as_in_photos() -> None:
    grey = np.asarray(draw_scene(512, 512, seed=0).convert("L"), float)
    spectrum = np.abs(np.fft.fft2(grey - grey.mean()))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(512), np.fft.fftfreq(512)))
    bands = [(2 ** (k / 2) / 512, 2 ** ((k + 1) / 2) / 512) for k in range(4, 15)]
    amplitude = [spectrum[(low <= frequency) & (frequency < high)].mean() for low, high in bands]
    slope = np.polyfit(np.log([low for low, _ in bands]), np.log(amplitude), 1)[0]
    assert -1.5 < slope < -0.7  # natural images have about -1, white noise 0


def test_a_photo_of_the_users_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "box.webp"
    coloured_photo("metal", size=(60, 40)).save(path)
    photo = read_photo(path)
    assert photo.data == path.read_bytes()
    assert (photo.name, photo.file_name) == ("box.webp", "photo.webp")
    assert (photo.width_px, photo.height_px) == (60, 40)
    path.write_bytes(b"no photo")
    with pytest.raises(ImageError):
        read_photo(path)
