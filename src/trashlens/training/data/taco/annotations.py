"""TACO's annotations, COCO's JSON, as scenes with boxes; what cannot be a crop is left out and counted."""

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from trashlens.errors import DataError

__all__ = ["Annotations", "Box", "Scene", "read_annotations"]


@dataclass(frozen=True, kw_only=True)
class Box:
    """One piece of litter on a photo."""

    id: int
    """The annotation's number."""
    category: str
    """One of TACO's 60."""
    left: float
    """Distance from the upright photo's left edge, pixels."""
    top: float
    """Distance from its upper edge, pixels."""
    width: float
    """Pixels."""
    height: float
    """Pixels."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One photo."""

    id: int
    """The image's number."""
    path: str
    """Where it lies in the images' folder, such as `batch_1/000006.jpg`."""
    size: tuple[int, int]
    """Width and height as annotated: of the upright photo, pixels."""
    address: str
    """Where the original lies."""
    small_address: str | None
    """Where a copy of 640 px lies, if one does."""
    boxes: tuple[Box, ...]
    """What can be cut out of it."""
    sha256: str
    """Of its entry and its boxes, hexadecimal: changes when either is annotated anew."""


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """The annotations that were read."""

    scenes: tuple[Scene, ...]
    """Sorted by path."""
    categories: tuple[str, ...]
    """All category names, also those without a box."""
    left_out: Counter[str]
    """Boxes that cannot be cut out, by why: `crowd`, `broken`, `zero-size` or `outside`."""
    sha256: str
    """Of the file, hexadecimal."""


def read_annotations(data: bytes, name: str) -> Annotations:
    """Return what the file `name` with the content `data` says.

    A box is left out when it stands for a crowd, when it is broken (no four finite numbers, an unknown image or
    category), when it has no area, and when it lies outside its photo.

    Raises:
        DataError: it is not COCO's JSON, or an image has no size, or a path that leads elsewhere.
    """
    try:
        record = json.loads(data)
        categories = {int(entry["id"]): str(entry["name"]) for entry in record["categories"]}
        images = {int(entry["id"]): entry for entry in record["images"]}
        sizes = {key: (int(one["width"]), int(one["height"])) for key, one in images.items()}
        given: list[Any] = list(record["annotations"])
        paths = {key: _check_path(one["file_name"]) for key, one in images.items()}
        addresses = {key: str(one.get("flickr_url") or "") for key, one in images.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{name} is not an annotation file in COCO's format ({type(error).__name__}: {error}). "
            "Give TACO's annotations.json."
        ) from error
    if (
        not images
        or min(min(size) for size in sizes.values()) < 1
        or len({*paths.values()}) < len(paths)
    ):
        raise DataError(
            f"{name} has images without a size, two with one name, or none. Give TACO's annotations.json."
        )
    left_out: Counter[str] = Counter()
    boxes: dict[int, list[Box]] = defaultdict(list)
    entries: dict[int, list[Any]] = defaultdict(list)
    for entry in given:
        box, reason = _read_box(entry, sizes, categories)
        if box is None:
            left_out[reason] += 1
            continue
        boxes[entry["image_id"]].append(box)
        entries[entry["image_id"]].append([box.id, box.category, *entry["bbox"]])
    scenes = [
        Scene(
            id=key,
            path=paths[key],
            size=sizes[key],
            address=addresses[key],
            small_address=images[key].get("flickr_640_url"),
            boxes=tuple(boxes[key]),
            sha256=_hash_entry([paths[key], *sizes[key], entries[key]]),
        )
        for key in images
    ]
    return Annotations(
        scenes=tuple(sorted(scenes, key=lambda scene: scene.path)),
        categories=tuple(categories.values()),
        left_out=left_out,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _check_path(name: Any) -> str:
    """Return a path below the images' folder.

    Raises:
        ValueError: it leads elsewhere.
    """
    path = PurePosixPath(str(name))
    if path.is_absolute() or ".." in path.parts or not path.name or "\\" in str(name):
        raise ValueError(f"the file name {name!r}")
    return str(path)


def _read_box(
    entry: Any, sizes: Mapping[int, tuple[int, int]], categories: Mapping[int, str]
) -> tuple[Box | None, str]:
    """Return an annotation's box, or None and why there is none."""
    try:
        if entry.get("iscrowd"):
            return None, "crowd"
        left, top, width, height = map(float, entry["bbox"])
        size, category = sizes[entry["image_id"]], categories[entry["category_id"]]
        number = int(entry["id"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None, "broken"
    if not all(map(math.isfinite, (left, top, width, height))):
        return None, "broken"
    if width <= 0 or height <= 0:
        return None, "zero-size"
    if left >= size[0] or top >= size[1] or left + width <= 0 or top + height <= 0:
        return None, "outside"
    return Box(id=number, category=category, left=left, top=top, width=width, height=height), ""


def _hash_entry(entry: Any) -> str:
    return hashlib.sha256(json.dumps(entry).encode()).hexdigest()
