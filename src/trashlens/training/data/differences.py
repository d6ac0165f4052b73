"""Whether two sets of prepared photos, by their records, can be told apart; a network's photos against others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trashlens.errors import DataError
from trashlens.training.data.config import name_processed
from trashlens.training.data.folders import FOLDER_SETS
from trashlens.training.data.record import RECORD_FILE, read_data_record

__all__ = ["check_prepared", "datasets_differ", "splits_differ"]


def check_prepared(learned: Mapping[str, Any], photos: Path, *, option: str) -> None:
    """Refuse prepared photos of another data set or split than the network `learned` from, by its record.

    Another set says nothing of its answers to the own one; of another split it may have seen some photos. `photos`
    is a split's folder, and `option` the one that names it. Nothing is known of a folder of one's own.

    Raises:
        DataError: they are of another one.
    """
    if not (photos.parent / RECORD_FILE).is_file():
        return
    record = read_data_record(photos.parent)
    if datasets_differ(learned, record):
        own = name_processed(learned["dataset"], learned.get("fold"))
        raise DataError(
            f"{photos} is of {record['dataset']}, and the network learned from {learned['dataset']}. "
            f"Give photos of its own with {option}, such as those in {photos.parent.parent / own}."
        )
    if splits_differ(learned, record):
        raise DataError(
            f"{photos} is of another split than the one the network learned from ({learned.get('manifest')}): "
            f"some of these photos it was trained on. Give its own with {option}."
        )


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
