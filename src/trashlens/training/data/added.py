"""Feedback that visitors gave, as training data: checked, and kept away from the photos that judge.

Reads what `trashlens.server.feedback` writes, or a copy of the dataset it went to: folders with `metadata.jsonl`,
whose lines have `file_name` and `label`. All of it is trained on; none of it judges.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trashlens.errors import DataError, ImageError
from trashlens.given import METADATA_FILE, NONE
from trashlens.image import decode_image
from trashlens.training.data.manifest import Photo, format_manifest
from trashlens.training.data.source import LABELS

__all__ = ["ADDED_FILE", "Added", "add_feedback"]

ADDED_FILE = "feedback.csv"
"""The manifest of what was added, beside the split's own."""
SIDE_PX = 16
NEAR = 8.0
"""Root mean square difference of two 16x16 prints, of 255, up to which they show the same picture. Of TrashNet's
own photos 2 in 100 come that near to another one; a copy of a photo that is compressed again, smaller, 10 %
brighter or darker, or cut by 1 % at each edge stays below. Another photo of the same object does not."""


@dataclass(frozen=True, kw_only=True)
class Added:
    """What is added to the training photos."""

    photos: tuple[Photo, ...]
    """Sorted by path; all in train."""
    files: Mapping[str, bytes]
    """Their contents by path."""
    left_out: Mapping[str, int]
    """Lines that are not added, by why: `none`, `deleted`, `contradictory` or `known`."""

    @property
    def hashes(self) -> dict[str, str]:
        """The SHA-256 of each photo by path."""
        return {photo.path: photo.sha256 for photo in self.photos}

    @property
    def manifest(self) -> bytes:
        """The content of the manifest of what is added."""
        return format_manifest(self.photos)

    @property
    def record(self) -> dict[str, Any]:
        """What is kept about it beside the prepared photos."""
        return {
            "manifest": ADDED_FILE,
            "manifest_sha256": hashlib.sha256(self.manifest).hexdigest(),
            "photos": dict(sorted(Counter(photo.label for photo in self.photos).items())),
            "left_out": dict(self.left_out),
        }


def add_feedback(folder: Path, known: Mapping[str, bytes]) -> Added:
    """Return the photos below `folder` that may be trained on; `known` are the files of the data set itself.

    Left out are those of no class, those whose file was deleted, those that were given more than one label, and
    those that show the same picture as one of `known`, turned or mirrored too: it may be a test photo.

    Raises:
        DataError: there is no feedback, a line or a photo is damaged, or nothing is left to add.
    """
    labels: dict[str, set[str]] = defaultdict(set)
    contents: dict[str, bytes] = {}
    left_out: Counter[str] = Counter()
    for path, label in _read_lines(folder):
        if not path.is_file():
            left_out["deleted"] += 1
            continue
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        labels[digest].add(label)
        contents[digest] = data
    prints = _print_all(known)
    photos, files = [], {}
    for digest, given in sorted(labels.items()):
        if len(given) > 1:
            left_out["contradictory"] += 1
        elif given == {NONE}:
            left_out["none"] += 1
        elif _is_known(contents[digest], prints, folder):
            left_out["known"] += 1
        else:
            (label,) = given
            path_there = f"{label}/feedback-{digest[:16]}.jpg"
            photos.append(Photo(path=path_there, label=label, split="train", sha256=digest))
            files[path_there] = contents[digest]
    if not photos:
        reasons = ", ".join(f"{count} {why}" for why, count in sorted(left_out.items())) or "it is empty"
        raise DataError(f"{folder} has no photo to add ({reasons}).")
    ordered = tuple(sorted(photos, key=lambda photo: photo.path))
    return Added(photos=ordered, files=files, left_out=dict(sorted(left_out.items())))


def _read_lines(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield photo and label of every line below the folder.

    Raises:
        DataError: there is none, or one is damaged.
    """
    tables = sorted(folder.rglob(METADATA_FILE))
    if not tables:
        raise DataError(
            f"{folder} holds no {METADATA_FILE}. Give the folder that the app keeps feedback in."
        )
    for table in tables:
        # What a power cut left of the last line has no end, and is overlooked.
        whole, _, _ = table.read_bytes().rpartition(b"\n")
        for number, line in enumerate(whole.split(b"\n"), 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                name, label = record["file_name"], record["label"]
                path = (table.parent / name).resolve()
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"Line {number} of {table} is no record of a photo. Correct or delete it."
                ) from error
            if label not in (*LABELS, NONE):
                raise DataError(
                    f"Line {number} of {table} names the class {label!r}. "
                    f"Known are {', '.join(LABELS)} and {NONE}."
                )
            if not path.is_relative_to(table.parent.resolve()):
                raise DataError(
                    f"Line {number} of {table} names a file elsewhere. Correct or delete it."
                )
            yield path, label


def _is_known(data: bytes, prints: NDArray[np.float32], folder: Path) -> bool:
    try:
        own = _print(decode_image(data))
    except ImageError as error:
        raise DataError(f"A photo in {folder} cannot be used: {error}") from error
    turned = [np.rot90(side, turns) for side in (own, own[:, ::-1]) for turns in range(4)]
    return any(float(_distances(one, prints).min()) <= NEAR for one in turned)


def _distances(one: NDArray[np.float32], prints: NDArray[np.float32]) -> NDArray[np.float32]:
    distances: NDArray[np.float32] = np.sqrt(((prints - one) ** 2).mean(axis=(1, 2, 3)))
    return distances


def _print_all(files: Mapping[str, bytes]) -> NDArray[np.float32]:
    """Return the prints of photos, float32 [N, 16, 16, 3]."""

    def look(path: str) -> NDArray[np.float32]:
        try:
            return _print(decode_image(files[path]))
        except ImageError as error:
            raise DataError(f"{path} of the source cannot be used: {error}") from error

    paths: Iterable[str] = sorted(files)
    with ThreadPoolExecutor() as pool:
        return np.stack(list(pool.map(look, paths)))


def _print(image: Image.Image) -> NDArray[np.float32]:
    """Return a photo as few pixels around its mean brightness, float32 [16, 16, 3]."""
    pixels = np.asarray(image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX), np.float32)
    centred: NDArray[np.float32] = pixels - pixels.mean()
    return centred
