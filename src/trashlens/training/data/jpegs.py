"""How prepared photos are kept: JPEG, scaled once."""

import io

from PIL import Image

__all__ = ["encode_jpeg", "scale_to"]


def encode_jpeg(image: Image.Image) -> bytes:
    """Return a photo's file.

    Quality 95 without chroma subsampling: the second compression costs the networks nothing measurable.
    """
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def scale_to(image: Image.Image, short_side_px: int) -> Image.Image:
    """Return the photo with a shorter side of `short_side_px`."""
    scale = short_side_px / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC)
