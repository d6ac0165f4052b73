"""Manifests: which photo is in train, val or test, or in which fold, by content hash.

A split manifest is a CSV of `path,class,split,sha256` (SHA-256 of the source file). The committed
`trashnet-official.csv` holds the dataset's own lists (`one-indexed-files-notrash_{train,val,test}.txt`).

The committed `trashnet-grouped.csv` holds `path,class,group,fold,val_of,sha256` instead: photos of the same
object share a group, a group lies in one of five folds, and each fold is the test split once.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trashlens.errors import DataError

__all__ = [
    "FOLDS",
    "GROUPED_FILE",
    "SPLITS",
    "GroupedPhoto",
    "Photo",
    "format_grouped",
    "format_manifest",
    "read_grouped",
    "read_groups",
    "read_manifest",
]

SPLITS = ("train", "val", "test")
FOLDS = 5
GROUPED_FILE = "trashnet-grouped.csv"


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


@dataclass(frozen=True, kw_only=True)
class GroupedPhoto:
    """One row of the manifest of groups and folds."""

    path: str
    """`<class>/<file name>` in the source."""
    label: str
    """Class, one of `LABELS`."""
    group: str
    """The object on the photo: photos of the same object share it."""
    fold: int
    """The fold, 0 to 4, in which the photo is a test photo."""
    val_of: int | None
    """The fold, if any, in which the photo is a validation photo."""
    sha256: str
    """SHA-256 of the source file, hexadecimal."""

    def split_in(self, fold: int) -> str:
        """Return the photo's split when `fold` is the test fold: `train`, `val` or `test`."""
        if self.fold == fold:
            return "test"
        return "val" if self.val_of == fold else "train"


def read_manifest(path: Path) -> list[Photo]:
    """Return the rows of a split manifest.

    Raises:
        DataError: the file is missing or not a manifest.
    """
    try:
        return [
            Photo(path=row["path"], label=row["class"], split=row["split"], sha256=row["sha256"])
            for row in _read_rows(path)
        ]
    except (KeyError, csv.Error) as error:
        raise DataError(f"{path} is not a split manifest (path,class,split,sha256).") from error


def read_grouped(path: Path) -> list[GroupedPhoto]:
    """Return the rows of a manifest of groups and folds.

    Raises:
        DataError: the file is missing or not such a manifest.
    """
    try:
        return [
            GroupedPhoto(
                path=row["path"],
                label=row["class"],
                group=row["group"],
                fold=int(row["fold"]),
                val_of=int(row["val_of"]) if row["val_of"] else None,
                sha256=row["sha256"],
            )
            for row in _read_rows(path)
        ]
    except (KeyError, ValueError, csv.Error) as error:
        raise DataError(
            f"{path} is not a manifest of groups (path,class,group,fold,val_of,sha256)."
        ) from error


def read_groups(folder: Path) -> dict[str, str]:
    """Return each photo's group by path, as `trashnet-grouped.csv` in `folder` says.

    Empty where there is no such file: a photo without a group is a group of its own.

    Raises:
        DataError: the file is not such a manifest.
    """
    path = folder / GROUPED_FILE
    return {photo.path: photo.group for photo in read_grouped(path)} if path.is_file() else {}


def format_manifest(photos: Iterable[Photo]) -> bytes:
    """Return a split manifest's content, sorted by path."""
    return _format_rows(
        ["path", "class", "split", "sha256"],
        [[photo.path, photo.label, photo.split, photo.sha256] for photo in photos],
    )


def format_grouped(photos: Iterable[GroupedPhoto]) -> bytes:
    """Return the content of a manifest of groups and folds, sorted by path."""
    return _format_rows(
        ["path", "class", "group", "fold", "val_of", "sha256"],
        [
            [
                *(photo.path, photo.label, photo.group, str(photo.fold)),
                *("" if photo.val_of is None else str(photo.val_of), photo.sha256),
            ]
            for photo in photos
        ],
    )


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise DataError(
            f"There is no split manifest {path}. Run in the repository's root, or name its data folder."
        ) from error


def _format_rows(header: list[str], rows: Iterable[list[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(sorted(rows))
    return text.getvalue().encode()
