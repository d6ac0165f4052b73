"""The cells of a grid, from the records alone: accuracy with its intervals, times, and what freezing changes."""

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trashlens.training.data import TRASHNET
from trashlens.training.evaluate.intervals import percentile_interval, resample_sums
from trashlens.training.study.config import Study
from trashlens.training.study.grid import Cell
from trashlens.training.study.records import RunRecord
from trashlens.training.study.statistics import Gain, compare_to_baseline

__all__ = ["CellResult", "compare_shares", "find_cells", "format_csv", "pick_group"]

COLUMNS = (
    *("dataset", "network", "frozen_share", "seed", "train_photos", "test_photos", "val_accuracy"),
    *("test_accuracy", "test_macro_f1", "wall_s", "cpu_s", "machine", "commit"),
)


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What the runs of one cell came to; accuracies are shares."""

    cell: Cell
    """Which cell."""
    records: tuple[RunRecord, ...]
    """Its runs, by seed."""
    accuracy: float
    """Mean test accuracy over the seeds."""
    low: float
    """Lower end of its 95 % percentile bootstrap over the objects on the test photos."""
    high: float
    """Upper end."""

    @property
    def accuracies(self) -> tuple[float, ...]:
        """The test accuracy of each run."""
        return tuple(record.test["accuracy"] for record in self.records)

    @property
    def wall_s(self) -> float | None:
        """Mean seconds of a run; None where none was timed."""
        return _mean([record.wall_s for record in self.records])

    @property
    def cpu_s(self) -> float | None:
        """Mean seconds of processor time of a run; None where none was timed."""
        return _mean([record.cpu_s for record in self.records])


def find_cells(
    study: Study, grouped: Mapping[str, Sequence[RunRecord]], groups: Mapping[str, str]
) -> list[CellResult]:
    """Return the cells of the study's grid that have runs, in its order.

    `groups` names the object on TrashNet's photos by path; of other data sets no object is known, and each photo
    is one of its own.
    """
    assert study.grid is not None
    found = []
    for cell in study.grid.cells():
        records = grouped.get(cell.variant, ())
        if records:
            low, high = _resample(records, pick_group(records, groups))
            mean = float(np.mean([record.test["accuracy"] for record in records]))
            found.append(
                CellResult(cell=cell, records=tuple(records), accuracy=mean, low=low, high=high)
            )
    return found


def compare_shares(
    study: Study, results: Sequence[CellResult], groups: Mapping[str, str]
) -> dict[tuple[str, str], tuple[Study, list[Gain]]]:
    """Return, by data set and network, what other frozen shares gain over the grid's first, paired by seed.

    Each comes with the part of the study that it is about, whose baseline is the first share's variant. Holm's
    correction is over the shares of one network on one data set.
    """
    assert study.grid is not None
    parts = {}
    for dataset, network in dict.fromkeys(result.cell[:2] for result in results):
        first = Cell(dataset, network, study.grid.frozen_shares[0]).variant
        here = {
            result.cell.variant: result.records
            for result in results
            if result.cell[:2] == (dataset, network)
        }
        if first not in here:
            continue
        part = dataclasses.replace(
            study,
            grid=None,
            baseline=first,
            variants={name: study.variants[name] for name in here},
        )
        known = pick_group(here[first], groups)
        parts[dataset, network] = part, compare_to_baseline(part, here, known)
    return parts


def pick_group(records: Sequence[RunRecord], groups: Mapping[str, str]) -> Mapping[str, str]:
    """Return the groups that are about the records' data set: those of TrashNet or none."""
    return groups if records[0].dataset == TRASHNET[0] else {}


def format_csv(results: Sequence[CellResult]) -> bytes:
    """Return one line a run, with a header; times in seconds, accuracies as shares."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        for record in result.records:
            photos = record.data["photos"]
            row = [*result.cell[:2], result.cell.share, record.seed, photos.get("train")]
            row += [record.test["photos"], record.val["accuracy"], record.test["accuracy"]]
            row += [record.test["macro_f1"], _round(record.wall_s), _round(record.cpu_s)]
            writer.writerow([*row, record.machine, record.short_commit])
    return text.getvalue().encode()


def _resample(records: Sequence[RunRecord], groups: Mapping[str, str]) -> list[float]:
    """Return the 95 % bootstrap interval, over objects, of the mean accuracy of a cell's runs."""
    hits: dict[str, list[bool]] = {}
    for record in records:
        for answer in record.answers:
            hits.setdefault(answer.path, []).append(answer.predicted == answer.label)
    shares = np.array([np.mean(values) for values in hits.values()])
    objects = np.array([groups.get(path, path) for path in hits])
    sums = resample_sums(np.stack([shares, np.ones_like(shares)], axis=1), objects, seed=0)
    return percentile_interval(sums[:, 0] / sums[:, 1])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _round(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"
