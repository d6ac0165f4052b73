"""The unrelated photos in one list, and the share of them that a network rejects."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trashlens.classifier import Classifier
from trashlens.comparison import compare
from trashlens.errors import DataError
from trashlens.image import decode_image, list_photos
from trashlens.training.unrelated.drawing import DRAWERS

__all__ = ["read_unrelated", "rejection_rate", "unrelated_photos"]

PHOTOGRAPHS = {
    "gradio": (
        *("media_assets/images/cheetah.jpg", "media_assets/images/cheetah1.jpg"),
        *("media_assets/images/groot.jpeg", "media_assets/images/lion.jpg"),
        *("media_assets/images/tower.jpg", "test_data/cheetah2.jpg"),
    ),
    "matplotlib": ("mpl-data/sample_data/grace_hopper.jpg",),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}
"""Photographs that come with installed packages: animals, people, buildings, a flower."""
VIEW_SHARE = 0.7
"""Side of a cropped view, as a share of the photograph's shorter side."""
DRAWN_EACH = 10
"""Generated pictures of each kind."""


def unrelated_photos(*, seed: int = 0) -> list[tuple[str, Image.Image]]:
    """Return pictures of what is no waste at all, each with its name; nothing is fetched.

    A name is `real/<photograph>/<view>` or `generated/<kind>/<number>`. A photograph gives six views: the
    whole, the four corners and the middle. Packages that are not installed are left out.

    This set was looked at while rules for rejecting were compared: what is measured on it flatters the rule
    that was chosen.
    """
    real = [
        (f"real/{path.stem}/{view}", image)
        for path in _photographs()
        for view, image in _views(decode_image(path))
    ]
    generated = [
        (f"generated/{kind}/{number}", draw(np.random.default_rng([seed, index, number])))
        for index, (kind, draw) in enumerate(DRAWERS.items())
        for number in range(DRAWN_EACH)
    ]
    return real + generated


def read_unrelated(folder: Path) -> list[tuple[str, Image.Image]]:
    """Return the photos below `folder`, which show no waste, named `own/<photo>/whole`.

    Raises:
        DataError: there are none.
        ImageError: one of them cannot be read.
    """
    photos = list_photos(folder)
    if not photos:
        raise DataError(f"{folder} holds no photos.")
    return [(f"own/{path.relative_to(folder)}/whole", decode_image(path)) for path in photos]


def rejection_rate(
    classifier: Classifier, photos: Sequence[tuple[str, Image.Image]]
) -> dict[str, dict[str, Any]]:
    """Return what share of named photos the network is not sure of, as plain values for JSON.

    By the first part of the names (`real`, `generated`, `own`): `photos`, `rejected` (share), and `kinds`, the
    share by the second part. Views of one photograph resemble each other, so `real` counts fewer independent
    photos than it has.
    """
    role = classifier.bundle.role
    rejected: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for name, image in photos:
        origin, rest = name.split("/", 1)
        sure = compare({role: classifier}, image).predictions[role].sure
        rejected[origin][rest.rpartition("/")[0]].append(not sure)
    return {
        origin: {
            "photos": sum(map(len, kinds.values())),
            "rejected": float(np.mean([one for each in kinds.values() for one in each])),
            "kinds": {kind: float(np.mean(each)) for kind, each in kinds.items()},
        }
        for origin, kinds in rejected.items()
    }


def _photographs() -> Iterator[Path]:
    """Yield the photographs that are there; the packages are found without importing them."""
    for package, names in PHOTOGRAPHS.items():
        found = find_spec(package)
        for place in (found.submodule_search_locations if found else None) or ():
            yield from (Path(place) / name for name in names if (Path(place) / name).is_file())


def _views(image: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """Yield the whole photograph and square crops of its corners and its middle."""
    yield "whole", image
    side = round(VIEW_SHARE * min(image.size))
    right, bottom = image.width - side, image.height - side
    corners = {
        "top-left": (0, 0),
        "top-right": (right, 0),
        "bottom-left": (0, bottom),
        "bottom-right": (right, bottom),
        "middle": (right // 2, bottom // 2),
    }
    for view, (left, top) in corners.items():
        yield view, image.crop((left, top, left + side, top + side))
