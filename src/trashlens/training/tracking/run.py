"""A W&B run that never stands in training's way.

Online when there is a key, otherwise offline without asking. A server that does not answer costs at most
`INIT_TIMEOUT_SEC` at the start, `CALL_TIMEOUT_SEC` for each artifact and table (W&B itself gives up after 19 s,
or WANDB_HTTP_TIMEOUT, and goes on) and `FINISH_TIMEOUT_SEC` at the end; whatever W&B raises in between turns
tracking off and is said once. What did not arrive lies on disk, where `trashlens sync` finds it.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import wandb

from trashlens.training.tracking.lineage import add_lineage
from trashlens.training.tracking.records import RecordedRun
from trashlens.training.tracking.tracker import CALL_TIMEOUT_SEC, Tracker, bounded

__all__ = ["PROJECT", "track"]

PROJECT = "trashlens"
INIT_TIMEOUT_SEC = 20
FINISH_TIMEOUT_SEC = 30
LINEAGE_TIMEOUT_SEC = 60
GRACE_SEC = 5

logger = logging.getLogger(__name__)


@contextmanager
def track(
    config: Mapping[str, Any],
    *,
    name: str,
    folder: Path,
    job_type: str = "train",
    group: str | None = None,
    run_id: str | None = None,
) -> Iterator[Tracker]:
    """Record the block as a W&B run whose files lie in `folder`/wandb; `run_id` continues an earlier one."""
    options = {"name": name, "job_type": job_type, "group": group, "config": dict(config)}
    with _staged_in(folder / "wandb"):
        run = _start(folder, run_id, options)
        tracker, exit_code = Tracker(run), 1
        try:
            yield tracker
            exit_code = 0
        finally:
            if run is not None:
                arrived = _finish(run, tracker, exit_code)
                if not (arrived or run.offline):
                    _record_again(run, tracker, folder)


@contextmanager
def _staged_in(folder: Path) -> Iterator[None]:
    """Let W&B keep its copies of artifacts and pictures beside the run, not in the home folder."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = before or str(folder.absolute())
    try:
        yield
    finally:
        if before is None:
            del os.environ["WANDB_DATA_DIR"]


def _start(folder: Path, run_id: str | None, options: Mapping[str, Any]) -> Any | None:
    """Return a run: online with a key, else offline; None when W&B is off or cannot even record locally."""
    wanted = os.environ.get("WANDB_MODE")
    if wanted == "disabled":  # what W&B gives then is no run to finish, tie or find on disk
        return None
    first: Any = wanted or ("online" if _has_key() else "offline")
    for mode in [first, "offline"] if first == "online" else [first]:
        try:
            return _init(folder, run_id, mode, options)
        except Exception as error:  # no answer, refused key, unwritable folder: try the next mode
            logger.warning("W&B did not start %s (%s).", mode, type(error).__name__)
    return None


def _init(folder: Path, run_id: str | None, mode: Any, options: Mapping[str, Any]) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        id=run_id,
        resume="allow" if run_id else None,
        dir=str(folder),
        mode=mode,
        settings=wandb.Settings(
            init_timeout=INIT_TIMEOUT_SEC,
            finish_timeout=FINISH_TIMEOUT_SEC,
            finish_timeout_raises=True,
            silent=True,
            console="off",
        ),
        **options,
    )
    for section in ("train", "val", "test"):
        run.define_metric(f"{section}/*", step_metric="epoch")
    _silence_own_log()
    return run


def _silence_own_log() -> None:
    """Let W&B's debug log fail in silence: on a full disk, each of its lines would print a traceback."""
    logging.getLogger("opentelemetry").setLevel(
        logging.CRITICAL
    )  # W&B's telemetry, which is ended twice
    for handler in logging.getLogger("wandb").handlers:
        handler.handleError = lambda record: None  # type: ignore[method-assign]  # noqa: ARG005


def _finish(run: Any, tracker: Tracker, exit_code: int) -> bool:
    """End the run; say whether the server has all of it. What it lacks, `trashlens sync` completes."""
    try:
        # W&B's own limit does not hold in every case.
        bounded(lambda: run.finish(exit_code=exit_code), FINISH_TIMEOUT_SEC + GRACE_SEC)
    except Exception as error:
        logger.warning(
            "W&B could not finish the run (%s: %s); `trashlens sync` completes it.",
            type(error).__name__,
            error,
        )
        _end_service()
        return False
    if run.offline or tracker.gave_up:
        return False
    try:
        bounded(lambda: _tie(_recorded(run), tracker), LINEAGE_TIMEOUT_SEC)
    except Exception as error:
        logger.warning(
            "W&B has the run, but not what it used (%s); `trashlens sync` adds it.", type(error).__name__
        )
        _end_service()
    return True


def _end_service() -> None:
    """Kill W&B's own process, which still tries: this one would wait for it, at its exit too."""
    for child in psutil.Process().children():
        if child.name().startswith("wandb-core"):
            child.kill()
    with suppress(Exception, SystemExit):  # with which W&B answers that its process was killed
        bounded(wandb.teardown, GRACE_SEC)
    os.environ.pop("WANDB_SERVICE", None)  # leads there


def _tie(recorded: RecordedRun, tracker: Tracker) -> None:
    """Tie the run to what it used, and note for `trashlens sync` what is done."""
    recorded.uploaded_marker.touch()
    problems = add_lineage(wandb.Api(), tracker.address or {}, tracker.given)
    for problem in problems:
        logger.warning("%s", problem)
    if not problems:
        recorded.tied_marker.touch()


def _recorded(run: Any) -> RecordedRun:
    """Return what W&B recorded; it lies beside the folder of the run's files."""
    return RecordedRun(file=Path(run.dir).parent / f"run-{run.id}.wandb")


def _record_again(run: Any, tracker: Tracker, folder: Path) -> None:
    """Continue a run, of which the server does not have all, offline with what only the server was told."""

    def record() -> None:
        offline = _init(folder, run.id, "offline", {"name": run.name, "job_type": run.job_type})
        for action in tracker.asked:
            action(offline)
        offline.finish()

    try:
        bounded(record, CALL_TIMEOUT_SEC)
    except Exception as error:
        logger.warning("W&B could not keep the run's versions (%s).", type(error).__name__)


def _has_key() -> bool:
    """Say whether W&B would find an API key without asking anyone."""
    try:
        # The key is not checked here: that would wait for the server, and the run finds out anyway.
        return bool(wandb.login(prompt=False, verify=False))
    except Exception:  # a malformed key or an unreadable netrc: record offline
        return False
