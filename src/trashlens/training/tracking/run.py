"""A W&B run that never stands in training's way.

Online when there is a key, otherwise offline without asking. A server that does not answer costs at most
`INIT_TIMEOUT_SEC` at the start, `CALL_TIMEOUT_SEC` for each artifact and table (W&B itself gives up after 19 s,
or WANDB_HTTP_TIMEOUT, and goes on) and `FINISH_TIMEOUT_SEC` at the end; whatever W&B raises in between turns
tracking off and is said once. What did not arrive lies on disk, where `trashlens sync` finds it.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import wandb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from trashlens.training.tracking.lineage import add_lineage
from trashlens.training.tracking.records import RecordedRun
from trashlens.training.tracking.tables import draw, plot_confusion, tabulate_mistakes
from trashlens.training.tracking.versions import Version

__all__ = ["PROJECT", "Tracker", "track"]

PROJECT = "trashlens"
INIT_TIMEOUT_SEC = 20
CALL_TIMEOUT_SEC = 60
FINISH_TIMEOUT_SEC = 30
LINEAGE_TIMEOUT_SEC = 60

logger = logging.getLogger(__name__)


class Tracker:
    """A W&B run that swallows W&B's own failures."""

    def __init__(self, run: Any | None) -> None:
        """Record to `run`; None records nothing."""
        self._run = run
        self.address = _address(run) if run is not None else None
        """Where the run is to be found: id, project, and, once it is online, entity and url."""
        self.given: list[dict[str, Any]] = []
        """References to the versions that the run made, each with its `inputs`."""
        self.asked: list[Callable[[Any], None]] = []
        """What the server was asked to keep; of an online run, W&B keeps none of it on disk."""

    @property
    def run_id(self) -> str | None:
        """W&B's id of the run, by which it can be continued."""
        return self.address["id"] if self.address is not None else None

    def log(self, values: Mapping[str, Any], *, step: int) -> None:
        """Record metrics, tables and pictures at an optimiser step."""
        self._try(lambda run: run.log(dict(values), step=step))

    def summarise(self, values: Mapping[str, Any]) -> None:
        """Set the run's summary values."""
        self._try(lambda run: run.summary.update(dict(values)))

    def summarise_score(self, name: str, metrics: Mapping[str, Any]) -> None:
        """Set the summary values of what `evaluate.score` returned for the split `name`."""
        low, high = metrics["accuracy_interval"]
        values = {key: metrics[key] for key in ("accuracy", "macro_f1", "ece", "photos")}
        values |= {"accuracy_low": low, "accuracy_high": high}
        self.summarise({f"{name}/{key}": value for key, value in values.items()})

    def log_predictions(
        self,
        name: str,
        photos: Sequence[bytes | Path],
        labels: NDArray[np.int64],
        probabilities: NDArray[np.float64],
        *,
        classes: Sequence[str],
        step: int,
    ) -> None:
        """Record the worst mistakes with their photos, and the confusion matrix; probabilities [N, classes]."""

        def record(run: Any) -> None:
            title = f"Confusion, {name}"
            run.log(
                {
                    f"{name}/predictions": tabulate_mistakes(
                        photos, labels, probabilities, classes=classes
                    ),
                    f"{name}/confusion": plot_confusion(
                        labels, probabilities, classes=classes, title=title
                    ),
                },
                step=step,
            )

        self._ask(record)

    def log_rows(self, name: str, rows: Sequence[Mapping[str, Any]], *, step: int) -> None:
        """Record a table; all rows have the same keys."""
        data = [list(row.values()) for row in rows]
        self._try(lambda run: run.log({name: wandb.Table(columns=list(rows[0]), data=data)}, step=step))

    def log_drawings(self, drawings: Mapping[str, Figure], *, step: int) -> None:
        """Record drawings by name."""
        self._ask(
            lambda run: run.log({name: draw(figure) for name, figure in drawings.items()}, step=step)
        )

    def use(self, version: Version) -> None:
        """Record that the run uses a version, and the version itself where W&B does not have it yet."""

        def record(run: Any) -> None:
            artifact = version.to_artifact()
            # What `run.use_artifact` does with a new artifact, without its wait for the server: this way
            # an offline run can say it too.
            run._log_artifact(
                artifact, aliases=list(version.aliases), is_user_created=True, use_after_commit=True
            )

        self._ask(record)

    def give(self, version: Version) -> None:
        """Record a version that the run made."""

        def record(run: Any) -> None:
            run.log_artifact(version.to_artifact(), aliases=list(version.aliases))

        self._ask(record)
        self.given.append({**version.reference, "inputs": list(version.inputs)})

    def _ask(self, action: Callable[[Any], None]) -> None:
        """Try something for which W&B may ask its server, while training waits."""
        self.asked.append(action)
        self._try(lambda run: _bounded(lambda: action(run), CALL_TIMEOUT_SEC))

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
                _finish(run, tracker, exit_code)
                if not (run.offline or _recorded(run).tied_marker.exists()):
                    _record_again(run, tracker, folder)


