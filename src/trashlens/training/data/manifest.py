"""The split manifest: which photo is in train, val or test, by content hash.

A CSV of `path,class,split,sha256` (SHA-256 of the source file). The committed `trashnet-official.csv`
holds the dataset's own lists (`one-indexed-files-notrash_{train,val,test}.txt`).
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from trashlens.errors import DataError

__all__ = ["SPLITS", "Photo", "format_manifest", "read_manifest"]

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class Photo:
    """One row of a split manifest."""

    path: str
    """`<class>/<file name>` in the source."""
    label: str
    """Class, one of `LABELS`."""
    split: str
    """`train`, `val` or `test`."""
    sha256: str
    """SHA-256 of the source file, hexadecimal."""


def read_manifest(path: Path) -> list[Photo]:
    """Return the rows of a split manifest.

    Raises:
        DataError: the file is missing or not a manifest.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [
            Photo(path=row["path"], label=row["class"], split=row["split"], sha256=row["sha256"])
            for row in rows
        ]
    except OSError as error:
        raise DataError(
            f"There is no split manifest {path}. Run in the repository's root, or name its data folder."
        ) from error
    except (KeyError, csv.Error) as error:
        raise DataError(f"{path} is not a split manifest (path,class,split,sha256).") from error


def format_manifest(photos: list[Photo]) -> bytes:
    """Return a split manifest's content, sorted by path."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "class", "split", "sha256"])
    for photo in sorted(photos, key=lambda photo: photo.path):
        writer.writerow([photo.path, photo.label, photo.split, photo.sha256])
    return text.getvalue().encode()
