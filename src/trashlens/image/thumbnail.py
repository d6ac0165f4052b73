"""A small picture of a photo, to recognise it by."""

import io

from PIL import Image

__all__ = ["encode_thumbnail"]

SIDE_PX = 144
"""Shown at half of that, so that it is sharp on a phone's screen as well."""
QUALITY = 70


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
