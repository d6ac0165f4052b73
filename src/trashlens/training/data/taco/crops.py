"""Cut the boxes out of a photo, upright, in whatever size and turn the photo has come."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from trashlens.errors import DataError, ImageError
from trashlens.image.limits import DEFAULT_LIMITS, check_pixels
from trashlens.image.pixels import read_orientation, to_rgb, turn
from trashlens.training.data.jpegs import scale_to
from trashlens.training.data.taco.annotations import Box, Scene
from trashlens.training.data.taco.config import TacoConfig
from trashlens.training.data.taco.download import FORMATS

__all__ = ["View", "cut_box", "read_view"]

LIKE = 0.02
"""Largest relative difference between the scales of width and height that rounding explains."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A photo's pixels as they were annotated, and how to set a crop upright."""

    image: Image.Image
    """RGB."""
    scale: float
    """Pixels of this image for one of the annotations."""
    orientation: int
    """EXIF's, still to be applied to crops; 1 for none."""


def read_view(path: Path, scene: Scene) -> View:
    """Return a photo in the way its boxes were drawn.

    TACO's boxes belong to the upright photo. A copy that lost its EXIF orientation, or gained one, has the other
    sides; then the boxes are taken for those of the stored pixels, and each crop is turned instead. At another
    size (the copies of 640 px) the boxes are scaled. Unlike in `decode_image`, large photos stay whole: half of
    the boxes are shorter than 6 % of it.

    Raises:
        ImageError: it cannot be read.
        DataError: it has other proportions than annotated, turned or not: another photo.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            check_pixels(image.size, DEFAULT_LIMITS)
            image.load()  # PNG may name its orientation after the pixels
            orientation = read_orientation(image.info)
            stored = to_rgb(image)
    except ImageError:
        raise
    except Exception as error:  # of libraries, about damaged bytes
        raise ImageError(f"{path} is damaged or not an image.") from error
    upright = turn(stored, orientation)
    if scale := _scale_of(upright.size, scene.size):
        return View(image=upright, scale=scale, orientation=1)
    if scale := _scale_of(stored.size, scene.size):
        return View(image=stored, scale=scale, orientation=orientation)
    width, height = upright.size
    raise DataError(f"{path} has {width}×{height} px instead of {scene.size[0]}×{scene.size[1]}.")


def _scale_of(size: tuple[int, int], annotated: tuple[int, int]) -> float:
    """Return by what the annotated size is multiplied to be this one, or 0 for no one number."""
    across, down = size[0] / annotated[0], size[1] / annotated[1]
    return across if abs(across - down) <= LIKE * max(across, down) else 0.0


def cut_box(view: View, box: Box, config: TacoConfig, *, short_side_px: int) -> Image.Image | None:
    """Return the crop, upright, its shorter side at most `short_side_px`; None where the box is too small.

    It reaches `config.margin` of the box's longer side beyond it, but not beyond the photo. It is never enlarged.
    """
    longer = max(box.width, box.height)
    if longer * view.scale < config.min_side_px:
        return None
    beyond = config.margin * longer
    edges = (
        max(0, round((box.left - beyond) * view.scale)),
        max(0, round((box.top - beyond) * view.scale)),
        min(view.image.width, round((box.left + box.width + beyond) * view.scale)),
        min(view.image.height, round((box.top + box.height + beyond) * view.scale)),
    )
    if edges[2] <= edges[0] or edges[3] <= edges[1]:
        return None
    crop = turn(view.image.crop(edges), view.orientation)
    return crop if min(crop.size) <= short_side_px else scale_to(crop, short_side_px)
