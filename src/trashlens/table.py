"""The answers to many photos as a table: one row a photo, and the same columns wherever it is written."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trashlens.classifier import Prediction
from trashlens.comparison import Comparison

__all__ = ["Row", "column_names", "format_csv"]

FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula, and would compute for whoever opens the file."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is known about one photo: an answer, or the sentence that says why there is none."""

    file: str
    """Its name, as it was given."""
    answer: Comparison | None = None
    problem: str = ""

    @property
    def disagree(self) -> bool:
        """Whether the networks that are sure name more than one class."""
        return len({one.label for one in self._predictions if one.sure}) > 1

    @property
    def doubted(self) -> bool:
        """Whether a network is not sure."""
        return any(not one.sure for one in self._predictions)

    @property
    def _predictions(self) -> list[Prediction]:
        return list(self.answer.predictions.values()) if self.answer else []


def column_names(roles: Sequence[str]) -> list[str]:
    """Return the names of the columns, those of the networks as `trashlens.batch` has them.

    `disagree` is whether the networks that are sure name more than one class; a label that is not sure is a guess,
    and counts for nothing.
    """
    asked = [f"{role}_{what}" for role in roles for what in ("label", "sure", "confidence")]
    return ["file", *asked, "disagree", "problem"]


def format_csv(rows: Iterable[Row], roles: Sequence[str], *, header: bool = True) -> str:
    """Return rows as lines of CSV (RFC 4180) that each end in a line feed.

    A text that a spreadsheet would compute gets an apostrophe before it, which tells it that this is text. What is
    true or false is written so; without an answer the cells of the networks are empty.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if header:
        writer.writerow(column_names(roles))
    for row in rows:
        writer.writerow(_fill_cells(row, roles))
    return buffer.getvalue()


def _fill_cells(row: Row, roles: Sequence[str]) -> list[str]:
    cells = []
    for role in roles:
        one = row.answer.predictions.get(role) if row.answer else None
        cells += [one.label, _say(one.sure), f"{one.confidence:.4f}"] if one else ["", "", ""]
    disagree = _say(row.disagree) if row.answer else ""
    return [_disarm(row.file), *cells, disagree, _disarm(row.problem)]


def _say(value: bool) -> str:
    return str(value).lower()


def _disarm(text: str) -> str:
    text = text.replace(
        "\r", " "
    )  # which the csv module would leave bare, and readers take for the end of a row
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text
