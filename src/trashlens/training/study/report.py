"""What a study found: a table, one honest sentence, and what to know when reading them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from trashlens.errors import DataError
from trashlens.files import replace_file
from trashlens.training.data import read_groups
from trashlens.training.study.beside import HEADING, put_beside
from trashlens.training.study.config import Study
from trashlens.training.study.grid_report import report_grid
from trashlens.training.study.latency import Latencies, measure_latencies, read_latencies
from trashlens.training.study.picture import draw_study
from trashlens.training.study.records import RunRecord, read_records, recipe_differences
from trashlens.training.study.sentence import conclude_study
from trashlens.training.study.standing import format_duration
from trashlens.training.study.statistics import TINY, Gain, compare_to_baseline, group_records
from trashlens.training.study.table import format_p, format_table

__all__ = ["PICTURE_FILE", "REPORT_FILE", "read_finding", "report_study"]

REPORT_FILE = "report.md"
PICTURE_FILE = "accuracy-latency.png"


def report_study(study: Study, data: Path, *, measure: bool = False) -> str:
    """Return the study's report in Markdown, from the records alone; write it and its picture beside them.

    `data` holds the manifests and, below `studies/<study>`, the records. The networks' times are measured
    where they are not kept yet, and with `measure` anew.

    Raises:
        DataError: there are no records, or some cannot be used together.
    """
    folder = data / "studies" / study.name
    records = read_records(folder)
    grouped = group_records(study, records)
    if not grouped:
        raise DataError(f"{folder} holds no records of the study {study.name}. Run it first.")
    if study.grid:
        text = report_grid(study, grouped, data)
        replace_file(folder / REPORT_FILE, f"{text}\n".encode())
        return text
    firsts = [found[0] for found in grouped.values()]
    latencies = read_latencies(folder)
    if measure or latencies is None or None in map(latencies.median_ms, firsts):
        latencies = measure_latencies(firsts, folder)
    gains = compare_to_baseline(study, grouped, read_groups(data))
    text = "\n\n".join(
        [
            f"# {study.question}",
            conclude_study(study, grouped, gains),
            format_table(study, grouped, gains, latencies),
            f"![Accuracy against latency, and the gains]({PICTURE_FILE})",
            _format_notes(study, grouped, gains, latencies),
            *put_beside(study, grouped, data),
        ]
    )
    draw_study(study, grouped, gains, latencies).savefig(folder / PICTURE_FILE, dpi=150)
    replace_file(folder / REPORT_FILE, f"{text}\n".encode())
    return text


def read_finding(folder: Path) -> str:
    """Return the sentence and the tables of the report that was written to a study's folder of records.

    Raises:
        DataError: there is no report.
    """
    try:
        text = (folder / REPORT_FILE).read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"{folder} holds no report. `trashlens study {folder.name} --report`."
        ) from error
    _, sentence, table, *rest = text.strip().split("\n\n")
    beside = rest[rest.index(HEADING) + 1 :] if HEADING in rest else []
    return "\n\n".join([sentence, table, *beside])


def _format_notes(
    study: Study, grouped: Mapping[str, Sequence[RunRecord]], gains: Sequence[Gain], latencies: Latencies
) -> str:
    """Return what to know when reading the numbers, as a list."""
    notes = [
        f"± is the sample standard deviation over {study.unit}s. ECE is that after temperature scaling on the "
        f"validation photos, as bundles have it. The time of one photo is the median on {latencies.cpu}"
        f"{', which was busy with something else: `--measure` repeats it' if latencies.disturbed else ''}.",
        _explain_tests(study, gains),
        *_list_deviations(study, grouped),
        _describe_runs(study, grouped),
    ]
    return "\n".join(f"- {note}" for note in notes)


def _explain_tests(study: Study, gains: Sequence[Gain]) -> str:
    """Return what the intervals and p values mean, and what they cannot show."""
    pairs = max((len(gain.differences) for gain in gains), default=0)
    weighed = [gain.evidence for gain in gains if gain.evidence is not None]
    variance = (
        ", with the variance that overlapping training photos ask for (Nadeau and Bengio 2003), as in the picture"
        if study.folds
        else ""
    )
    floor = f", which {pairs} pairs cannot bring below {format_p(2 / 2**pairs)}" if pairs > 1 else ""
    flips = (
        "*p, signs* is left out: folds share training photos, and the sign flip test asks for independent pairs"
        if study.folds
        else f"*p, signs* is the exact sign flip test{floor}"
    )
    if any(known.high - known.low < TINY for known in weighed):
        flips += "; where all pairs differ alike, t has no deviation to divide by, and p is that of sign flips"
    return (
        f"Gains are paired by {study.unit}; interval and p are of the paired t test{variance}: what other "
        f"{study.unit}s would give. *Over objects* is a bootstrap over the objects on the test photos: what other "
        f"photos would give. {flips}; *p, Holm* is p after Holm's "
        f"correction for {len(weighed)} comparison{'' if len(weighed) == 1 else 's'}."
    )


def _list_deviations(study: Study, grouped: Mapping[str, Sequence[RunRecord]]) -> list[str]:
    """Return, for each variant, what differs from the baseline besides the teacher's signal."""
    notes = []
    for variant, records in grouped.items():
        differing = [
            said
            for like in grouped.get(study.baseline, ())[:1]
            for said in recipe_differences(records[0].recipe, like.recipe)
            if not said.startswith(("role ", "objective.distill"))
        ]
        if differing and records[0].recipe["role"] != "teacher":
            notes.append(
                f"Besides the teacher's signal, `{variant}` and `{study.baseline}` differ in "
                f"{'; '.join(differing)}."
            )
    return [*notes, *_compare_origins(study, grouped)]


def _compare_origins(study: Study, grouped: Mapping[str, Sequence[RunRecord]]) -> list[str]:
    """Return which of the variants compared were made on other machines, or by other code, than the baseline."""
    baseline = grouped.get(study.baseline, ())
    compared = {v: found for v, found in grouped.items() if found[0].recipe["role"] != "teacher"}
    said = []
    for what, key in (("on other machines", "machine"), ("by other commits of the code", "commit")):
        usual = {getattr(record, key) for record in baseline}
        others = [v for v, found in compared.items() if {getattr(r, key) for r in found} != usual]
        if baseline and others:
            said.append(f"{what} {', '.join(f'`{variant}`' for variant in others)}")
    return [f"Trained otherwise than `{study.baseline}`: {'; '.join(said)}."] if said else []


def _describe_runs(study: Study, grouped: Mapping[str, Sequence[RunRecord]]) -> str:
    """Return how many runs there are, on which photos, and what made them."""
    records = [record for found in grouped.values() for record in found]
    photos = sum({record.fold: record.test["photos"] for record in records}.values())
    timed_s = [record.wall_s for record in records if record.wall_s is not None]
    took = f"; {len(timed_s)} of them were timed, {format_duration(sum(timed_s))} together"
    machines = sorted({record.machine for record in records})
    commits = sorted({record.short_commit for record in records})
    teachers = sorted({record.teacher_sha256[:12] for record in records if record.teacher_sha256})
    taught = f" Teacher: checkpoint {teachers[0]}." if len(teachers) == 1 else ""
    return (
        f"{len(records)} of {study.planned} runs on the {records[0].data['split']} split ({photos:,} test photos"
        f"{' over all folds' if study.folds else ''}){took if timed_s else ''}. Machine: {'; '.join(machines)}. "
        f"Commit of the code: {', '.join(commits)}.{taught}"
    )
