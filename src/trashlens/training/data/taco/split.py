"""Which of TACO's photos is trained on: a photo lies on one side with all its boxes.

The manifest is a CSV of `path,image_id,split,sha256`. The hash is of what is annotated, not of the photo: the
photos are fetched by each user, and what the split relies on are the boxes.
"""

import csv
import io
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from trashlens.errors import DataError
from trashlens.training.data.taco.annotations import Scene

__all__ = ["draw_split", "format_split", "read_split"]

PARTS = 10
"""Of these, the two most typical ones test and validate; the rest is trained on."""


def draw_split(scenes: Sequence[Scene], *, seed: int) -> dict[str, str]:
    """Return the split by path: 80/10/10, the boxes of each of the 60 categories in like shares.

    It goes by the categories and not by the classes they become, so that all class tables share one split. What
    validation or test would know alone is trained on instead. Photos without a box are trained on as well, which
    means nothing.

    Raises:
        DataError: no category has boxes enough to be parted.
    """
    boxes = [(scene.path, box.category) for scene in scenes for box in scene.boxes]
    paths, categories = [path for path, _ in boxes], [category for _, category in boxes]
    if max(Counter(categories).values(), default=0) < PARTS:
        raise DataError(f"No category has {PARTS} boxes: the annotations are too few to draw a split.")
    splitter = StratifiedGroupKFold(PARTS, shuffle=True, random_state=seed)
    split = {scene.path: "train" for scene in scenes}
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # some categories have fewer boxes than there are parts
        parts = list(splitter.split(np.zeros(len(boxes)), categories, paths))
    members = [chosen for _, chosen in parts]
    by_part = [Counter(categories[index] for index in chosen) for chosen in members]
    for side, part in zip(("test", "val"), _most_typical(by_part), strict=False):
        split |= {paths[index]: side for index in members[part]}
    trained = {category for path, category in boxes if split[path] == "train"}
    for path, category in boxes:
        if category not in trained:
            split[path] = "train"
    return split


def _most_typical(by_part: Sequence[Counter[str]]) -> list[int]:
    """Return the parts, those first whose boxes by category are nearest to equal shares of all.

    Whole photos cannot be parted evenly: a single one shows 51 of the 138 pieces of broken glass.
    """
    total: Counter[str] = sum(by_part, Counter())

    def distance(part: int) -> float:
        return sum(abs(by_part[part][name] - count / PARTS) for name, count in total.items())

    return sorted(range(len(by_part)), key=distance)


def format_split(scenes: Sequence[Scene], split: Mapping[str, str]) -> bytes:
    """Return the manifest's content, sorted by path."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "image_id", "split", "sha256"])
    writer.writerows(
        [scene.path, scene.id, split[scene.path], scene.sha256]
        for scene in sorted(scenes, key=lambda scene: scene.path)
    )
    return text.getvalue().encode()


def read_split(manifest: Path, scenes: Sequence[Scene]) -> dict[str, str]:
    """Return the split by path, as the manifest says.

    Raises:
        DataError: there is no such manifest, or it is about other annotations.
    """
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            rows = {row["path"]: (row["split"], row["sha256"]) for row in csv.DictReader(file)}
    except OSError as error:
        raise DataError(
            f"There is no split manifest {manifest}. Run in the repository's root, name its data folder, or "
            "take --split random."
        ) from error
    except (KeyError, csv.Error) as error:
        raise DataError(f"{manifest} is not a split manifest (path,image_id,split,sha256).") from error
    differing = [scene.path for scene in scenes if rows.get(scene.path, ("", ""))[1] != scene.sha256]
    if differing:
        raise DataError(
            f"{len(differing)} of {len(scenes)} photos are annotated otherwise than {manifest} knows, first "
            f"{differing[0]}. Take TACO's official annotations, or --split random."
        )
    return {scene.path: rows[scene.path][0] for scene in scenes}
