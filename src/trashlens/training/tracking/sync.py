"""Complete on the server what was recorded without it: upload runs, then tie them to what they used."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trashlens.errors import TrackingError
from trashlens.files import replace_file
from trashlens.training.tracking.lineage import add_lineage
from trashlens.training.tracking.records import RecordedRun, find_runs
from trashlens.training.tracking.remote import connect, explain

__all__ = ["sync_runs"]

CHECKPOINT_FILE = "checkpoint.json"


def sync_runs(folders: Sequence[Path]) -> tuple[list[RecordedRun], list[str]]:
    """Upload what the server does not have, add lineage and links; return the runs and what is still missing.

    Doing it again does only what is left.

    Raises:
        TrackingError: there is no key, the server does not answer, or an upload failed.
    """
    runs = find_runs(folders)
    waiting = [run for run in runs if not run.tied_marker.exists()]
    if not waiting:
        return [], []
    api = connect()
    entity = api.default_entity
    if not entity:
        raise TrackingError("W&B's key belongs to nobody. Set WANDB_ENTITY to whose the runs are to be.")
    _upload([run for run in waiting if not run.uploaded_marker.exists()], entity)
    problems = []
    for run in waiting:
        address = {"id": run.id, "project": run.project, "entity": run.entity or entity}
        try:
            found = add_lineage(api, address, run.given)
        except Exception as error:  # W&B's own exceptions are many; each means that this run must wait
            found = [f"Run {run.id} could not be tied to what it used: {explain(error)}."]
        if not found:
            run.tied_marker.touch()
            _complete_checkpoint(run.file, address, base_url=api.settings["base_url"])
        problems += found
    return waiting, problems


def _upload(runs: Sequence[RecordedRun], entity: str) -> None:
    """Upload runs with W&B's own command, one after the other so that each version is made only once."""
    if not runs:
        return
    # An offline run does not know whose it is to be.
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", "-n", "1", "-e", entity]
    subprocess.run([*command, *(str(run.file) for run in runs)], check=False)
    failed = [run.id for run in runs if not run.uploaded_marker.exists()]
    if failed:
        raise TrackingError(f"W&B did not take {len(failed)} of {len(runs)} runs ({', '.join(failed)}).")


def _complete_checkpoint(file: Path, address: dict[str, Any], *, base_url: str) -> None:
    """Write into the checkpoint beside a run where the run is to be found now.

    Bundles made of it earlier keep what they say: their bytes are published.
    """
    path = file.parents[2] / CHECKPOINT_FILE
    if not path.is_file():
        return
    record = json.loads(path.read_text(encoding="utf-8"))
    if (record.get("run") or {}).get("id") == address["id"]:
        url = f"{base_url}/{address['entity']}/{address['project']}/runs/{address['id']}"
        record["run"] = {**address, "url": url}
        replace_file(path, (json.dumps(record, indent=2) + "\n").encode())
