"""The photos in a folder, with their classes."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["list_labelled", "list_photos", "walk_photos"]

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")


def walk_photos(folder: Path) -> Iterator[Path]:
    """Yield every file below `folder` that is named like a photo, in the order of the paths.

    A folder is listed when it is reached. One that is not there or may not be read is passed over, and links to
    folders are not followed.
    """
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from walk_photos(path)
        elif path.suffix.lower() in SUFFIXES and path.is_file():
            yield path


def list_photos(folder: Path) -> list[Path]:
    """Return every file below `folder` that is named like a photo, sorted by path."""
    return list(walk_photos(folder))


def list_labelled(folder: Path, labels: Sequence[str]) -> list[tuple[Path, str]]:
    """Return the photos that lie in a folder named like a class, below `folder`, with that class."""
    return [(path, path.parent.name) for path in list_photos(folder) if path.parent.name in labels]
