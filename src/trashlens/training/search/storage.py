"""Where a search is kept: an Optuna study in SQLite here, or in any database that several machines reach."""

import dataclasses
import datetime
import json
import time
import warnings
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, column, event, make_url, select, table
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from trashlens.errors import RecipeError, first_line
from trashlens.training.recipe import Recipe
from trashlens.training.search.config import Space
from trashlens.training.search.drawing import TrialSampler

__all__ = ["open_study", "queue_again", "recover", "standing_trials"]

GRACE = 3
"""A process that has not said for so many heartbeats that it works is taken for dead."""
ATTEMPTS = 5
"""Two processes that create the same tables at the same moment disturb each other."""
HEARTBEATS = table("trial_heartbeats", column("trial_id"))


def open_study(
    space: Space, recipe: Recipe, url: str | None, folder: Path, *, heartbeat_s: int = 60
) -> Study:
    """Return the search's study, a new one or the one that was begun, in this or another process.

    Without a `url`, as SQLAlchemy writes them, it lies in `folder`. `recipe` is what times are compared with.

    Raises:
        RecipeError: the database cannot be reached or read, ends with the process, or holds the study of another
            space.
    """
    optuna.logging.set_verbosity(
        optuna.logging.ERROR
    )  # what it would say, the search says in its own words
    folder.mkdir(parents=True, exist_ok=True)
    storage = _connect(url or f"sqlite:///{folder / 'study.db'}", heartbeat_s)
    study = optuna.create_study(
        storage=storage,
        study_name=space.name,
        sampler=TrialSampler(space.seed),
        directions=["maximize", "minimize"],  # macro F1, and the time of one photo
        load_if_exists=True,
    )
    described = _describe(space, recipe)
    known = study.user_attrs.get("space", described)
    differing = [key for key, value in described.items() if known.get(key) != value]
    if differing:
        raise RecipeError(
            f"The search {space.name} was begun with another {' and '.join(differing)}. Give the changed one "
            "another name, or take back the change."
        )
    study.set_user_attr("space", described)
    return study


def standing_trials(study: Study) -> list[FrozenTrial]:
    """Return the trials without those that were interrupted and go on as others."""
    trials = study.get_trials(deepcopy=False)
    continued = {trial.user_attrs.get("continues") for trial in trials}
    return [
        trial for trial in trials if not (trial.state == TrialState.FAIL and trial.number in continued)
    ]


def queue_again(study: Study, trial: FrozenTrial) -> None:
    """Let the next process that is free go on with a trial that was interrupted."""
    queued = trial.system_attrs.get("fixed_params", {})  # of a trial that ended before it drew
    study.enqueue_trial(
        {**queued, **trial.params}, user_attrs={**trial.user_attrs, "continues": trial.number}
    )


def recover(study: Study) -> None:
    """Queue the trials whose process has been silent for too long, because it was killed or never spoke."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)


class _SharedStorage(RDBStorage):
    """Optuna's storage, whose trials are each taken by one process, and taken up where that one ended at once."""

    def __init__(self, url: str, heartbeat_s: int) -> None:
        # SQLite waits for another process's write instead of raising that it is locked.
        arguments: dict[str, Any] = {"timeout": 60} if url.startswith("sqlite") else {}
        with warnings.catch_warnings():
            # Experimental for years, and the only way to learn that a process was killed.
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__(
                url,
                engine_kwargs={"connect_args": arguments},
                heartbeat_interval=heartbeat_s,
                grace_period=GRACE * heartbeat_s,
                heartbeat_stale_trial_callback=queue_again,
            )
        self.grace = datetime.timedelta(seconds=GRACE * heartbeat_s)
        if self.engine.dialect.name == "sqlite":
            self.engine.dispose()  # of the connections that are made without these
            event.listen(self.engine, "connect", _begin_no_transaction)
            event.listen(self.engine, "begin", _begin_for_writing)

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        """Return also the trials whose process ended before its first heartbeat, which Optuna leaves out."""
        with self.engine.connect() as connection:
            beating = set(connection.scalars(select(HEARTBEATS.c.trial_id)))
        running = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        earliest = datetime.datetime.now() - self.grace  # Optuna's times are local ones too
        silent = [
            trial._trial_id
            for trial in running
            if trial._trial_id not in beating and (trial.datetime_start or earliest) < earliest
        ]
        return super()._get_stale_trial_ids(study_id) + silent


def _begin_no_transaction(connection: Any, _record: object) -> None:
    """Leave it to `_begin_for_writing` to begin transactions, as SQLAlchemy's documentation of SQLite says."""
    connection.isolation_level = None


def _begin_for_writing(connection: Connection) -> None:
    """Keep others from writing between a look and the write that depends on it.

    Optuna takes a queued trial by SELECT FOR UPDATE, of which SQLite knows only the first word.
    """
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _connect(url: str, heartbeat_s: int) -> RDBStorage:
    if _is_in_memory(url):
        raise RecipeError(
            "A search is not kept in memory, where no other process could go on with it: give a file, such as "
            "sqlite:///study.db."
        )
    for attempt in range(ATTEMPTS):
        try:
            return _SharedStorage(url, heartbeat_s)
        except SQLAlchemyError as error:
            if attempt == ATTEMPTS - 1:
                raise _refuse(error) from error
            time.sleep(0.2 * (attempt + 1))
        except (ImportError, ValueError, RuntimeError) as error:
            raise _refuse(error) from error
    raise AssertionError("the last attempt returns or raises")


def _is_in_memory(url: str) -> bool:
    """Return whether SQLite would keep the database in memory; no for what is no URL, which is refused later."""
    try:
        given = make_url(url)
    except (ArgumentError, ValueError):
        return False
    named = given.database or ":memory:"
    return given.get_backend_name() == "sqlite" and (
        ":memory:" in named or given.query.get("mode") == "memory"
    )


def _refuse(error: Exception) -> RecipeError:
    """Return what to say of a database; never its URL, which may hold a password."""
    return RecipeError(
        f"The storage of the search cannot be used ({type(error).__name__}: {first_line(error)}). Give a URL such "
        "as sqlite:///study.db or postgresql://user@host/name, and install its driver."
    )


def _describe(space: Space, recipe: Recipe) -> dict[str, Any]:
    """Return what must stay as it is while a search goes on, as it reads back."""
    base = recipe.to_json()
    del base["output"], base["data"]["folder"]
    described = {
        "recipe": base,
        "draws": {name: dataclasses.asdict(draw) for name, draw in space.draws.items()},
        "stopping": dataclasses.asdict(space.stopping),
        "seed": space.seed,
    }
    result: dict[str, Any] = json.loads(json.dumps(described))
    return result
