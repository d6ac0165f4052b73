"""Where uploads are kept while they are used: a folder that only this process reads."""

import os
import re
import shutil
import tempfile
from pathlib import Path

import psutil

__all__ = ["make_room"]

PREFIX = "trashlens-uploads-"


def make_room(parent: Path | None = None) -> Path:
    """Return a new folder for uploads, closed to other users, and delete those of servers that were killed.

    It lies in `parent`, by default the folder for temporary files, and is named by the process's number.
    """
    parent = parent or Path(tempfile.gettempdir())
    for folder in parent.glob(f"{PREFIX}*"):
        owner = re.fullmatch(rf"{PREFIX}(\d+)-\w+", folder.name)
        if owner and not psutil.pid_exists(int(owner[1])):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
