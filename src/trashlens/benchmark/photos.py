"""The photos that requests are measured with: drawn, always the same, and as hard to decode as real ones."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageDraw

from trashlens.image import decode_image

__all__ = ["SMALL", "RequestPhoto", "draw_scene", "encode_jpeg", "make_photos", "read_photo"]

PHONE, SMALL, SCREEN = "12 MP phone JPEG", "512×384 JPEG", "4 MP PNG"
SIZES_PX = {PHONE: (4032, 3024), SMALL: (512, 384), SCREEN: (2304, 1728)}
"""Width and height as stored."""
LEAVES = 1200
LIGHT, GRAIN = 12.0, 1.5
"""Deviation of the light and of the sensor's grain, of 255; they make files as large as a phone's."""
TURNED = 6
"""EXIF orientation of a photo that was taken upright with a sensor that lies on its side, as phones' do."""


@dataclass(frozen=True, kw_only=True)
class RequestPhoto:
    """One photo as a visitor would send it."""

    name: str
    data: bytes = field(repr=False)
    """The file's content."""
    width_px: int
    """As stored, before EXIF rotation."""
    height_px: int

    @property
    def file_name(self) -> str:
        """A name for the file, with the ending of its format."""
        return f"photo.{(Image.open(io.BytesIO(self.data)).format or 'jpeg').lower()}"

    @property
    def sha256(self) -> str:
        """SHA-256 of the file; tells whether two machines measured with the same one."""
        return hashlib.sha256(self.data).hexdigest()


def make_photos() -> list[RequestPhoto]:
    """Draw a phone's photo, a small one and a PNG."""
    encoders: dict[str, Callable[[Image.Image], bytes]] = {
        PHONE: partial(encode_jpeg, quality=93, orientation=TURNED),
        SMALL: partial(encode_jpeg, quality=88),
        SCREEN: _encode_png,
    }
    return [
        RequestPhoto(
            name=name,
            data=encode(draw_scene(*SIZES_PX[name], seed=seed)),
            width_px=SIZES_PX[name][0],
            height_px=SIZES_PX[name][1],
        )
        for seed, (name, encode) in enumerate(encoders.items())
    ]


def read_photo(path: Path) -> RequestPhoto:
    """Return a photo of the user's.

    Raises:
        ImageError: it cannot be read.
    """
    decode_image(path)
    data = path.read_bytes()
    width_px, height_px = Image.open(io.BytesIO(data)).size
    return RequestPhoto(name=path.name, data=data, width_px=width_px, height_px=height_px)


def draw_scene(width_px: int, height_px: int, *, seed: int) -> Image.Image:
    """Draw things that lie over one another, under light and grain of all sizes.

    Things whose radii are distributed like r⁻³ and noise whose amplitude falls like 1/f have the statistics of
    natural images (Lee, Mumford and Huang 2001), on which the effort of decoding depends.
    """
    generator = np.random.default_rng(seed)
    pixels = np.asarray(_draw_leaves(width_px, height_px, generator)).copy()
    light = LIGHT * _make_noise(width_px, height_px, generator)
    for channel in range(3):
        grain = generator.standard_normal((height_px, width_px), np.float32)
        grain *= GRAIN
        grain += light
        grain += pixels[..., channel]
        pixels[..., channel] = np.clip(grain, 0, 255)
    return Image.fromarray(pixels)


def encode_jpeg(image: Image.Image, *, quality: int, orientation: int = 1) -> bytes:
    """Return the image as JPEG with halved colours, as cameras write it."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling="4:2:0", exif=exif)
    return buffer.getvalue()


def _encode_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _draw_leaves(width_px: int, height_px: int, generator: np.random.Generator) -> Image.Image:
    """Draw ellipses and boxes whose radii are distributed like r⁻³, the small ones over the large ones."""
    scene = Image.new("RGB", (width_px, height_px), (150, 140, 125))
    draw = ImageDraw.Draw(scene)
    smallest, largest = max(width_px, height_px) / 150, max(width_px, height_px) / 3
    # The inverse of the distribution's cumulative function, at evenly spread random numbers.
    uniform = generator.random(LEAVES)
    radii = (smallest**-2 - uniform * (smallest**-2 - largest**-2)) ** -0.5
    for radius in sorted(radii, reverse=True):
        x, y = generator.random(2) * (width_px, height_px)
        colour = tuple(generator.integers(20, 236, 3).tolist())
        box = (x - radius, y - radius * 0.7, x + radius, y + radius * 0.7)
        shape = draw.ellipse if generator.random() < 0.5 else draw.rectangle
        shape(box, fill=colour)
    return scene


def _make_noise(width_px: int, height_px: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return noise [height, width] with as much variance in every octave, that is 1/f, and deviation 1."""
    sizes = [(width_px, height_px)]
    while min(sizes[-1]) > 4:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    noise = np.zeros((1, 1), np.float32)
    for size in reversed(sizes):
        larger = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        noise = np.asarray(larger) + generator.standard_normal(size[::-1], np.float32)
    scaled: NDArray[np.float32] = noise / noise.std()
    return scaled
