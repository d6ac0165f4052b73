"""From a space and an Optuna trial to the recipe of one training run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from trashlens.errors import RecipeError
from trashlens.training.recipe import Recipe, as_options, parse_recipe
from trashlens.training.search.config import Draw, Space

__all__ = ["TrialSampler", "check_space", "draw_values", "make_recipe"]

RANDOM_TRIALS = 10
"""Trials that are drawn at random before the sampler begins to learn."""


class TrialSampler(BaseSampler):
    """A tree-structured Parzen estimator for several objectives that begins anew with each trial's number.

    Multi-objective TPE (Ozaki et al. 2022, doi:10.1613/jair.1.13188) suits tens of trials, where NSGA-II,
    Optuna's default for several objectives, would still be in its first, random population of 50. One seed in
    several processes would let them draw the same first trials; a seed for each number does not, and the first,
    random trials are the same whoever draws them. What later ones draw depends on the results by then as well.
    """

    def __init__(self, seed: int) -> None:
        """Take the seed of the search."""
        self.seed = seed
        self.inner = self._begin(0)

    def _begin(self, number: int) -> TPESampler:
        seed = (self.seed * 100_003 + number) % 2**32
        return TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS, constant_liar=True)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Begin anew for a trial."""
        self.inner = self._begin(trial.number)
        self.inner.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return what TPE draws together."""
        return self.inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw what belongs together."""
        return self.inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one value."""
        return self.inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Tell TPE how a trial ended."""
        self.inner.after_trial(study, trial, state, values)


def draw_values(space: Space, trial: Trial) -> dict[str, Any]:
    """Return what a trial draws, by the names of the space."""
    values: dict[str, Any] = {}
    for name, draw in space.draws.items():
        kind = _distribution(draw)
        match kind:
            case IntDistribution():
                values[name] = trial.suggest_int(name, kind.low, kind.high, step=kind.step, log=kind.log)
            case FloatDistribution():
                values[name] = trial.suggest_float(
                    name, kind.low, kind.high, step=kind.step, log=kind.log
                )
            case CategoricalDistribution():
                values[name] = trial.suggest_categorical(name, kind.choices)
    return values


def make_recipe(space: Space, values: Mapping[str, Any], output: Path) -> Recipe:
    """Return the space's recipe with drawn values; without any, the one that times are compared with.

    Raises:
        RecipeError: the settings do not fit the recipe or each other.
    """
    settings = {**space.settings, "output": str(output)}
    for name, value in values.items():
        options = space.draws[name].options
        settings |= options[value] if options else {name: value}
    return parse_recipe(space.recipe, as_options(settings))


def check_space(space: Space, output: Path) -> Recipe:
    """Return the recipe that times are compared with, after a look at each end of the space.

    Raises:
        RecipeError: a setting is unknown, or one of its values cannot be.
    """
    recipe = make_recipe(space, {}, output)
    for name, draw in space.draws.items():
        for value in draw.choices or list(draw.options) or [draw.low, draw.high]:
            try:
                make_recipe(space, {name: value}, output)
            except RecipeError as error:
                sentence = " ".join(str(error).split())
                raise RecipeError(f"In the space {space.name}, {name}={value}: {sentence}") from error
    return recipe


def _distribution(draw: Draw) -> BaseDistribution:
    """Return what Optuna calls a draw."""
    if draw.choices or draw.options:
        return CategoricalDistribution(draw.choices or list(draw.options))
    assert draw.low is not None
    assert draw.high is not None
    low, high, step = draw.low, draw.high, draw.step
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, (int, type(None))):
        return IntDistribution(low, high, step=step or 1, log=draw.log)
    return FloatDistribution(low, high, step=step, log=draw.log)
