"""Read a run back from the `.wandb` file in which W&B records it, online or offline.

The file is a log in LevelDB's format: blocks of 32 KiB with pieces of records, each piece behind its
checksum, length and kind. A run that was killed leaves the whole records before its end.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

from trashlens.errors import TrackingError

__all__ = ["LINEAGE_TYPES", "RecordedRun", "find_runs", "measure_whole", "read_records", "read_run"]

LINEAGE_TYPES = ("dataset", "model", "bundle")
MAGIC = b":W&B"
FILE_HEADER, PIECE_HEADER, BLOCK = 7, 7, 32 * 1024
FULL, FIRST, LAST = 1, 2, 4


@dataclass(kw_only=True)
class RecordedRun:
    """What a `.wandb` file says about its run."""

    file: Path
    id: str = ""
    project: str = ""
    entity: str | None = None
    name: str = ""
    job_type: str = ""
    group: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    """One row of metrics a step, nested keys joined by dots."""
    summary: dict[str, Any] = field(default_factory=dict)
    used: list[dict[str, Any]] = field(default_factory=list)
    """Versions that were recorded as inputs: `name`, `type`, `alias`, `aliases`, `sha256`, `inputs`, `files`."""
    given: list[dict[str, Any]] = field(default_factory=list)
    """Versions that the run made, likewise."""
    tables: list[dict[str, Any]] = field(default_factory=list)
    """W&B's own artifacts of tables and their pictures, likewise."""
    exit_code: int | None = None
    """None while it has not ended."""
    damage: str | None = None
    """Why nothing else is known of it, as a sentence."""

    @property
    def uploaded_marker(self) -> Path:
        """The file by which W&B itself remembers that everything arrived."""
        return self.file.with_name(f"{self.file.name}.synced")

    @property
    def tied_marker(self) -> Path:
        """The file that says that the server knows the run's inputs and links."""
        return self.file.with_name(f"{self.file.name}.lineage")


def find_runs(folders: Sequence[Path]) -> list[RecordedRun]:
    """Return the runs recorded anywhere below the folders, the first started first, damaged ones too.

    Raises:
        TrackingError: a folder is not there.
    """
    for folder in folders:
        if not folder.is_dir():
            raise TrackingError(f"There is no folder {folder}. Name folders that training wrote.")
    files = {file.resolve() for folder in folders for file in folder.rglob("*run-*/run-*.wandb")}
    # W&B names a run's folder by the time of its start: [offline-]run-YYYYMMDD_hhmmss-ID.
    return [_try_run(file) for file in sorted(files, key=lambda f: f.parent.name.split("run-", 1)[1])]


def read_run(file: Path) -> RecordedRun:
    """Return what a `.wandb` file says.

    Raises:
        TrackingError: it is not one, or does not get as far as to name its run.
    """
    run = RecordedRun(file=file)
    for record in read_records(file):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            seen = record.run
            run.id, run.project, run.entity = seen.run_id, seen.project, seen.entity or None
            run.name, run.job_type, run.group = seen.display_name, seen.job_type, seen.run_group
            run.config |= _values(seen.config.update)
        elif kind == "config":
            run.config |= _values(record.config.update)
        elif kind == "history":
            run.history.append(_values(record.history.item))
        elif kind == "summary":
            run.summary |= _values(record.summary.update)
        elif kind == "artifact":
            _artifacts_of(run, record.artifact).append(_describe(record.artifact))
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    if not run.id:
        raise TrackingError(
            f"{file} ends before it says which run it is: it has just begun, or was killed."
        )
    return run


def read_records(file: Path) -> Iterator[Any]:
    """Yield the records of a `.wandb` file, up to where a killed run stopped writing.

    Raises:
        TrackingError: it is not one.
    """
    for record, _ in _records_and_ends(file):
        yield record


def measure_whole(file: Path) -> int:
    """Return the length, in bytes, up to the end of a `.wandb` file's last whole record.

    Raises:
        TrackingError: it is not one.
    """
    return max((end for _, end in _records_and_ends(file)), default=FILE_HEADER)


def _try_run(file: Path) -> RecordedRun:
    try:
        return read_run(file)
    except (TrackingError, OSError, ValueError) as error:
        sentence = str(error) if isinstance(error, TrackingError) else f"{file} cannot be read: {error}."
        return RecordedRun(file=file, damage=sentence)


def _records_and_ends(file: Path) -> Iterator[tuple[Any, int]]:
    """Yield each whole record and the position behind it."""
    data = file.read_bytes()
    if not MAGIC.startswith(data[: len(MAGIC)]):  # one that has just begun is empty
        raise TrackingError(f"{file} is not a run that W&B recorded.")
    position, record = FILE_HEADER, b""
    while position + PIECE_HEADER <= len(data):
        left = BLOCK - position % BLOCK
        if left < PIECE_HEADER:  # padding
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        start, position = position + PIECE_HEADER, position + PIECE_HEADER + length
        # A record that was torn has no last piece; the next one starts anew.
        record = (b"" if kind in (FULL, FIRST) else record) + data[start:position]
        if kind in (FULL, LAST):
            if position > len(data):
                return
            try:
                yield Record.FromString(record), position
            except DecodeError:
                return
            record = b""


def _values(items: Any) -> dict[str, Any]:
    """Return the values of W&B's key-value items."""
    return {".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}


def _artifacts_of(run: RecordedRun, artifact: Any) -> list[dict[str, Any]]:
    if artifact.type not in LINEAGE_TYPES:
        return run.tables
    return run.used if artifact.use_after_commit else run.given


def _describe(artifact: Any) -> dict[str, Any]:
    metadata = json.loads(artifact.metadata or "{}")
    aliases = [alias for alias in artifact.aliases if alias != "latest"]
    inputs = metadata.get("inputs")
    return {
        "name": artifact.name,
        "type": artifact.type,
        "alias": metadata.get("alias", "latest"),
        "aliases": aliases,
        "sha256": metadata.get("sha256"),
        # Before lineage was recorded, a checkpoint's metadata had something else by this name.
        "inputs": inputs if isinstance(inputs, list) else [],
        "files": {entry.path: entry.local_path for entry in artifact.manifest.contents},
    }
