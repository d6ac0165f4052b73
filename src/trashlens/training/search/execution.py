"""Train the trials of a search, one after the other, beside other processes that do the same."""

import dataclasses
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from optuna.exceptions import TrialPruned
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from trashlens.errors import DivergenceError, RecipeError, TrainingError, first_line
from trashlens.training.checkpoint import read_record
from trashlens.training.fit import ensure_data, fit
from trashlens.training.recipe import Recipe
from trashlens.training.search.config import Space
from trashlens.training.search.drawing import draw_values, make_recipe
from trashlens.training.search.stopping import Curve, find_dominators
from trashlens.training.search.storage import queue_again, recover, standing_trials
from trashlens.training.search.timing import NetworkTime, Stopwatch, name_operations
from trashlens.training.study.standing import format_duration

__all__ = ["Searcher", "conduct_search"]

FAILURES = 3
"""Trials in a row whose loss does not stay finite, after which the fault is taken to be elsewhere."""
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

logger = logging.getLogger(__name__)


def conduct_search(study: Study, searcher: "Searcher") -> bool:
    """Run trials until all of the search's have ended or run elsewhere; say whether all have ended.

    Failed for good is a trial whose loss is not finite, or whose settings cannot work together. Ctrl-C, or any
    other error, ends this process and leaves the trial for this or another one to go on with, from its last whole
    epoch where that reaches its folder. A trial whose process was killed goes on likewise, once its heartbeat is
    overdue.

    Raises:
        RecipeError: a trial's settings cannot work together, or its weights cannot be had.
        DataError: the photos cannot be prepared.
        TrainingError: training had to stop, or diverged in several trials in a row.
    """
    failures = 0
    while (left := _count_left(study, searcher.space)) > 0 and failures < FAILURES:
        _announce(study, searcher.space, left)
        try:
            study.optimize(searcher.run, n_trials=1, catch=(DivergenceError,))
        except BaseException:
            _leave(study, searcher.current)
            raise
        failed = searcher.current is not None and (
            _frozen(study, searcher.current).state == TrialState.FAIL
        )
        failures = failures + 1 if failed else 0
    if failures:
        problem = _frozen(study, searcher.current or 0).user_attrs.get("problem")
        if failures == FAILURES:
            raise TrainingError(f"{failures} trials in a row stopped, the last one so: {problem}")
    running = sum(trial.state == TrialState.RUNNING for trial in standing_trials(study))
    if running:
        logger.info(
            "%d trials still run elsewhere, or were killed a moment ago: start the search again to go on.",
            running,
        )
    return not running


@dataclasses.dataclass(kw_only=True)
class Searcher:
    """What runs a trial."""

    space: Space
    reference: Recipe
    """What times are compared with."""
    folder: Path
    """Of the search; each trial has one below it."""
    stopwatch: Stopwatch = dataclasses.field(init=False)
    current: int | None = None
    """The number of the trial that runs, or ran last; None before the first."""

    def __post_init__(self) -> None:
        self.stopwatch = Stopwatch(self.reference)

    def run(self, trial: Trial) -> tuple[float, float]:
        """Train a trial; return its macro F1 on the validation photos, and its network's time.

        The F1 is of the checkpoint that training keeps, the epoch of highest validation accuracy. A trial that
        draws what another one has drawn, which came to its end or was stopped, ends as that one did: the seed is
        the same, so that training it again would say next to nothing. Two that run at once are both trained.

        Raises:
            TrialPruned: others were better at the same epoch.
            DivergenceError: the loss is not finite.
            TrashlensError: anything else that keeps it from being trained.
        """
        self.current, start = trial.number, time.perf_counter()
        name = trial.user_attrs.get("folder", f"trial-{trial.number:03d}")
        trial.set_user_attr("folder", name)
        values = draw_values(self.space, trial)
        try:
            recipe = make_recipe(self.space, values, self.folder / name)
        except RecipeError as error:
            trial.set_user_attr("problem", str(error))
            raise
        same = _find_same(trial.study, trial)
        if same is not None:
            return _repeat(trial, same)
        network = self._find_time(trial, recipe)
        try:
            fit(
                recipe,
                group=self.space.name,
                watch=_Watch(trial, recipe, self.space, network.ratio),
                splits=("val",),
            )
        except DivergenceError as error:
            trial.set_user_attr("problem", str(error))
            raise
        finally:
            before_s = trial.user_attrs.get("wall_s", 0.0)
            trial.set_user_attr("wall_s", before_s + time.perf_counter() - start)
        if trial.user_attrs.get("stopped_by"):
            raise TrialPruned
        record = read_record(recipe.output)
        assert record is not None  # fit returned
        trial.set_user_attr("accuracy", record["val"]["val/accuracy"])
        trial.set_user_attr("epoch", record["epoch"])
        return float(record["val"]["val/macro_f1"]), network.ratio

    def _find_time(self, trial: Trial, recipe: Recipe) -> NetworkTime:
        """Return the time of a trial's network: the one that the search knows of an equal network, if any.

        Two processes that begin with equal networks at once measure both, and may get slightly different times.
        """
        wanted = name_operations(recipe)
        for other in trial.study.get_trials(deepcopy=False):
            known = other.user_attrs.get("time")
            if known and known["network"] == wanted:
                trial.set_user_attr("time", known)
                return NetworkTime(**known)
        ensure_data(recipe, write=True)  # a network has an output for each of its classes
        measured = self.stopwatch.measure(recipe)
        trial.set_user_attr("time", dataclasses.asdict(measured))
        return measured


