"""The annotations and the class table that crops are made by: where they lie, and whether crops are theirs."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trashlens.files import hash_file
from trashlens.training.data.taco.classes import OURS, OWN_MAPS
from trashlens.training.data.taco.config import ANNOTATIONS, TacoConfig

__all__ = [
    "crops_differ",
    "describe_crops",
    "hash_inputs",
    "is_address",
    "locate_annotations",
    "locate_table",
]


def is_address(annotations: str) -> bool:
    """Return whether the annotations are to be downloaded."""
    return annotations.startswith(("http://", "https://"))


def locate_annotations(config: TacoConfig, images: Path) -> Path:
    """Return the file of the annotations, there or not; those of each address have their own beside the images."""
    if not is_address(config.annotations):
        return Path(config.annotations)
    if config.annotations == ANNOTATIONS:
        return images / "annotations.json"
    mark = hashlib.sha256(config.annotations.encode()).hexdigest()[:8]
    return images / f"annotations-{mark}.json"


def locate_table(config: TacoConfig, images: Path) -> Path | None:
    """Return the file of the class table, there or not; None for `all`, which needs none.

    TACO's own tables lie in `maps` beside local annotations, or else beside the images.
    """
    if config.classes == "all":
        return None
    if config.classes == "trashnet":
        return OURS
    if config.classes in OWN_MAPS:
        name = f"maps/{config.classes}.csv"
        beside = Path(config.annotations).parent / name
        return beside if beside.is_file() else images / name
    return Path(config.classes)


def describe_crops(config: TacoConfig) -> dict[str, Any]:
    """Return the settings that crops differ by; files by name only."""
    return {
        "annotations": locate_annotations(config, Path()).name,
        "classes": Path(config.classes).name,
        "margin": config.margin,
        "min_side_px": config.min_side_px,
    }


def hash_inputs(config: TacoConfig, images: Path) -> dict[str, str]:
    """Return the SHA-256 of the annotations and of the class table, of what is there."""
    files = {
        "annotations_sha256": locate_annotations(config, images),
        "classes_sha256": locate_table(config, images),
    }
    return {name: hash_file(path) for name, path in files.items() if path is not None and path.is_file()}


def crops_differ(record: Mapping[str, Any], config: TacoConfig, images: Path) -> bool:
    """Return whether a record of prepared photos is of other crops than those that the settings ask for.

    A file that is not there any more is known by its name. What an older record does not say differs in nothing.
    """
    if "taco" not in record:
        return True
    wanted = {**describe_crops(config), **hash_inputs(config, images)}
    return any(record["taco"].get(name, value) != value for name, value in wanted.items())
