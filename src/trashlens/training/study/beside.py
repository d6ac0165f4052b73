"""A study of folds beside one on the official split, in words: what the look-alikes there are worth."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from trashlens.training.data import DataConfig, leak_of, read_groups, read_manifest
from trashlens.training.study.config import Study
from trashlens.training.study.leak import Part, VariantLeak, measure_leak
from trashlens.training.study.records import RunRecord, read_records
from trashlens.training.study.table import format_points

__all__ = ["HEADING", "put_beside"]

HEADING = "## Beside the official split"


def put_beside(study: Study, grouped: Mapping[str, Sequence[RunRecord]], data: Path) -> list[str]:
    """Return the blocks of Markdown that compare the study's folds with the study it names.

    `grouped` holds the records by variant, `data` the manifests and the studies. There are no blocks where the
    study names none, or where that one has no records yet.

    Raises:
        DataError: the other study's records cannot be used together.
    """
    if study.beside is None:
        return []
    official: dict[str, list[RunRecord]] = {}
    for record in read_records(data / "studies" / study.beside.study):
        official.setdefault(record.variant, []).append(record)
    groups = read_groups(data)
    parted = leak_of(read_manifest(DataConfig(folder=data).manifest), groups)
    pairs = {
        here: (official[there], grouped[here])
        for here, there in study.beside.variants.items()
        if there in official and here in grouped
    }
    measured = [measure_leak(variant, *pair, parted, groups) for variant, pair in pairs.items()]
    found = [one for one in measured if one is not None]
    if not found:
        return []
    there, here = (records[0].data["photos"]["train"] for records in pairs[found[0].variant])
    return [
        HEADING,
        _format_table(found),
        "- The same photos, named by networks of the official split "
        f"([{study.beside.study}](../{study.beside.study}/report.md)) and by those of the folds, which never saw "
        "another photo of the same object; means over the runs, intervals over objects. The difference is what "
        "look-alikes flatter. Where the official split trains on no look-alike either, what differs is chance and "
        f"the number of training photos, {there:,} there and about {here:,} here.",
    ]


def _format_table(found: Sequence[VariantLeak]) -> str:
    rows = [
        "| variant | test photos of the official split | how many | official split | folds "
        "| difference, points (95 %) |",
        "|---|---|" + "---:|" * 4,
    ]
    for one in found:
        parts = (
            ("all", one.every),
            ("look-alike trained on", one.seen),
            ("none trained on", one.unseen),
        )
        rows += [_format_row(one.variant, said, part) for said, part in parts if part is not None]
    return "\n".join(rows)


def _format_row(variant: str, said: str, part: Part) -> str:
    interval = f"{format_points(part.low)} to {format_points(part.high)}"
    return (
        f"| {variant} | {said} | {part.photos} | {part.official:.3f} | {part.grouped:.3f} "
        f"| {format_points(part.leak)} ({interval}) |"
    )
