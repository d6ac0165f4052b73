"""The settings of TACO: which annotations, which classes, what becomes a crop, and how images are fetched."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ANNOTATIONS", "REPOSITORY", "TACO", "TacoConfig"]

TACO = "taco"
"""The name of the source."""
REPOSITORY = "https://raw.githubusercontent.com/pedropro/TACO/master"
"""Where TACO's authors keep annotations and class maps; the images lie with Flickr and OpenLitterMap."""
ANNOTATIONS = f"{REPOSITORY}/data/annotations.json"
"""The official ones."""


@dataclass(frozen=True, kw_only=True)
class TacoConfig:
    """Crops of litter from TACO's photos (Proença and Simões 2020, arXiv:2003.06975)."""

    annotations: str = ANNOTATIONS
    """Path or address of the annotations, COCO's JSON."""
    classes: str = "trashnet"
    """What the 60 categories become: `trashnet` (our six classes), `all` (themselves), `map_2`, `map_3`, `map_4`,
    `map_10` or `map_17` (TACO's own), or the path of a CSV of category and class. No class, or TACO's
    `Background`, leaves a category out."""
    images: Path | None = None
    """Folder of the images, `batch_1/000006.jpg` and so on; by default `raw/taco` below `folder`."""
    margin: float = 0.1
    """What a crop shows around the box on each side, as a share of the box's longer side."""
    min_side_px: int = 32
    """Boxes whose longer side is shorter than this, in pixels of the image at hand, are left out."""
    fetch: bool = True
    """Download the images that are not there; otherwise do with those that are."""
    connections: int = 8
    """Downloads at a time."""
    retries: int = 4
    """Further attempts at an image whose server fails or does not answer."""
    wait_s: float = 1.0
    """Wait before the second attempt, seconds; it doubles with each further one."""
    timeout_s: float = 30.0
    """Longest silence of a server, seconds."""

    def __post_init__(self) -> None:
        if not 0 <= self.margin <= 1:
            raise ValueError("taco.margin must lie in [0, 1].")
        if self.min_side_px < 1:
            raise ValueError("taco.min_side_px must be at least 1.")
        if self.connections < 1 or self.retries < 0:
            raise ValueError("taco.connections must be at least 1, and taco.retries not negative.")
        if self.wait_s < 0 or not self.timeout_s > 0:
            raise ValueError("taco.wait_s must not be negative, and taco.timeout_s positive.")
