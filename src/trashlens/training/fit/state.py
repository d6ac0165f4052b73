"""How far a run has come, and the state from which a killed one continues."""

import dataclasses
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from trashlens.errors import RecipeError
from trashlens.training.checkpoint import read_record, replace_file
from trashlens.training.recipe import Recipe

__all__ = ["Progress", "find_state", "read_progress", "remove_states", "save_state"]

STATE_FOLDER = "state"
PROGRESS_FILE = "progress.json"


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
    run_id: str | None = None
    """W&B's id of the run."""


def read_progress(recipe: Recipe) -> Progress | None:
    """Return where to start, or None when the run is complete."""
    done = read_record(recipe.output)
    state = find_state(recipe.output)
    wanted = json.loads(json.dumps(recipe.to_json()))  # as it reads back: tuples become lists
    if state is not None:
        progress = Progress(**json.loads((state / PROGRESS_FILE).read_text(encoding="utf-8")))
    else:
        # A run killed in its first epoch has no state, a complete one none any more.
        progress = Progress(recipe=done["recipe"] if done else wanted)
    if progress.recipe != wanted:
        raise RecipeError(
            f"{recipe.output} holds a run of another recipe. Choose another --output, or delete the folder."
        )
    return None if done and done.get("complete") else progress


def save_state(output: Path, accelerator: Accelerator, progress: Progress) -> None:
    """Keep the state after an epoch; it counts from the moment its progress file is there."""
    folder = output / STATE_FOLDER / f"{progress.epoch:04d}"
    accelerator.save_state(str(folder))
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
