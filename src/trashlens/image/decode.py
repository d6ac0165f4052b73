"""Bytes, path or PIL image -> upright RGB; refuses what is not a photo."""

import os
import stat
from pathlib import Path

from PIL import Image, ImageOps

from trashlens.errors import ImageError
from trashlens.image.containers import open_image
from trashlens.image.limits import DEFAULT_LIMITS, READABLE, ImageLimits, check_bytes, check_pixels
from trashlens.image.pixels import read_orientation, shrink, to_rgb, turn

__all__ = ["decode_image"]


def decode_image(
    source: bytes | str | os.PathLike[str] | Image.Image, *, limits: ImageLimits = DEFAULT_LIMITS
) -> Image.Image:
    """Return the photo upright, as 8-bit RGB, whatever it was stored as.

    EXIF rotation is applied, transparency lies on white, an animation gives its first frame, 16-bit
    greyscale is scaled to 8. A large image comes back at 1/2, 1/4 or 1/8 of its size: a JPEG decoded at
    that DCT scale, with both sides at `DRAFT_PX` or more, the rest averaged over squares, at twice that.
    Whatever the bytes are, it takes at most 2 seconds of one core and 300 MB; EXIF that cannot be read is
    left aside.

    Raises:
        ImageError: missing, empty, too large, not an image, or damaged; one sentence.
    """
    if isinstance(source, Image.Image):
        check_pixels(source.size, limits)
        return to_rgb(ImageOps.exif_transpose(source))
    data = source if isinstance(source, bytes) else _read_file(Path(source), limits)
    if not data:
        raise ImageError(f"The file is empty. {READABLE}")
    check_bytes(len(data), limits)
    image = open_image(data, limits)
    try:
        image.load()
        # Pillow has turned a TIFF by itself.
        orientation = 1 if image.format == "TIFF" else read_orientation(image.info)
        # The name is taken over, so that the large image is gone before the small one is turned.
        image = shrink(image)
        return turn(image, orientation)
    except ImageError:
        raise
    except Exception as error:  # of libraries, about damaged bytes: see `open_image`
        raise ImageError("The image is damaged or cut off. Send the original file again.") from error


def _read_file(path: Path, limits: ImageLimits) -> bytes:
    """Return the file's bytes; its size is checked before anything is read."""
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or path.is_dir()):
            # A device or a pipe has no size, and reading it may never end.
            raise ImageError(f"{path} is not a file. Give the path of a photo.")
        check_bytes(status.st_size, limits)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"There is no file {path}. Give the path of a photo.") from error
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise ImageError(f"{path} cannot be opened ({reason}). Give the path of a photo.") from error
