"""What is recorded beside prepared photos, `data.json`: where they came from, their split, their content."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trashlens.errors import DataError
from trashlens.training.data.folders import FOLDER_SETS
from trashlens.training.data.manifest import SPLITS

__all__ = [
    "RECORD_FILE",
    "count_photos",
    "datasets_differ",
    "hash_content",
    "read_data_record",
    "splits_differ",
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


def datasets_differ(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Return whether two records of prepared photos are known to be of different sets."""
    return len({record["dataset"] for record in (first, second) if record.get("dataset")}) > 1


def splits_differ(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Return whether two records of prepared photos are known to part the same photos differently.

    Then training photos of one may be test photos of the other. What a record does not say differs in nothing;
    the seed counts for a random split alone, the fold for a grouped one. Of a set and a part of it each is parted
    by itself; other sets have no photos in common.
    """
    if datasets_differ(first, second):
        return _whole_set(first["dataset"]) == _whole_set(second["dataset"])
    keys = ("split", *{"random": ("seed",), "grouped": ("fold",)}.get(second.get("split", ""), ()))
    return any(key in first and key in second and first[key] != second[key] for key in keys)


def _whole_set(dataset: str) -> str:
    """Return the name of the set that a data set is, or is drawn from."""
    known = FOLDER_SETS.get(dataset)
    return dataset if known is None or known.part_of is None else known.part_of
