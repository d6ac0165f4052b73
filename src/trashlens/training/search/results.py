"""What a search has found: a row for each trial, the front, and both as CSV, JSON and a table for people."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from trashlens.files import replace_file
from trashlens.machine import code_commit
from trashlens.training.search.config import Space
from trashlens.training.search.storage import standing_trials

__all__ = ["Outcome", "format_outcomes", "read_outcomes", "write_outcomes"]

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
HEADER = "| trial | macro F1 | time | one photo | parameters | drawn |"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is known of a trial."""

    trial: int
    """Its number."""
    state: str
    """`complete`, `stopped`, `failed`, `running` or `waiting`."""
    drawn: Mapping[str, Any]
    """By the names of the space."""
    front: bool = False
    """Whether no complete trial is better in one objective and at least as good in the other."""
    macro_f1: float | None = None
    """On the validation photos; None where training did not come to its end."""
    time_ratio: float | None = None
    """How many times as long as the reference the network takes for one photo."""
    infer_ms: float | None = None
    """Its median time, milliseconds, on the machine that measured it."""
    reference_ms: float | None = None
    """The reference's in the same rounds."""
    network: str = ""
    """Name, arguments and input size."""
    parameters: int | None = None
    accuracy: float | None = None
    """On the validation photos."""
    curve: Sequence[float] = field(default_factory=list)
    """Macro F1 after each epoch."""
    wall_s: float | None = None
    """What training took, seconds."""
    folder: str = ""
    """Of the checkpoint, below the search's."""
    same_as: int | None = None
    """The earlier trial that drew the same, whose numbers these are."""
    stopped_by: Sequence[int] = field(default_factory=list)
    """The trials that were better at the same epoch."""
    problem: str = ""
    """Why training failed."""


def read_outcomes(study: Study) -> list[Outcome]:
    """Return what is known of the trials, by number; those that go on as others are left out."""
    front = {trial.number for trial in study.best_trials}
    return [_outcome(trial, trial.number in front) for trial in standing_trials(study)]


def write_outcomes(space: Space, outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write `results.csv`, a row a trial and what was drawn in columns of its own, and `results.json`."""
    replace_file(folder / "results.csv", _to_csv(space, outcomes).encode())
    record = {
        "name": space.name,
        "question": space.question,
        "recipe": space.recipe,
        "objectives": {"macro_f1": "maximise", "time_ratio": "minimise"},
        "trials": space.trials,
        "commit": code_commit(),
        "outcomes": [vars(outcome) for outcome in outcomes],
    }
    replace_file(folder / "results.json", (json.dumps(record, indent=2) + "\n").encode())


def format_outcomes(space: Space, outcomes: Sequence[Outcome]) -> str:
    """Return the front as a Markdown table, fastest first, and a line about the others."""
    rows = [HEADER, "|---:|---:|---:|---:|---:|---|"]
    # Of trials with equal numbers, as those that drew the same, the first stands for all.
    front = {(one.time_ratio, one.macro_f1): one for one in reversed(outcomes) if one.front}
    for _, one in sorted(front.items()):
        drawn = ", ".join(f"{name} {_say(value)}" for name, value in one.drawn.items())
        parameters = f"{(one.parameters or 0) / 1e6:.2f} M"
        rows.append(
            f"| {one.trial} | {one.macro_f1:.3f} | {one.time_ratio:.2f}× | {one.infer_ms:.1f} ms "
            f"| {parameters} | {drawn} |"
        )
    states = [one.state for one in outcomes]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return "\n".join(
        [
            *rows,
            "",
            f"{len(front)} networks on the front; of {space.trials} trials {counts or 'none begun'}. Times are "
            f"multiples of {Path(space.recipe).stem}'s own network's; F1 is on the validation photos that chose "
            "among the trials, and so too high for the best of them: measure a winner on the test photos.",
        ]
    )


def _outcome(trial: FrozenTrial, front: bool) -> Outcome:
    known = trial.user_attrs
    time = known.get("time", {})
    complete = trial.state == TrialState.COMPLETE
    return Outcome(
        trial=trial.number,
        state=STATES[trial.state],
        drawn=dict(trial.params),
        front=front,
        macro_f1=trial.values[0] if complete else None,
        time_ratio=time.get("ratio"),
        infer_ms=time.get("infer_ms"),
        reference_ms=time.get("reference_ms"),
        network=time.get("network", ""),
        parameters=time.get("parameters"),
        accuracy=known.get("accuracy"),
        curve=known.get("f1", []),
        wall_s=known.get("wall_s"),
        folder=known.get("folder", ""),
        same_as=known.get("same_as"),
        stopped_by=known.get("stopped_by", []),
        problem=known.get("problem", ""),
    )


def _to_csv(space: Space, outcomes: Sequence[Outcome]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [name for name in Outcome.__dataclass_fields__ if name not in ("drawn", "curve")]
    writer.writerow([*columns, "epochs", *space.draws])
    for one in outcomes:
        cells = [getattr(one, name) for name in columns]
        texts = [" ".join(map(str, cell)) if isinstance(cell, list) else cell for cell in cells]
        writer.writerow([*texts, len(one.curve), *(one.drawn.get(name) for name in space.draws)])
    return buffer.getvalue()


def _say(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
