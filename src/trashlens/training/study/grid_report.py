"""What a grid found: a table of accuracies, one of differences, one of times, and what to know about them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from trashlens.files import replace_file
from trashlens.training.data import read_groups
from trashlens.training.networks import NetworkConfig, create_network
from trashlens.training.parts import name_parts, share_of_parts
from trashlens.training.study.cells import CellResult, compare_shares, find_cells, format_csv
from trashlens.training.study.config import Study
from trashlens.training.study.grid import Cell, name_share
from trashlens.training.study.grid_picture import draw_grid
from trashlens.training.study.records import RunRecord
from trashlens.training.study.sentence import conclude_study
from trashlens.training.study.standing import format_duration
from trashlens.training.study.statistics import Gain
from trashlens.training.study.table import format_points

__all__ = ["GRID_CSV", "GRID_PICTURE", "report_grid"]

GRID_PICTURE = "accuracy-time.png"
GRID_CSV = "runs.csv"
BUSY = 1.3
"""Wall time over processor time of all threads, from which a run is taken to have waited."""


def report_grid(study: Study, grouped: Mapping[str, Sequence[RunRecord]], data: Path) -> str:
    """Return the report of a study that has a grid, in Markdown; write its CSV and picture to its folder.

    `data` holds the manifests and, below `studies/<study>`, the records.
    """
    folder, groups = data / "studies" / study.name, read_groups(data)
    results = find_cells(study, grouped, groups)
    compared = compare_shares(study, results, groups)
    replace_file(folder / GRID_CSV, format_csv(results))
    draw_grid(study, results).savefig(folder / GRID_PICTURE, dpi=150)
    gains = {gain.variant: gain for _, found in compared.values() for gain in found}
    first = name_share(_grid_shares(study)[0])
    return "\n\n".join(
        [
            f"# {study.question}",
            *_conclude(grouped, compared),
            "Test accuracy, mean over the seeds (95 % over objects), by how much is frozen:",
            _format_table(study, results, _format_accuracy),
            f"Against {first}, points (95 % over objects; 95 % over seeds):",
            _format_table(study, results, lambda result: _format_gain(gains.get(result.cell.variant))),
            "Processor time of a run, and wall time:",
            _format_table(study, results, _format_time),
            f"![Accuracy and time of a run by frozen share]({GRID_PICTURE})",
            "\n".join(f"- {note}" for note in _list_notes(study, results)),
        ]
    )


def _conclude(
    grouped: Mapping[str, Sequence[RunRecord]],
    compared: Mapping[tuple[str, str], tuple[Study, list[Gain]]],
) -> list[str]:
    """Return the sentence of each network on each data set, as one list."""
    lines = []
    for (dataset, network), (part, gains) in compared.items():
        here = {name: grouped[name] for name in part.variants}
        lines.append(f"- {network} on {dataset}: {conclude_study(part, here, gains)}")
    return ["\n".join(lines)] if lines else []


def _grid_shares(study: Study) -> list[float]:
    assert study.grid is not None
    return study.grid.frozen_shares


def _format_table(study: Study, results: Sequence[CellResult], say: Callable[[CellResult], str]) -> str:
    """Return a table with a row for each network on each data set and a column for each frozen share."""
    shares, known = _grid_shares(study), {result.cell: result for result in results}
    rows = [
        f"| data set | network | {' | '.join(map(name_share, shares))} |",
        "|---|---|" + "---:|" * len(shares),
    ]
    for dataset, network in dict.fromkeys(result.cell[:2] for result in results):
        found = [known.get(Cell(dataset, network, share)) for share in shares]
        cells = ["–" if result is None else say(result) for result in found]
        rows.append(f"| {dataset} | {network} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _format_accuracy(result: CellResult) -> str:
    return f"{result.accuracy:.3f} ({result.low:.3f} to {result.high:.3f})"


def _format_gain(gain: Gain | None) -> str:
    if gain is None:
        return "–"
    objects = f"{format_points(gain.objects_low)} to {format_points(gain.objects_high)}"
    known = gain.evidence
    seeds = f"{format_points(known.low)} to {format_points(known.high)}" if known else "one seed"
    return f"{format_points(gain.mean)} ({objects}; {seeds})"


def _format_time(result: CellResult) -> str:
    return ", ".join(
        "–" if seconds is None else format_duration(seconds) for seconds in (result.cpu_s, result.wall_s)
    )


def _list_notes(study: Study, results: Sequence[CellResult]) -> list[str]:
    """Return what to know when reading the numbers."""
    records = [record for result in results for record in result.records]
    schedules = sorted(
        {
            f"{record.recipe['schedule']['epochs']} epochs at {record.recipe['preprocess']['size_px']} px"
            for record in records
        }
    )
    machines = sorted({record.machine for record in records})
    commits = sorted({record.short_commit for record in records})
    return [
        "A share counts the network's top-level parts in their order, the head last and never frozen "
        f"(`trashlens.training.parts`): {'; '.join(_name_frozen(study, results))}.",
        "*Over objects* is a bootstrap over the objects on the test photos: what other photos would give. *Over "
        "seeds* is the paired t interval of the seeds that both cells have.",
        *_explain_heads(records),
        *_explain_times(results),
        f"{len(records)} of {study.planned} runs, {'; '.join(schedules)}. Machine: {'; '.join(machines)}. Commit "
        f"of the code: {', '.join(commits)}. A line a run: `{GRID_CSV}`.",
    ]


def _explain_heads(records: Sequence[RunRecord]) -> list[str]:
    """Return what the heads start from, if all start from the same."""
    starts = {
        "random" if network.get("weights") == "none" else network.get("head", "probe")
        for network in (record.recipe["network"] for record in records)
    }
    said = {"probe": "a linear probe on the frozen features", "random": "random weights"}
    return [f"All heads start from {said[start]}." for start in starts if len(starts) == 1]


def _name_frozen(study: Study, results: Sequence[CellResult]) -> list[str]:
    """Return for each network how many parts it has, and which is the last that each share freezes."""
    said = {}
    for result in results:
        given = result.records[0].recipe["network"]
        config = NetworkConfig(name=given["name"], arguments=given["arguments"], weights="none")
        if result.cell.network in said:
            continue
        with torch.device("meta"):  # names need no numbers
            network, _ = create_network(config, classes=2)
        ends = [
            f"{name_share(share)} ends with `{share_of_parts(network, share)[-1]}`"
            for share in _grid_shares(study)
            if share_of_parts(network, share)
        ]
        parts = f"{result.cell.network} has {len(name_parts(network))}"
        said[result.cell.network] = ", ".join([parts, *ends])
    return list(said.values())


def _explain_times(results: Sequence[CellResult]) -> list[str]:
    """Return what the times are, and whether the machine was busy with something else."""
    timed = [(one.cpu_s, one.wall_s) for one in results if one.cpu_s and one.wall_s]
    if not timed:
        return []
    busy = any(wall_s > BUSY * cpu_s for cpu_s, wall_s in timed)
    rough = (
        " Runs waited, for other work on the machine, for photos or for a device: wall times say little of the "
        "networks."
        if busy
        else ""
    )
    return [
        "Times are of whole runs: reading the photos, the probe, training, validating and testing. Processor "
        f"time is that of all threads together.{rough}"
    ]