class _Watch:
    """Keeps a trial's curve in the study, and says when it is to be stopped."""

    def __init__(self, trial: Trial, recipe: Recipe, space: Space, ratio: float) -> None:
        self.trial, self.space, self.ratio = trial, space, ratio
        self.epochs = recipe.schedule.epochs
        self.f1: list[float] = []

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        self.f1.append(metrics["val/macro_f1"])
        assert len(self.f1) == epoch, "each epoch is seen once, in order"
        self.trial.set_user_attr("f1", self.f1)
        if epoch == self.epochs:
            return False
        others = [
            Curve(number=other.number, time=other.user_attrs["time"]["ratio"], f1=other.user_attrs["f1"])
            for other in standing_trials(self.trial.study)
            if other.number != self.trial.number
            and {"time", "f1"} <= set(other.user_attrs)
            and "same_as" not in other.user_attrs  # which would count one network twice
        ]
        own = Curve(number=self.trial.number, time=self.ratio, f1=self.f1)
        dominators = find_dominators(own, others, self.space.stopping)
        if dominators:
            self.trial.set_user_attr("stopped_by", dominators)
        return bool(dominators)


def _count_left(study: Study, space: Space) -> int:
    """Return how many trials nobody has begun yet, those of overdue processes among them."""
    recover(study)
    trials = standing_trials(study)
    busy = sum(trial.state in (*ENDED, TrialState.RUNNING) for trial in trials)
    return space.trials - busy


def _announce(study: Study, space: Space, left: int) -> None:
    times = [t.user_attrs["wall_s"] for t in standing_trials(study) if "wall_s" in t.user_attrs]
    eta = f", about {format_duration(left * float(np.mean(times)))} in one process" if times else ""
    logger.info("%d of %d trials are left%s.", left, space.trials, eta)


def _leave(study: Study, number: int | None) -> None:
    """Queue the trial that a process leaves, unless it came to its end, failed for good or is queued already.

    Where the storage is gone too, that is logged only: what the process is left for is to be raised.
    """
    try:
        for trial in standing_trials(study):
            if (
                trial.number == number
                and trial.state == TrialState.FAIL
                and "problem" not in trial.user_attrs
            ):
                queue_again(study, trial)
    except Exception as error:
        logger.warning(
            "Trial %s is not queued again (%s: %s).", number, type(error).__name__, first_line(error)
        )


def _find_same(study: Study, trial: Trial) -> FrozenTrial | None:
    """Return a complete trial, or else a stopped one, that drew the same."""
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    same = [other for other in ended if other.params == trial.params]
    return min(same, key=lambda other: other.state == TrialState.PRUNED, default=None)


def _repeat(trial: Trial, same: FrozenTrial) -> tuple[float, float]:
    """Let a trial end as another one that drew the same."""
    known = {key: value for key, value in same.user_attrs.items() if key != "continues"}
    for key, value in {**known, "same_as": same.number}.items():
        trial.set_user_attr(key, value)
    if same.state == TrialState.PRUNED:
        raise TrialPruned
    return (same.values[0], same.values[1])


def _frozen(study: Study, number: int) -> Any:
    return study.get_trials(deepcopy=False)[number]
