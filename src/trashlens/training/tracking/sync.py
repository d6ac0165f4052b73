"""Complete on the server what was recorded without it: upload runs, then tie them to what they used."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import wandb

from trashlens.checkpoint_files import RECORD_FILE
from trashlens.errors import TrackingError, first_line
from trashlens.files import replace_file
from trashlens.training.tracking.lineage import add_lineage
from trashlens.training.tracking.records import RecordedRun, find_runs, measure_whole
from trashlens.training.tracking.remote import connect, explain

__all__ = ["sync_runs"]

UPLOAD_TIMEOUT_SEC = 600
"""For each run."""


def sync_runs(folders: Sequence[Path]) -> tuple[list[RecordedRun], list[str]]:
    """Upload what the server does not have, add lineage and links; return the runs it has now, and what is left.

    What is left are sentences; no run hinders the next one. Doing it again does only what is left.

    Raises:
        TrackingError: a folder is not there, there is no key, or the server does not answer.
    """
    in_use = _files_in_use()  # first: of a run that ends from here on, not everything may have been read
    left = [run for run in find_runs(folders) if not run.tied_marker.exists()]
    problems = [problem for run in left if (problem := _hindrance(run, in_use))]
    waiting = [run for run in left if not _hindrance(run, in_use)]
    if not waiting:
        return [], problems
    api = connect()
    entity = api.default_entity
    if not entity:
        raise TrackingError("W&B's key belongs to nobody. Set WANDB_ENTITY to whose the runs are to be.")
    synced = []
    # One after the other, so that each version is made only once.
    for run in waiting:
        if not run.uploaded_marker.exists() and (problem := _upload(run, entity)):
            problems.append(problem)
            continue
        synced.append(run)
        try:
            problems += _tie(
                api, run, {"id": run.id, "project": run.project, "entity": run.entity or entity}
            )
        except Exception as error:  # W&B's own exceptions are many; each means that this run must wait
            problems.append(f"Run {run.id} could not be tied to what it used: {explain(error)}.")
    return synced, problems


def _hindrance(run: RecordedRun, in_use: Collection[Path]) -> str | None:
    """Return why a run cannot be uploaded now, as a sentence."""
    if run.damage is None and run.file in in_use:
        return f"Run {run.id} is still being recorded: sync it when it has ended."
    return run.damage


def _upload(run: RecordedRun, entity: str) -> str | None:
    """Upload a run with W&B's own command; return what hindered it, as a sentence."""
    # An offline run does not know whose it is to be.
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", "-n", "1", "-e", entity]
    try:
        with TemporaryDirectory() as temporary:
            file = _without_torn_end(run.file, Path(temporary))
            subprocess.run([*command, str(file)], check=False, timeout=UPLOAD_TIMEOUT_SEC)
            if not file.with_name(run.uploaded_marker.name).exists():
                return f"W&B did not take run {run.id} ({run.file})."
        run.uploaded_marker.touch()
    except subprocess.TimeoutExpired:
        return f"W&B did not take run {run.id} within {UPLOAD_TIMEOUT_SEC} s."
    except OSError as error:
        return f"Run {run.id} could not be uploaded: {first_line(error)}."
    return None


def _files_in_use() -> set[Path]:
    """Return what W&B's own processes on this machine have open."""
    files = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended meanwhile, or is somebody else's
            if process.name().startswith("wandb-core"):
                files |= {Path(opened.path) for opened in process.open_files()}
    return files


def _without_torn_end(file: Path, temporary: Path) -> Path:
    """Return the file, or a copy without the half record at which a killed run stopped: W&B refuses such."""
    whole = measure_whole(file)
    if whole == file.stat().st_size:
        return file
    folder = shutil.copytree(file.parent, temporary / file.parent.name, symlinks=True)
    os.truncate(folder / file.name, whole)
    return folder / file.name


def _tie(api: wandb.Api, run: RecordedRun, address: dict[str, Any]) -> list[str]:
    """Add a run's lineage and links; return what is left, as sentences."""
    problems = add_lineage(api, address, run.given)
    url = api.run(f"{address['entity']}/{address['project']}/{address['id']}").url
    _complete_checkpoint(run.file.parents[2] / RECORD_FILE, {**address, "url": url})
    if not problems:
        run.tied_marker.touch()
    return problems


def _complete_checkpoint(path: Path, address: dict[str, Any]) -> None:
    """Write into the checkpoint beside a run where the run is to be found now.

    Bundles made of it earlier keep what they say: their bytes are published.
    """
    if not path.is_file():
        return
    record = json.loads(path.read_text(encoding="utf-8"))
    if (record.get("run") or {}).get("id") == address["id"]:
        record["run"] = address
        replace_file(path, (json.dumps(record, indent=2) + "\n").encode())
