"""How far the runs of a study are, and how long the rest will take."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from trashlens.errors import RecipeError
from trashlens.training.checkpoint import read_record as read_checkpoint_record
from trashlens.training.fit.state import find_state
from trashlens.training.study.plan import Run, describe_recipe
from trashlens.training.study.records import RunRecord, read_record, recipe_differences

__all__ = ["Standing", "estimate_left_s", "find_standings", "format_duration", "format_standings"]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far a planned run is."""

    run: Run
    """Which run."""
    state: Literal["done", "trained", "begun", "to do"]
    """`done` has its record; `trained` only lacks that."""
    epochs: int = 0
    """Whole epochs done."""
    record: RunRecord | None = None
    """Its record, where it is done."""


def find_standings(runs: Sequence[Run], records: Path) -> list[Standing]:
    """Return how far each run is; `records` is the folder of the study's records.

    Raises:
        RecipeError: a record was made by another recipe than the study has now.
        DataError: a record is damaged.
    """
    return [_find_standing(run, records / f"{run.name}.json") for run in runs]


def estimate_left_s(standings: Sequence[Standing]) -> float | None:
    """Return the seconds that the runs without a record will take; None where none was timed so far.

    A variant takes what its timed runs took at the mean, or else what all timed runs took.
    """
    times: dict[str, list[float]] = {}
    for standing in standings:
        if standing.record is not None and standing.record.wall_s is not None:
            times.setdefault(standing.run.variant, []).append(standing.record.wall_s)
    every = [wall_s for known in times.values() for wall_s in known]
    left_s = 0.0
    for standing in standings:
        if standing.state in ("to do", "begun"):
            if not every:
                return None
            share = 1 - standing.epochs / standing.run.recipe.schedule.epochs
            left_s += share * float(np.mean(times.get(standing.run.variant, every)))
    return left_s


def format_duration(seconds: float) -> str:
    """Return a duration as people say it: `2 h 5 min`, `7 min`, `40 s`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def format_standings(standings: Sequence[Standing]) -> str:
    """Return a line for each run, and one for the whole."""
    lines = []
    width = max((len(standing.run.name) for standing in standings), default=0) + 2
    for standing in standings:
        run, said = standing.run, str(standing.state)
        if standing.record is not None:
            said += f", {standing.record.test['accuracy']:.3f} of the test photos"
            if standing.record.wall_s is not None:
                said += f", {format_duration(standing.record.wall_s)}"
        elif standing.epochs:
            said += f", epoch {standing.epochs} of {run.recipe.schedule.epochs}"
        lines.append(f"{run.name:<{width}}{said}")
    done = sum(standing.state == "done" for standing in standings)
    left_s = estimate_left_s(standings)
    if done == len(standings):
        left = "nothing is left"
    else:
        left = "none was timed yet" if left_s is None else f"about {format_duration(left_s)} left"
    return "\n".join([*lines, f"{done} of {len(standings)} runs are done; {left}."])


def _find_standing(run: Run, path: Path) -> Standing:
    if path.is_file():
        record = read_record(path)
        differing = recipe_differences(record.recipe, describe_recipe(run.recipe))
        if differing:
            raise RecipeError(
                f"{path} was made by another recipe: {'; '.join(differing)} now. Remove it to train "
                f"{run.name} anew, or take back the change."
            )
        return Standing(run=run, state="done", epochs=run.recipe.schedule.epochs, record=record)
    checkpoint = read_checkpoint_record(run.recipe.output)
    if checkpoint is not None and checkpoint.get("complete"):
        return Standing(run=run, state="trained", epochs=run.recipe.schedule.epochs)
    state = find_state(run.recipe.output)
    if state is not None:
        return Standing(run=run, state="begun", epochs=int(state.name))
    return Standing(run=run, state="to do")
