"""A study of folds beside one on the official split, in words: what the look-alikes there are worth."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from trashlens.errors import DataError
from trashlens.training.data import DataConfig, leak_of, read_groups, read_manifest
from trashlens.training.study.config import Study
from trashlens.training.study.leak import Part, VariantLeak, measure_leak
from trashlens.training.study.records import RunRecord, read_records, recipe_differences
from trashlens.training.study.table import format_points

__all__ = ["HEADING", "put_beside"]

HEADING = "## Beside the official split"


def put_beside(study: Study, grouped: Mapping[str, Sequence[RunRecord]], data: Path) -> list[str]:
    """Return the blocks of Markdown that compare the study's folds with the study it names.

    `grouped` holds the records by variant, `data` the manifests and the studies. There are no blocks where the
    study names none, or has answered none of the other's photos.

    Raises:
        DataError: the other study's records cannot be used together, or lack a variant that is named.
    """
    if study.beside is None:
        return []
    official: dict[str, list[RunRecord]] = {}
    for record in read_records(data / "studies" / study.beside.study):
        official.setdefault(record.variant, []).append(record)
    if not official:
        return [HEADING, f"There are no records of the study `{study.beside.study}` yet."]
    groups = read_groups(data)
    parted = leak_of(read_manifest(DataConfig(folder=data).manifest), groups)
    found: list[VariantLeak] = []
    differing: list[str] = []
    for here, there in study.beside.variants.items():
        if there not in official:
            raise DataError(
                f"The study {study.beside.study} has no runs of {there}, beside which {here} is to be put."
            )
        measured = measure_leak(here, official[there], grouped.get(here, ()), parted, groups)
        if measured is not None:
            found.append(measured)
            differing.append(_name_differences(here, official[there][0], grouped[here][0]))
    if not found:
        return []
    notes = "\n".join(f"- {note}" for note in [_explain(study), *differing])
    return [HEADING, " ".join(_conclude(one) for one in found), _format_table(found), notes]


def _conclude(one: VariantLeak) -> str:
    every = one.every
    return (
        f"Look-alikes flatter: of the official split's {every.photos} test photos `{one.variant}` names "
        f"{100 * every.official:.1f} % right, and {100 * every.grouped:.1f} % when it is trained on folds that "
        f"keep look-alikes apart, a difference of {format_points(every.leak)} points (95 % interval "
        f"{format_points(every.low)} to {format_points(every.high)} over objects)."
    )


def _explain(study: Study) -> str:
    assert study.beside is not None
    return (
        f"The same photos, named by the networks of the study `{study.beside.study}`, on the official split, and "
        "by those of the folds, which were trained and validated on no other photo of the same object; means over "
        "the runs. *Net* is what look-alikes among the training photos flatter the score by: the difference on "
        "photos that have some, less that on photos that have none. Intervals are over objects; what other seeds "
        "would give is not in them."
    )


def _name_differences(variant: str, there: RunRecord, here: RunRecord) -> str:
    """Return what else the two were trained differently in, as a note."""
    said = [
        f"{there.data['photos']['train']:,} and about {here.data['photos']['train']:,} training photos",
        *(
            said
            for said in recipe_differences(there.recipe, here.recipe)
            if not said.startswith(("role ", "data."))
        ),
    ]
    if there.precision != here.precision:
        said.append(f"precision {there.precision} and {here.precision}")
    if there.weights_sha256 != here.weights_sha256:
        said.append("other starting weights")
    if there.teacher_sha256 != here.teacher_sha256:
        said.append("other teachers")
    if there.commit != here.commit:
        said.append(f"commits {there.short_commit} and {here.short_commit}")
    return f"On the official split and the folds `{variant}` had {'; '.join(said)}."


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
        if one.net is not None:
            rows.append(f"| {one.variant} | *net* | | | | {_format_difference(*one.net)} |")
    return "\n".join(rows)


def _format_row(variant: str, said: str, part: Part) -> str:
    return (
        f"| {variant} | {said} | {part.photos} | {part.official:.3f} | {part.grouped:.3f} "
        f"| {_format_difference(part.leak, part.low, part.high)} |"
    )


def _format_difference(share: float, low: float, high: float) -> str:
    return f"{format_points(share)} ({format_points(low)} to {format_points(high)})"
