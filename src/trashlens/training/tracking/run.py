"""A W&B run that never stands in training's way.

Online when there is a key, otherwise offline without asking. A server that does not answer costs at most
`INIT_TIMEOUT_SEC` at the start and `FINISH_TIMEOUT_SEC` at the end; whatever W&B raises in between turns
tracking off and is said once.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import wandb

__all__ = ["Tracker", "track"]

INIT_TIMEOUT_SEC = 20
FINISH_TIMEOUT_SEC = 30

logger = logging.getLogger(__name__)


class Tracker:
    """A W&B run that swallows W&B's own failures."""

    def __init__(self, run: Any | None) -> None:
        """Record to `run`; None records nothing."""
        self._run = run

    @property
    def run_id(self) -> str | None:
        """W&B's id of the run, by which it can be continued."""
        return self._run.id if self._run is not None else None

    def log(self, metrics: Mapping[str, Any], *, step: int) -> None:
        """Record metrics at an optimiser step."""
        self._try(lambda run: run.log(dict(metrics), step=step))

    def summarise(self, values: Mapping[str, Any]) -> None:
        """Set the run's summary values."""
        self._try(lambda run: run.summary.update(dict(values)))

    def log_model(self, name: str, folder: Path, *, metadata: Mapping[str, Any]) -> None:
        """Record a checkpoint folder's files as a model artifact."""

        def log_artifact(run: Any) -> None:
            artifact = wandb.Artifact(name, type="model", metadata=dict(metadata))
            for path in sorted(folder.iterdir()):
                if path.is_file():
                    artifact.add_file(str(path))
            run.log_artifact(artifact)

        self._try(log_artifact)

    def _try(self, action: Callable[[Any], None]) -> None:
        if self._run is None:
            return
        try:
            action(self._run)
        except Exception as error:  # whatever W&B's threads and sockets raise must not stop the training
            logger.warning(
                "W&B stopped recording (%s: %s); training goes on.", type(error).__name__, error
            )
            self._run = None


@contextmanager
def track(
    config: Mapping[str, Any], *, name: str, folder: Path, run_id: str | None = None
) -> Iterator[Tracker]:
    """Record the block as a W&B run whose files lie in `folder`/wandb; `run_id` continues an earlier one."""
    run = _start(config, name=name, folder=folder, run_id=run_id)
    exit_code = 1
    try:
        yield Tracker(run)
        exit_code = 0
    finally:
        if run is not None:
            try:
                run.finish(exit_code=exit_code)
            except Exception as error:
                logger.warning("W&B could not finish the run (%s).", error)


def _start(config: Mapping[str, Any], *, name: str, folder: Path, run_id: str | None) -> Any | None:
    """Return a run: online with a key, else offline; None when W&B cannot even record locally."""
    wanted = os.environ.get("WANDB_MODE")
    first: Any = wanted or ("online" if _has_key() else "offline")
    for mode in [first, "offline"] if first == "online" else [first]:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return wandb.init(
                project=os.environ.get("WANDB_PROJECT", "trashlens"),
                name=name,
                id=run_id,
                resume="allow" if run_id else None,
                config=dict(config),
                dir=str(folder),
                mode=mode,
                settings=wandb.Settings(
                    init_timeout=INIT_TIMEOUT_SEC,
                    finish_timeout=FINISH_TIMEOUT_SEC,
                    finish_timeout_raises=False,
                    silent=True,
                    console="off",
                ),
            )
        except Exception as error:  # no answer, refused key, unwritable folder: try the next mode
            logger.warning("W&B did not start %s (%s).", mode, type(error).__name__)
    return None


def _has_key() -> bool:
    """Say whether W&B would find an API key without asking anyone."""
    try:
        # The key is not checked here: that would wait for the server, and the run finds out anyway.
        return bool(wandb.login(prompt=False, verify=False))
    except Exception:  # a malformed key or an unreadable netrc: record offline
        return False
