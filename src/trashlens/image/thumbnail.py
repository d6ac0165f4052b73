"""A small picture of a photo: its middle to recognise it by, or all of it."""

import io

from PIL import Image

__all__ = ["encode_preview", "encode_thumbnail"]

SIDE_PX = 144
"""Shown at half of that, so that it is sharp on a phone's screen as well."""
QUALITY = 70
LONGER_PX = 640
"""Of a preview, about twice what the page shows of it."""


def encode_thumbnail(image: Image.Image) -> bytes:
    """Return a JPEG of the middle square of an upright RGB image, about 5 kB."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    buffer = io.BytesIO()
    small = image.resize(
        (SIDE_PX, SIDE_PX),
        Image.Resampling.BILINEAR,
        box=(left, top, left + side, top + side),
        reducing_gap=2.0,
    )
    small.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def encode_preview(image: Image.Image) -> bytes:
    """Return a JPEG of all of an upright RGB image, about 50 kB; its longer side has at most `LONGER_PX`."""
    buffer = io.BytesIO()
    small = image.copy()
    small.thumbnail((LONGER_PX, LONGER_PX), Image.Resampling.BILINEAR, reducing_gap=2.0)
    small.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
