"""Write files and folders so that a reader, or a kill, finds the whole old or the whole new one."""

import hashlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["hash_file", "replace_file", "replace_folder"]


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` as the file `path`, in one step; of several processes at once, the last one's stays."""
    # Not by tempfile.mkstemp, whose files only their owner may read.
    staging = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with staging.open("xb") as file:
            file.write(data)
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


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
