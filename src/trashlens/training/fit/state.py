"""How far a run has come, and the state from which a killed one continues."""

import dataclasses
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from trashlens.errors import RecipeError, TrainingError, first_line
from trashlens.files import hash_file, replace_file
from trashlens.training.checkpoint import read_record
from trashlens.training.fit.teachers import teacher_file
from trashlens.training.recipe import Recipe

__all__ = [
    "Progress",
    "find_state",
    "hash_inputs",
    "hash_weights",
    "read_progress",
    "remove_states",
    "save_state",
]

STATE_FOLDER = "state"
PROGRESS_FILE = "progress.json"
NEEDED = {
    "weights": "Weights are a safetensors file.",
    "teacher": "A teacher is the folder that `trashlens train teacher` writes, or a bundle such as "
    "models/teacher.",
}
"""What a local input is, to those who gave another."""


@dataclass(kw_only=True)
class Progress:
    """How far a run has come; kept in the state folder."""

    recipe: dict[str, Any]
    """The recipe the state belongs to."""
    epoch: int = 0
    """Whole epochs done."""
    best_accuracy: float = -1.0
    """Highest validation accuracy so far."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """One record of metrics an epoch."""
    inputs: dict[str, str] = field(default_factory=dict)
    """SHA-256 of what the recipe names by path, see `hash_inputs`."""
    processes: int = 1
    """How many train together; the schedule's length depends on it."""
    run_id: str | None = None
    """W&B's id of the run."""


def hash_inputs(recipe: Recipe) -> dict[str, str]:
    """Return the SHA-256 of the local files a run starts from: `weights`, and the `teacher`'s network.

    Raises:
        RecipeError: one of them cannot be read.
    """
    digests = {"weights": hash_weights(recipe)}
    if recipe.objective.distill is not None:
        digests["teacher"] = _hash_input("teacher", teacher_file(recipe.objective.distill.teacher))
    return {name: digest for name, digest in digests.items() if digest is not None}


def hash_weights(recipe: Recipe) -> str | None:
    """Return the SHA-256 of the local file of weights a run starts from; None for those of the Hub, or none.

    Raises:
        RecipeError: it cannot be read.
    """
    weights = recipe.network.weights
    return None if weights in ("hub", "none") else _hash_input("weights", Path(weights))


def _hash_input(name: str, path: Path) -> str:
    try:
        return hash_file(path)
    except OSError as error:
        raise RecipeError(f"{path} cannot be read ({error.strerror}). {NEEDED[name]}") from error


def read_progress(recipe: Recipe, *, processes: int) -> Progress | None:
    """Return where to start, or None when the run is complete.

    Raises:
        RecipeError: the output folder holds a run of another recipe, or of another number of processes; or
            several processes are to remember a teacher's answers.
    """
    distill = recipe.objective.distill
    if processes > 1 and distill is not None and distill.remember is not None:
        raise RecipeError(
            "objective.distill.remember works in a single process only: leave it out, or use one process."
        )
    done = read_record(recipe.output)
    state = find_state(recipe.output)
    wanted = json.loads(json.dumps(recipe.to_json()))  # as it reads back: tuples become lists
    inputs = hash_inputs(recipe)
    if state is not None:
        progress = Progress(**json.loads((state / PROGRESS_FILE).read_text(encoding="utf-8")))
    else:
        # A run killed in its first epoch has no state, a complete one none any more.
        found = done or {"recipe": wanted, "inputs": inputs}
        progress = Progress(recipe=found["recipe"], inputs=found["inputs"], processes=processes)
    if (progress.recipe, progress.inputs) != (wanted, inputs):
        raise RecipeError(
            f"{recipe.output} holds a run of another recipe, weights or teacher. Choose another --output, or "
            "delete the folder."
        )
    if progress.processes != processes:
        raise RecipeError(
            f"{recipe.output} was begun with {progress.processes} processes: continue with as many."
        )
    return None if done and done.get("complete") else progress


def save_state(output: Path, accelerator: Accelerator, progress: Progress) -> None:
    """Keep the state after an epoch; it counts from the moment its progress file is there.

    Raises:
        TrainingError: it cannot be written; the one before stays.
    """
    folder = output / STATE_FOLDER / f"{progress.epoch:04d}"
    try:
        accelerator.save_state(str(folder))
    except (
        OSError,
        RuntimeError,
    ) as error:  # on a full disk, torch only says that a position is unexpected
        raise TrainingError(
            f"The state after epoch {progress.epoch} could not be written to {output} ({first_line(error)}). "
            "Make room, then start the run again: it continues, and its checkpoint so far is whole."
        ) from error
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        replace_file(folder / PROGRESS_FILE, json.dumps(dataclasses.asdict(progress)).encode())
        for other in folder.parent.iterdir():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
    accelerator.wait_for_everyone()


def find_state(output: Path) -> Path | None:
    """Return the folder of the newest complete state, if any."""
    return max(
        (path.parent for path in (output / STATE_FOLDER).glob(f"*/{PROGRESS_FILE}")), default=None
    )


def remove_states(output: Path) -> None:
    """Delete what a complete run no longer needs; nothing of it is a checkpoint."""
    shutil.rmtree(output / STATE_FOLDER, ignore_errors=True)
