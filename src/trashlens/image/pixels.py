"""A decoded image of any mode -> upright 8-bit RGB, no larger than preprocessing needs."""

import re
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["DRAFT_PX", "read_orientation", "shrink", "to_rgb", "turn"]

# JPEG stores 8×8 blocks of frequencies: decoding at 1/2, 1/4 or 1/8 of the size skips most of the work.
# Twice the usual network input leaves the antialiased resize enough to average over.
DRAFT_PX = 448
# What is averaged over squares, a coarser filter, stays twice as large.
KEPT_PX = 2 * DRAFT_PX
# Conversions keep several copies of what they work on: they get so much at a time.
STRIP_PIXELS = 2**20
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def shrink(image: Image.Image) -> Image.Image:
    """Return the image as RGB, averaged over squares so that both sides just keep `KEPT_PX` or more.

    Beyond the image itself it takes as much memory as the result and one strip.
    """
    factor = reduction(image.size)
    if factor == 1 and is_plain(image):
        return image
    # What is left over after whole squares is cut from both edges: the centre stays where it was.
    width, height = (side // factor * factor for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    if is_plain(image):
        return image.reduce(factor, box=(left, top, left + width, top + height))
    result = Image.new("RGB", (width // factor, height // factor))
    rows = max(1, STRIP_PIXELS // (width * factor)) * factor
    for row in range(0, height, rows):
        box = (left, top + row, left + width, top + min(row + rows, height))
        strip = to_rgb(image.crop(box))
        result.paste(strip.reduce(factor) if factor > 1 else strip, (0, row // factor))
    return result


def reduction(size: tuple[int, int]) -> int:
    """Return the number of pixels, along each side, that become one in `shrink`.

    A power of two, since the sides of photos are even and what is left over would move the centre.
    """
    return 1 << max(0, (min(size) // KEPT_PX).bit_length() - 1)


def is_plain(image: Image.Image) -> bool:
    """Return whether the image is opaque 8-bit RGB."""
    return image.mode == "RGB" and "transparency" not in image.info


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the image as 8-bit RGB: 16-bit greyscale is scaled, transparency lies on white."""
    if is_plain(image):
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


def turn(image: Image.Image, orientation: int) -> Image.Image:
    """Return the image upright; orientations other than EXIF's 2 to 8 leave it as it is."""
    method = TURNS.get(orientation)
    return image if method is None else image.transpose(method)


def read_orientation(info: dict[str | tuple[int, int], Any]) -> int:
    """Return the orientation, 1 to 8, that metadata name in EXIF or else in XMP; 1 where they name none.

    Pillow's own reader copies every value of the directory, and a few kB of EXIF can name the same bytes
    thousands of times. This one looks at a single entry.
    """
    exif = info.get("exif")
    if exif is None and isinstance(
        profile := info.get("Raw profile type exif"), str
    ):  # older ImageMagick
        exif = _unhex("".join(profile.split("\n")[3:]))
    orientation = _read_exif(exif) if isinstance(exif, bytes) else 0
    if not orientation:
        xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
        text = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp
        found = re.search(rb'tiff:Orientation(?:="|>)([1-8])', text) if isinstance(text, bytes) else None
        orientation = int(found[1]) if found else 1
    return orientation


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _read_exif(exif: bytes) -> int:
    """Return the orientation in the first directory of an EXIF block, 0 where there is none."""
    # Twice, because Pillow puts one before what a PNG holds.
    exif = exif.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 0
    try:
        (start,) = struct.unpack_from(f"{order}4xL", exif)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(min(count, 1000)):
            tag, kind, short = struct.unpack_from(f"{order}HH4xH", exif, start + 2 + 12 * entry)
            if tag == ORIENTATION:
                (long,) = struct.unpack_from(f"{order}8xL", exif, start + 2 + 12 * entry)
                value: int = {3: short, 4: long}.get(kind, 0)
                return value if 1 <= value <= 8 else 0
    except struct.error:
        pass  # cut off: as good as none
    return 0
