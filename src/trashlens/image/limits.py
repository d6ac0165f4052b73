"""What a photo may cost, and the sentences that refuse what costs more."""

import math
from dataclasses import dataclass

from trashlens.errors import ImageError

__all__ = [
    "DEFAULT_LIMITS",
    "READABLE",
    "ImageLimits",
    "check_bytes",
    "check_memory",
    "check_pixels",
    "too_many_pixels",
]

READABLE = "Send a photo as JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF."
SMALLER = "Send a smaller copy of the photo."
# No camera and none of JPEG, GIF and WebP goes beyond; decoders that keep whole rows would pay for it.
MAX_SIDE_PX = 65_535


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """What a photo may cost before it is refused."""

    max_bytes: int = 30 * 2**20
    """Largest file, bytes."""
    max_pixels: int = 64_000_000
    """Most pixels of the stored image, before any scaling; a 50-megapixel phone photo passes."""
    max_memory_bytes: int = 210_000_000
    """Most memory that decoding may take, bytes, by an estimate that is on the safe side. An ordinary JPEG of
    `max_pixels` stays far below; what must be decoded whole may have 49 megapixels as PNG (an 8K screenshot has
    33), 33 or more as progressive JPEG, 26 as TIFF, and 13 as WebP or AVIF."""

    def __post_init__(self) -> None:
        if min(self.max_bytes, self.max_pixels, self.max_memory_bytes) <= 0:
            raise ValueError("Image limits must be positive.")


DEFAULT_LIMITS = ImageLimits()


def check_bytes(size: int, limits: ImageLimits) -> None:
    """Refuse a file of more bytes than the limit.

    Raises:
        ImageError: it has more.
    """
    if size > limits.max_bytes:
        megabytes = math.ceil(size / 2**20 * 10) / 10  # up, so that it never reads like the limit itself
        raise ImageError(
            f"The file has {megabytes:.1f} MB; the limit is {limits.max_bytes / 2**20:.0f} MB. {SMALLER}"
        )


def check_pixels(size: tuple[int, int], limits: ImageLimits) -> None:
    """Refuse an image without pixels, with too many, or with too many in a row.

    Raises:
        ImageError: it is one of these.
    """
    pixels = size[0] * size[1]
    if pixels == 0:
        raise ImageError(f"The image has no pixels. {READABLE}")
    if pixels > limits.max_pixels:
        megapixels = math.ceil(pixels / 1e4) / 100  # up, so that it never reads like the limit itself
        raise ImageError(too_many_pixels(f"{megapixels:.10g}", limits))
    if max(size) > MAX_SIDE_PX:
        raise ImageError(
            f"The image is {max(size)} pixels long; the limit is {MAX_SIDE_PX}. "
            "Send the part that shows the waste."
        )


def check_memory(pixels: int, needed_bytes: float, limits: ImageLimits) -> None:
    """Refuse an image whose decoding needs more memory than the limit.

    Raises:
        ImageError: it needs more.
    """
    if needed_bytes > limits.max_memory_bytes:
        allowed = pixels / 1e6 * limits.max_memory_bytes / needed_bytes
        raise ImageError(
            f"The image has {math.ceil(pixels / 1e6)} megapixels; as it is stored, the limit is {allowed:.0f}. "
            "Send a smaller copy of the photo, or an ordinary JPEG."
        )


def too_many_pixels(megapixels: str, limits: ImageLimits) -> str:
    """Return the sentence for an image of so many megapixels, however it is stored."""
    return f"The image has {megapixels} megapixels; the limit is {limits.max_pixels / 1e6:g}. {SMALLER}"
