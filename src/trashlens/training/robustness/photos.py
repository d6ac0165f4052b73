"""The photos on which robustness is measured: prepared ones, all or a drawn part of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from trashlens.errors import DataError
from trashlens.image import decode_image, list_labelled
from trashlens.training.data import LABELS, DataConfig, read_data_record
from trashlens.training.robustness.corruptions import Scene

__all__ = ["RobustnessConfig", "group_scenes", "prepared_split", "read_scenes"]


@dataclass(frozen=True, kw_only=True)
class RobustnessConfig:
    """On which photos robustness is measured."""

    on: Literal["test", "val"] = "test"
    """The prepared photos that are changed; choose between networks on `val`, report on `test`."""
    photos: int = 200
    """How many of them, drawn at random, 0 for all; all of TrashNet's take three networks ten minutes or more
    on two cores."""
    seed: int = 0
    """Draws the photos and what chance does to them."""

    def __post_init__(self) -> None:
        if self.photos < 0:
            raise ValueError("photos must be at least 1, or 0 for all.")
        if self.seed < 0:
            raise ValueError("seed must not be negative.")


def prepared_split(data: DataConfig) -> dict[str, Any]:
    """Return `split`, `seed` and `fold` of the prepared photos.

    Raises:
        DataError: none were prepared there, or by another split.
    """
    record = read_data_record(data.processed)
    if record["split"] != data.split:
        raise DataError(
            f"{data.processed} holds photos of the split {record['split']}, not {data.split}. "
            "Name the right split, or run `trashlens data` first."
        )
    return {key: record.get(key) for key in ("split", "seed", "fold")}


def read_scenes(data: DataConfig, config: RobustnessConfig) -> tuple[list[Scene], int]:
    """Return the prepared photos, sorted by path, the same part of them for the same seed, and how many there are.

    They have `short_side_px` pixels at the shorter side, about what the networks see: corruption of larger
    ones would be averaged away. All are held in memory, a quarter of a megabyte each.

    Raises:
        DataError: there are none.
    """
    paths = list_labelled(data.processed / config.on, LABELS)
    total = len(paths)
    if not paths:
        raise DataError(f"{data.processed / config.on} holds no photos. Run `trashlens data` first.")
    if 0 < config.photos < total:
        drawn = np.random.default_rng(config.seed).choice(total, config.photos, replace=False)
        paths = [paths[index] for index in sorted(drawn)]
    scenes = [
        Scene(f"{label}/{path.name}", label, np.array(decode_image(path))) for path, label in paths
    ]
    return scenes, total


def group_scenes(scenes: Sequence[Scene], groups: Mapping[str, str]) -> list[str] | None:
    """Return the object on each photo, by which intervals are drawn; None where no object is known.

    `groups` is what `read_groups` returns. A photo that it does not name is an object of its own.
    """
    if not any(scene.path in groups for scene in scenes):
        return None
    return [groups.get(scene.path, scene.path) for scene in scenes]
