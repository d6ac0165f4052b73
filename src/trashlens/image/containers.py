"""Bytes -> an opened, not yet decoded image; what would cost more than a photo is refused before it is parsed.

Pillow bounds the pixels of an image and trusts the rest: a comment, a directory or a list of scans can cost
minutes or gigabytes in a file of a few kB. Each rule here names what it holds off.
"""

import struct

from PIL import Image, ImageFile, PngImagePlugin

from trashlens.errors import ImageError
from trashlens.image.jpeg import open_jpeg
from trashlens.image.limits import READABLE, ImageLimits, check_memory, check_pixels, too_many_pixels
from trashlens.image.pixels import reduction
from trashlens.image.source import LOAD_READS, ORDINARY, Source

__all__ = ["open_image"]

# Only formats people photograph or screenshot in; Pillow's others (EPS, PSD, ...) are attack surface. Of TIFF's
# compressions those of photos: others are decoders of their own, with JPEG's bombs inside.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
TIFF_COMPRESSIONS = ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate")
PNG_CHUNKS, PNG_TEXT_BYTES = 20_000, 4 * 2**20
# Real tags name each of their bytes once; one value a row is what the longest arrays hold.
TIFF_ENTRIES, TIFF_VALUES = 512, 65_535
TIFF_UNIT_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
TIFF_DIRECTORIES = (330, 34665, 34853, 40965)
# Bytes that decoding takes for each stored pixel, Pillow's own image included, as measured.
PIXEL_BYTES = {"PNG": 4, "GIF": 2, "BMP": 4, "WEBP": 16, "AVIF": 16}


def open_image(data: bytes, limits: ImageLimits) -> Image.Image:
    """Return the image with its size and mode known and its pixels still to be decoded.

    Raises:
        ImageError: no format that is read, damaged, or beyond the limits; one sentence.
    """
    # Pillow's parsers raise almost anything on hostile bytes (struct.error, SyntaxError, ...), and all of
    # it means the same to the user.
    try:
        return open_jpeg(data, limits) if data.startswith(b"\xff\xd8\xff") else _open_other(data, limits)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow warns at 89 and refuses at 178; who turned warnings into errors meets the first.
        over = "over 178" if isinstance(error, Image.DecompressionBombError) else "over 89"
        raise ImageError(too_many_pixels(over, limits)) from error
    except Exception as error:
        raise ImageError(f"This is not an image that can be read. {READABLE}") from error


def _open_other(data: bytes, limits: ImageLimits) -> ImageFile.ImageFile:
    if data[:2] in (b"II", b"MM"):
        _check_tiff(data)
    # Pillow hands every EXIF tag of an AVIF its own copy of what it names. The format has its own turns,
    # and says that those of EXIF do not count. Where they are listed is up to the file, so all of it is searched;
    # once in 2,000 photos of 2 MB the same four bytes are a part of the picture, and it gets a blemish.
    if data[4:8] == b"ftyp":
        data = data.replace(b"Exif", b"skip")
    if data.startswith(b"\x89PNG"):
        _check_png(data)
    source = Source(data)
    image = Image.open(source, formats=FORMATS)
    check_pixels(image.size, limits)
    _check_kind(image)
    check_memory(image.width * image.height, _estimate_bytes(image), limits)
    source.reads_left = LOAD_READS
    return image


def _check_png(data: bytes) -> None:
    """Refuse what is cut into crumbs, and texts longer than photos carry.

    Raises:
        ImageError: it is one of these.
    """
    # Of compressed texts Pillow keeps 64 MB, in characters of up to four bytes each.
    PngImagePlugin.MAX_TEXT_MEMORY = PNG_TEXT_BYTES
    position, text_bytes = 8, 0
    for _ in range(PNG_CHUNKS):
        if position + 8 > len(data):
            return
        length, kind = struct.unpack_from(">L4s", data, position)
        text_bytes += length if kind in (b"tEXt", b"zTXt", b"iTXt") else 0
        if text_bytes > PNG_TEXT_BYTES:
            raise ImageError(f"The PNG holds far more text than a photo has. {ORDINARY}")
        position += 12 + length
    raise ImageError(f"The PNG is in far more pieces than a photo. {ORDINARY}")


def _check_kind(image: ImageFile.ImageFile) -> None:
    """Refuse what its format allows and no photo is."""
    compression = image.info.get("compression")
    if image.format == "BMP" and compression in (1, 2):
        # Decoded in Python, a pixel at a time.
        raise ImageError(f"Run-length BMP cannot be read. {ORDINARY}")
    if image.format == "TIFF" and compression not in TIFF_COMPRESSIONS:
        raise ImageError(f"TIFF with this compression cannot be read. {ORDINARY}")


def _estimate_bytes(image: ImageFile.ImageFile) -> float:
    """Return the memory that decoding takes, bytes: the codec's, the image's and that of its RGB."""
    pixels = image.width * image.height
    needed = 4 * pixels / reduction(image.size) ** 2
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        # The block that is decoded at once, a strip or a tile, may be larger than the image.
        block: int = max(pixels, tags.get(322, 0) * tags.get(323, 0))
        value_bits: int = sum(tags.get(258, (1,)))
        return needed + 4 * pixels + block * max(4, value_bits / 8)
    # 16 bits take as little memory as 8, since Pillow drops half of them, but twice the time.
    deep = image.format == "PNG" and ";16" in str(image.tile)
    return needed + pixels * PIXEL_BYTES[image.format or "PNG"] * (2 if deep else 1)


def _check_tiff(data: bytes) -> None:
    """Refuse directories that make Pillow copy, or turn into Python numbers, more than the file holds.

    Raises:
        ImageError: a directory does.
        struct.error: it lies outside the file.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        raise ImageError(f"This kind of TIFF cannot be read. {ORDINARY}")
    starts = [int(struct.unpack_from(f"{order}L", data, 4)[0])]
    total = 0
    for depth in range(2):
        inner = []
        for start in starts[: len(TIFF_DIRECTORIES)]:
            (entries,) = struct.unpack_from(f"{order}H", data, start)
            for entry in range(min(entries, TIFF_ENTRIES + 1)):
                tag, kind, count, value = struct.unpack_from(
                    f"{order}HHLL", data, start + 2 + 12 * entry
                )
                total += count * TIFF_UNIT_BYTES.get(kind, 1)
                if entries > TIFF_ENTRIES or (count > TIFF_VALUES and kind in TIFF_UNIT_BYTES):
                    raise ImageError(f"The TIFF lists far more than a photo has. {ORDINARY}")
                if depth == 0 and tag in TIFF_DIRECTORIES:
                    inner.append(value)
        starts = inner
    if total > len(data):
        raise ImageError("The TIFF is damaged or cut off. Send the original file again.")
