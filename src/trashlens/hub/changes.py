"""What a repository holds, what it shall hold, and the difference."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.hf_api import RepoFile

from trashlens.files import hash_file

__all__ = ["Changes", "Files", "Head", "compare"]

Files = Mapping[str, Path | bytes]
"""What a repository shall hold: a file or its content, by path in the repository."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """The newest commit of a repository."""

    commit: str
    """Its hash."""
    files: Mapping[str, RepoFile]
    """What it holds, by path."""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a commit would change; sizes in bytes, by path."""

    added: Mapping[str, int]
    changed: Mapping[str, int]
    deleted: Mapping[str, int]

    def __bool__(self) -> bool:
        """Say whether there is anything to commit."""
        return bool(self.added or self.changed or self.deleted)

    def __str__(self) -> str:
        """List the changes, a line each."""
        marks = {"+": self.added, "~": self.changed, "-": self.deleted}
        lines = [
            f"{mark} {path} ({_format_size(size)})"
            for mark, sizes in marks.items()
            for path, size in sorted(sizes.items())
        ]
        return "\n".join(lines) or "unchanged"


def compare(files: Files, head: Head | None, obsolete: Collection[str] = ()) -> Changes:
    """Return what has to change for `head` to hold `files` and nothing that is obsolete."""
    there = head.files if head else {}
    return Changes(
        added={path: _size(source) for path, source in files.items() if path not in there},
        changed={
            path: _size(source)
            for path, source in files.items()
            if path in there and not _is_same(source, there[path])
        },
        deleted={path: there[path].size for path in obsolete if path in there and path not in files},
    )


def _is_same(source: Path | bytes, remote: RepoFile) -> bool:
    """Say whether a file has the remote one's content, by the hash that the Hub knows it by."""
    if _size(source) != remote.size:
        return False
    if remote.lfs:
        found = hash_file(source) if isinstance(source, Path) else hashlib.sha256(source).hexdigest()
        return found == remote.lfs.sha256
    content = source.read_bytes() if isinstance(source, Path) else source
    # Git's own hash of a file: SHA-1 over a header and the content.
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return blob.hexdigest() == remote.blob_id


def _size(source: Path | bytes) -> int:
    return source.stat().st_size if isinstance(source, Path) else len(source)


def _format_size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
