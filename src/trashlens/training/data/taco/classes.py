"""What TACO's 60 categories become: our six classes, TACO's own reductions, or a table of yours."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from trashlens.errors import DataError

__all__ = ["OURS", "OWN_MAPS", "map_categories"]

OURS = Path(__file__).with_name("trashnet-classes.csv")
OWN_MAPS = ("map_2", "map_3", "map_4", "map_10", "map_17")
"""`map_1` calls everything litter, which is nothing to tell apart."""
NOTHING = ("", "Background")
"""What TACO's detector calls background is no class."""


def map_categories(
    classes: str, categories: Sequence[str], *, fetch_map: Callable[[str], bytes]
) -> dict[str, str]:
    """Return the class of each category that has one; `fetch_map` gives TACO's own table of a name.

    Raises:
        DataError: there is no such table, it is damaged, leaves a category out, or knows fewer than two classes.
    """
    if classes == "all":
        return {name: name for name in categories}
    if classes == "trashnet":
        data = OURS.read_bytes()
    elif classes in OWN_MAPS:
        data = fetch_map(classes)
    elif Path(classes).is_file():
        data = Path(classes).read_bytes()
    else:
        raise DataError(
            f"There is no table of classes {classes}. Give trashnet, all, {', '.join(OWN_MAPS)}, or a CSV file "
            "of category and class."
        )
    table = _read_table(data, classes)
    unknown = [name for name in categories if name not in table]
    if unknown:
        raise DataError(
            f"{classes} says nothing of {len(unknown)} categories, first {unknown[0]!r}. "
            "Add each with its class, or with none to leave it out."
        )
    mapped = {name: table[name] for name in categories if table[name] not in NOTHING}
    if len(set(mapped.values())) < 2:
        raise DataError(f"{classes} knows fewer than two classes: there is nothing to tell apart.")
    return mapped


def _read_table(data: bytes, name: str) -> dict[str, str]:
    """Return the class by category of a CSV, with or without a header; further columns are reasons.

    Raises:
        DataError: a line has no two columns, or a class cannot name a folder.
    """
    try:
        rows = [row for row in csv.reader(io.StringIO(data.decode("utf-8-sig"))) if row]
        table = {row[0].strip(): row[1].strip() for row in rows}
    except (IndexError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{name} is not a CSV file of category and class.") from error
    table.pop("category", None)
    for label in table.values():
        if label.startswith(".") or any(sign in label for sign in '/\\:*?"<>|[]{}'):
            raise DataError(f"{name} has the class {label!r}, which cannot name a folder.")
    return table
