"""What training tells W&B: metrics, predictions with their photos, versions used and made."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import wandb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from trashlens.training.tracking.tables import draw, plot_confusion, tabulate_mistakes
from trashlens.training.tracking.versions import Version

__all__ = ["CALL_TIMEOUT_SEC", "Tracker", "bounded"]

CALL_TIMEOUT_SEC = 60

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

    @property
    def gave_up(self) -> bool:
        """Whether W&B failed on the way, so that it lacks what came after."""
        return self.address is not None and self._run is None

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
        self._try(lambda run: bounded(lambda: action(run), CALL_TIMEOUT_SEC))

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


def bounded(action: Callable[[], None], timeout_sec: float) -> None:
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


def _address(run: Any) -> dict[str, Any]:
    """Return what is known of where a run is; entity and url are not, while it is offline."""
    return {
        "id": run.id,
        "project": run.project,
        "entity": None if run.offline else run.entity,
        "url": None if run.offline else run.url,
    }
