"""Write files and folders so that a reader, or a kill, finds the whole old or the whole new one."""

import glob
import hashlib
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["hash_file", "replace_file", "replace_folder"]

STALE_S = 3600.0
"""After this long, what a writer has left beside a file is that of one that was killed."""


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` as the file `path`, in one step; of several processes at once, the last one's stays."""
    _remove_stale(path)
    # Not by tempfile.mkstemp, whose files only their owner may read.
    staging = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with staging.open("xb") as file:
            file.write(data)
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    """Remove what writers of the file that were killed have left; what may still be written stays."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.new"):
        with suppress(OSError):  # another process may remove it, or its owner may be another
            if time.time() - left.stat().st_mtime > STALE_S:
                left.unlink()


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it takes the place of `folder` only if the block does not raise."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    staging, previous = work / "new", work / "previous"
    try:
        staging.mkdir()
        yield staging
        if folder.exists():
            folder.rename(previous)
        try:
            staging.rename(folder)
        except BaseException:
            if previous.exists():
                previous.rename(folder)
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
