"""JPEG bytes -> an opened image that will be decoded small."""

import struct

from PIL.JpegImagePlugin import JpegImageFile

from trashlens.errors import ImageError
from trashlens.image.limits import ImageLimits, check_memory, check_pixels
from trashlens.image.pixels import DRAFT_PX
from trashlens.image.source import LOAD_READS, ORDINARY, Source

__all__ = ["open_jpeg"]

# Depth maps make a phone's header up to 3 MB. Pillow adds segments of EXIF by copying all that came before.
JPEG_STEPS, JPEG_HEADER_BYTES = 1_000, 8 * 2**20
# A progressive photo has about 10 scans, and each goes over every block of it.
MAX_SCANS, MAX_SCANNED_PIXELS = 100, 800_000_000


class _Jpeg(JpegImageFile):
    """JPEG without the second image of an MPO, and without its EXIF read for a resolution nobody asked for."""

    def _read_dpi_from_exif(self) -> None:
        pass


def open_jpeg(data: bytes, limits: ImageLimits) -> JpegImageFile:
    """Return a JPEG drafted to its smallest sufficient scale, its pixels still to be decoded.

    Raises:
        ImageError: more segments, scans, pixels or memory than a photo takes.
        Exception: whatever Pillow raises on damaged bytes.
    """
    coding, single, start = _read_jpeg_header(data)
    if coding not in (0xC0, 0xC1, 0xC2):
        # Arithmetic and lossless coding, which no camera writes, cost far more for each byte.
        raise ImageError(f"This kind of JPEG cannot be read. {ORDINARY}")
    source = Source(data)
    image = _Jpeg(source)
    source.reads_left = LOAD_READS
    check_pixels(image.size, limits)
    pixels = image.width * image.height
    needed = 0.0
    if not single:
        # All scans are gathered before the first pixel is known.
        scans = data.count(b"\xff\xda", start)
        if scans > MAX_SCANS or scans * pixels > MAX_SCANNED_PIXELS:
            raise ImageError(f"The JPEG sends its picture in {scans} passes. {ORDINARY}")
        needed = _count_values(image) * 2
    image.draft("RGB", (DRAFT_PX, DRAFT_PX))
    drafted = image.width * image.height
    check_memory(pixels, needed + 8 * drafted, limits)
    return image


def _count_values(image: _Jpeg) -> float:
    """Return how many values all layers hold; those of colour are often stored at half the size."""
    samplings = [vertical * horizontal for _, vertical, horizontal, _ in image.layer]
    return image.width * image.height * sum(samplings) / max(1, *samplings)


def _read_jpeg_header(data: bytes) -> tuple[int, bool, int]:
    """Walk the segments before the picture.

    Returns:
        The frame's marker, whether its first scan holds all layers and is the only one, and where that starts.

    Raises:
        ImageError: there are more segments than a photo has.
        IndexError, struct.error: the picture never comes.
    """
    position, coding, layers = 2, 0, 0
    for _ in range(JPEG_STEPS):
        marker = data[position + 1]
        if data[position] != 0xFF or marker in (0x00, 0xFF):
            position += 1  # padding, or bytes that belong nowhere
            continue
        if marker == 0xDA:
            single = coding != 0xC2 and data[position + 4] == layers
            return coding, single, position
        if marker == 0x01 or 0xD0 <= marker <= 0xD9:
            position += 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            coding, layers = marker, data[position + 9]
        position += 2 + int(struct.unpack_from(">H", data, position + 2)[0])
        if position > JPEG_HEADER_BYTES:
            break
    raise ImageError(f"The JPEG has far more beside its picture than a photo. {ORDINARY}")
