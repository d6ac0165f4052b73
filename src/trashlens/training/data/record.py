"""What is recorded beside prepared photos, `data.json`: where they came from, their split, their content."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trashlens.errors import DataError
from trashlens.training.data.manifest import SPLITS

__all__ = [
    "RECORD_FILE",
    "count_photos",
    "hash_content",
    "read_data_record",
    "write_data_record",
]

RECORD_FILE = "data.json"


def count_photos(photos: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Return the number of photos by split and class; each comes as these two."""
    counts = sorted(Counter(photos).items())
    return {
        split: {label: count for (where, label), count in counts if where == split} for split in SPLITS
    }


def hash_content(hashes: Mapping[str, str]) -> str:
    """Return one SHA-256 over every photo's path and hash: names exactly what was trained on."""
    lines = "".join(f"{path},{hashes[path]}\n" for path in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()


def write_data_record(processed: Path, record: Mapping[str, Any]) -> None:
    """Keep the record in the folder of the photos that it describes."""
    text = json.dumps(record, indent=2) + "\n"
    (processed / RECORD_FILE).write_text(text, encoding="utf-8")


def read_data_record(processed: Path) -> dict[str, Any]:
    """Return what `prepare_data` recorded about the photos in `processed`.

    Raises:
        DataError: nothing has been prepared there.
    """
    try:
        record: dict[str, Any] = json.loads((processed / RECORD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{processed} holds no prepared photos. Run `trashlens data` first.") from error
    return record
