"""The photos in a folder, with their classes."""

from collections.abc import Sequence
from pathlib import Path

__all__ = ["list_labelled", "list_photos"]

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")


def list_photos(folder: Path) -> list[Path]:
    """Return every file below `folder` that is named like a photo, sorted by path."""
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()
    )


def list_labelled(folder: Path, labels: Sequence[str]) -> list[tuple[Path, str]]:
    """Return the photos that lie in a folder named like a class, below `folder`, with that class."""
    return [(path, path.parent.name) for path in list_photos(folder) if path.parent.name in labels]
