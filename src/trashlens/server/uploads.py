"""Where uploads are kept while they are used: a folder that only this process reads, swept by age."""

import contextlib
import os
import re
import shutil
import stat
import tempfile
import time
from pathlib import Path

import psutil

__all__ = ["LEAST_BYTES", "Room", "make_room"]

PREFIX = "trashlens-uploads-"
LEAST_BYTES = 2**16
"""What the smallest file counts as: so that their number is bounded as well."""


class Room:
    """A folder for uploads, and how much is in it."""

    def __init__(self, folder: Path) -> None:
        """Look after `folder`, which is empty or about to be swept."""
        self.folder = folder.resolve()
        self.taken_bytes = 0

    def sweep(self, keep_s: float) -> None:
        """Delete what is older than `keep_s`, finished or broken off, and measure what is left."""
        oldest, taken = time.time() - keep_s, 0
        # Backwards, so that a folder comes after what was in it.
        for path in sorted(self.folder.rglob("*"), reverse=True):
            with contextlib.suppress(OSError):  # moved by an upload that ends just now, or not empty
                status = path.lstat()
                if stat.S_ISDIR(status.st_mode):
                    path.rmdir()
                elif status.st_mtime < oldest:
                    path.unlink()
                else:
                    taken += max(status.st_size, LEAST_BYTES)
        self.taken_bytes = taken


def make_room(parent: Path | None = None) -> Path:
    """Return a new folder for uploads, closed to other users, and delete those of servers that were killed.

    It lies in `parent`, by default the folder for temporary files, and is named by the process's number and start:
    in a container that starts again the number is the same.
    """
    parent = parent or Path(tempfile.gettempdir())
    for folder in parent.glob(f"{PREFIX}*"):
        owner = re.fullmatch(rf"{PREFIX}(\d+)-(\d+)-\w+", folder.name)
        if owner and _started_ms(int(owner[1])) != int(owner[2]):
            shutil.rmtree(folder, ignore_errors=True)
    process_id = os.getpid()
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{process_id}-{_started_ms(process_id)}-", dir=parent))


def _started_ms(process_id: int) -> int | None:
    """Return when a process started, milliseconds since 1970, or None when there is none."""
    try:
        started_s: float = psutil.Process(process_id).create_time()
    except psutil.Error:
        return None
    return round(started_s * 1e3)