def _bounded(action: Callable[[], None], timeout_sec: float) -> None:
    """Do something that asks a server; raise what it raises, or TimeoutError when it takes too long."""
    raised: list[BaseException] = []

    def act() -> None:
        try:
            action()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(timeout_sec)
    if thread.is_alive():
        raise TimeoutError(f"no answer for {timeout_sec:.0f} s")
    if raised:
        raise raised[0]


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
    for handler in logging.getLogger("wandb").handlers:
        handler.handleError = lambda record: None  # type: ignore[method-assign]  # noqa: ARG005


def _finish(run: Any, tracker: Tracker, exit_code: int) -> None:
    """End the run; online, then tie it to what it used, and note for `trashlens sync` what is done."""
    try:
        run.finish(exit_code=exit_code)
        if not run.offline:
            _bounded(lambda: _tie(_recorded(run), tracker), LINEAGE_TIMEOUT_SEC)
    except Exception as error:
        logger.warning(
            "W&B could not finish the run (%s: %s); `trashlens sync` completes it.",
            type(error).__name__,
            error,
        )


def _tie(recorded: RecordedRun, tracker: Tracker) -> None:
    problems = add_lineage(wandb.Api(), tracker.address or {}, tracker.given)
    for problem in problems:
        logger.warning("%s", problem)
    if not problems:
        recorded.uploaded_marker.touch()
        recorded.tied_marker.touch()


def _recorded(run: Any) -> RecordedRun:
    """Return what W&B recorded; it lies beside the folder of the run's files."""
    return RecordedRun(file=Path(run.dir).parent / f"run-{run.id}.wandb")


def _record_again(run: Any, tracker: Tracker, folder: Path) -> None:
    """Continue a run, of which the server does not have all, offline with what only the server was told."""

    def record() -> None:
        wandb.teardown()  # its process still tries to send the run, and takes no other one of the same id
        offline = _init(folder, run.id, "offline", {"name": run.name, "job_type": run.job_type})
        for action in tracker.asked:
            action(offline)
        offline.finish()

    try:
        _bounded(record, CALL_TIMEOUT_SEC)
    except Exception as error:
        logger.warning("W&B could not keep the run's versions (%s).", type(error).__name__)


def _address(run: Any) -> dict[str, Any]:
    """Return what is known of where a run is; entity and url are not, while it is offline."""
    return {
        "id": run.id,
        "project": run.project,
        "entity": None if run.offline else run.entity,
        "url": None if run.offline else run.url,
    }


def _has_key() -> bool:
    """Say whether W&B would find an API key without asking anyone."""
    try:
        # The key is not checked here: that would wait for the server, and the run finds out anyway.
        return bool(wandb.login(prompt=False, verify=False))
    except Exception:  # a malformed key or an unreadable netrc: record offline
        return False
