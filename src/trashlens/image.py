"""Bytes, path or PIL image -> upright RGB; refuses what is not a photo; the one preprocessing."""

import io
import math
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from trashlens.errors import ImageError

__all__ = [
    "READABLE",
    "ImageLimits",
    "Preprocess",
    "decode_image",
    "list_labelled",
    "list_photos",
    "walk_photos",
]

# Only formats people photograph or screenshot in; Pillow's others (EPS, PSD, ...) are attack surface.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
READABLE = "Send a photo as JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF."
# JPEG stores 8×8 blocks of frequencies: decoding at 1/2, 1/4 or 1/8 of the size skips most of the work.
# Twice the usual network input leaves the antialiased resize enough to average over.
DRAFT_PX = 448


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """What a photo may cost before it is refused."""

    max_bytes: int = 30 * 2**20
    """Largest file, bytes."""
    max_pixels: int = 64_000_000
    """Most pixels of the stored image, before any scaling; a 50-megapixel phone photo passes."""

    def __post_init__(self) -> None:
        if self.max_bytes <= 0 or self.max_pixels <= 0:
            raise ValueError("Image limits must be positive.")


def decode_image(
    source: bytes | str | os.PathLike[str] | Image.Image, *, limits: ImageLimits = ImageLimits()
) -> Image.Image:
    """Return the photo upright, as 8-bit RGB, whatever it was stored as.

    EXIF rotation is applied, transparency lies on white, an animation gives its first frame, 16-bit
    greyscale is scaled to 8. A large JPEG comes back at the smallest DCT scale (1/2, 1/4, 1/8) that
    keeps both sides at `DRAFT_PX` or more, so its size may be smaller than the stored one.

    Raises:
        ImageError: missing, empty, too large, not an image, or damaged; one sentence.
    """
    if isinstance(source, Image.Image):
        _check_pixels(source.size, limits)
        return _to_rgb(ImageOps.exif_transpose(source))
    data = source if isinstance(source, bytes) else _read_file(Path(source), limits)
    if not data:
        raise ImageError(f"The file is empty. {READABLE}")
    _check_bytes(len(data), limits)
    # Pillow's parsers raise almost anything on hostile bytes (struct.error, SyntaxError, ...), and all of
    # it means the same to the user.
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_too_many_pixels("over 178", limits)) from error
    except Exception as error:
        raise ImageError(f"This is not an image that can be read. {READABLE}") from error
    _check_pixels(image.size, limits)
    try:
        image.draft("RGB", (DRAFT_PX, DRAFT_PX))
        image.load()
        return _to_rgb(ImageOps.exif_transpose(image))
    except Exception as error:
        raise ImageError("The image is damaged or cut off. Send the original file again.") from error


def walk_photos(folder: Path) -> Iterator[Path]:
    """Yield every file below `folder` that is named like a photo, in the order of the paths.

    A folder is listed when it is reached. One that is not there or may not be read is passed over, and links to
    folders are not followed.
    """
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from walk_photos(path)
        elif path.suffix.lower() in SUFFIXES and path.is_file():
            yield path


def list_photos(folder: Path) -> list[Path]:
    """Return every file below `folder` that is named like a photo, sorted by path."""
    return list(walk_photos(folder))


def list_labelled(folder: Path, labels: Sequence[str]) -> list[tuple[Path, str]]:
    """Return the photos that lie in a folder named like a class, below `folder`, with that class."""
    return [(path, path.parent.name) for path in list_photos(folder) if path.parent.name in labels]


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """The one definition of how an RGB image becomes a network's input; it travels in the bundle."""

    size_px: int = 224
    """Side of the square the network sees, pixels."""
    crop_share: float = 1.0
    """Side of the centred square that is kept, as a share of the image's shorter side."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Per channel, of values in 0..1; ImageNet's by default."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if self.size_px < 1:
            raise ValueError("size_px must be at least 1.")
        if not 0 < self.crop_share <= 1:
            raise ValueError("crop_share must lie in (0, 1].")
        if self.size_px / self.crop_share > DRAFT_PX:
            raise ValueError(
                f"size_px / crop_share must not exceed the {DRAFT_PX} px that decoding keeps."
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError("mean and std need three values each, and std must be positive.")

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the definition that `dataclasses.asdict` and JSON made `record` of.

        Raises:
            TypeError, ValueError: a key is unknown or a value out of range.
        """
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}
        return cls(**values)

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """Crop, resize (antialiased bicubic) and normalise an RGB image to float32 [3, size_px, size_px]."""
        side = self.crop_share * min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        square = image.resize(
            (self.size_px, self.size_px),
            Image.Resampling.BICUBIC,
            box=(left, top, left + side, top + side),
        )
        return self.normalise(np.asarray(square))

    def normalise(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn uint8 [H, W, 3] into float32 [3, H, W]: (value / 255 - mean) / std."""
        std = np.asarray(self.std, np.float32)
        scale, shift = 1 / (255 * std), np.asarray(self.mean, np.float32) / std
        channels = np.empty((3, *pixels.shape[:2]), np.float32)
        for channel in range(3):
            np.multiply(pixels[..., channel], scale[channel], out=channels[channel])
            channels[channel] -= shift[channel]
        return channels


def _read_file(path: Path, limits: ImageLimits) -> bytes:
    """Return the file's bytes; its size is checked before anything is read."""
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or path.is_dir()):
            # A device or a pipe has no size, and reading it may never end.
            raise ImageError(f"{path} is not a file. Give the path of a photo.")
        _check_bytes(status.st_size, limits)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"There is no file {path}. Give the path of a photo.") from error
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise ImageError(f"{path} cannot be opened ({reason}). Give the path of a photo.") from error


def _check_bytes(size: int, limits: ImageLimits) -> None:
    if size > limits.max_bytes:
        megabytes = math.ceil(size / 2**20 * 10) / 10  # up, so that it never reads like the limit itself
        raise ImageError(
            f"The file has {megabytes:.1f} MB; the limit is {limits.max_bytes / 2**20:.0f} MB. "
            "Send a smaller copy of the photo."
        )


def _check_pixels(size: tuple[int, int], limits: ImageLimits) -> None:
    pixels = size[0] * size[1]
    if pixels == 0:
        raise ImageError(f"The image has no pixels. {READABLE}")
    if pixels > limits.max_pixels:
        raise ImageError(_too_many_pixels(f"{pixels / 1e6:.0f}", limits))


def _too_many_pixels(megapixels: str, limits: ImageLimits) -> str:
    return (
        f"The image has {megapixels} megapixels; the limit is {limits.max_pixels / 1e6:.0f}. "
        "Send a smaller copy of the photo."
    )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        # 16-bit greyscale: Pillow's own conversion clips at 255 and shows almost everything white.
        levels: NDArray[Any] = np.clip(np.asarray(image, np.int64) // 257, 0, 255)
        image = Image.fromarray(levels.astype(np.uint8))
    if image.has_transparency_data:
        # White, because TrashNet's photos lie on white boards.
        overlay = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), overlay)
    return image.convert("RGB")
