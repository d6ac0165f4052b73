"""A space to search: the YAML file that names a recipe and what may be drawn for its settings, as dataclasses."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from trashlens.errors import RecipeError
from trashlens.training.shipped import Shelf

__all__ = ["SEARCHES", "Draw", "Space", "Stopping", "parse_space"]

SEARCHES = Shelf("space", "searches")
"""The spaces that come with the package."""

NAME = re.compile(r"[A-Za-z0-9][\w-]*")
RESERVED = ("output", "role", "seed", "precision", "data")
"""Settings, or sections of them, that all trials of a search must share, or that each gets from it."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What may be drawn for a setting: one of its values, one of some named sets of settings, or a range."""

    choices: list[Any] = field(default_factory=list)
    """Values of the setting; text, numbers, true, false or null."""
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By name, settings by dotted name that belong together, such as a network and its weights."""
    low: int | float | None = None
    """Lower end of a range, included. Where both ends (and the step) are whole, whole numbers are drawn."""
    high: int | float | None = None
    """Upper end, included."""
    step: int | float | None = None
    """Distance of the values of a range; by default 1 or none."""
    log: bool = False
    """Draw evenly on a logarithmic scale."""

    def __post_init__(self) -> None:
        ranged = self.low is not None and self.high is not None
        if [bool(self.choices), bool(self.options), ranged].count(True) != 1:
            raise ValueError("Each part of a space needs either choices, or options, or low and high.")
        for value in self.choices:
            if not isinstance(value, (str, int, float, bool, type(None))):
                raise ValueError(f"The choice {value!r} is no single value: name it in `options`.")
        if not ranged:
            return
        assert self.low is not None
        assert self.high is not None
        if not self.low < self.high:
            raise ValueError("low must be less than high.")
        if self.step is not None and (self.log or not self.step > 0):
            raise ValueError("step must be positive, and goes with no log.")
        if self.log and not self.low > 0:
            raise ValueError("With log, low must be positive.")


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """When a trial is given up, see `trashlens.training.search.stopping`."""

    from_epoch: int | None = 3
    """First epoch, counted from 1, after which a trial may be stopped; null for never."""
    dominators: int = 2
    """How many other trials must be better at the same epoch."""
    margin: float = 0.02
    """Macro F1 by which each of them must be ahead."""

    def __post_init__(self) -> None:
        if self.from_epoch is not None and self.from_epoch < 1:
            raise ValueError("stopping.from_epoch must be at least 1, or null.")
        if self.dominators < 1 or not 0 <= self.margin < 1:
            raise ValueError(
                "stopping.dominators must be at least 1, and stopping.margin lie in [0, 1)."
            )


@dataclass(frozen=True, kw_only=True)
class Space:
    """A recipe, and what may be drawn for some of its settings."""

    name: str
    """Names the search's folder, its study in Optuna, and the group of its runs in W&B."""
    question: str
    """What it is to answer, one sentence."""
    recipe: str
    """The name of a shipped recipe, or a YAML file: what the times are compared with."""
    draws: dict[str, Draw]
    """By dotted name of a setting, or for `options` by any name, what may be drawn."""
    trials: int = 30
    """How many trials the search has, those of all processes together."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What differs from the recipe in every trial, by dotted name."""
    stopping: Stopping = field(default_factory=Stopping)
    """When a trial is given up."""
    seed: int = 0
    """Determines, with a trial's number and the results so far, what it draws."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} names a folder: take letters, digits, - and _ only.")
        if self.trials < 1 or not self.draws:
            raise ValueError("A search needs at least one trial, and something to draw.")
        if self.seed < 0:
            raise ValueError("seed must not be negative.")
        drawn = self.drawn_settings()
        for name in drawn:
            if name.split(".")[0] in RESERVED:
                raise ValueError(f"{name} must not be drawn: the trials could not be compared.")
        if "schedule.epochs" in drawn and self.stopping.from_epoch is not None:
            raise ValueError(
                "Trials of different schedule.epochs cannot be compared on the way: set "
                "stopping.from_epoch to null."
            )
        if "output" in self.settings:
            raise ValueError("output must not be set: each trial has a folder of its own.")

    def drawn_settings(self) -> list[str]:
        """Return the dotted names of the settings that are drawn.

        Raises:
            ValueError: one of them is drawn twice.
        """
        names: list[str] = []
        for name, draw in self.draws.items():
            names += sorted({key for option in draw.options.values() for key in option}) or [name]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is drawn twice.")
        return names


def parse_space(name: str, changes: Sequence[str] = (), *, trials: int | None = None) -> Space:
    """Return the space `name` (a file or a shipped name), with `SETTING=VALUE` of `changes` on top.

    Changes are for local copies of photos and weights, whose paths have no place in a file that others use.

    Raises:
        RecipeError: there is no such space, or something in it is unknown or contradicts another.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--space", action="config")
    parser.add_class_arguments(Space)
    try:
        given = parser.instantiate(parser.parse_args([f"--space={SEARCHES.find(name)}"]))
        space = Space(**{field.name: given[field.name] for field in dataclasses.fields(Space)})
        for change in changes:
            setting, separator, value = change.partition("=")
            if not separator or not setting:
                raise ValueError(f"{change!r} is not SETTING=VALUE.")
            space = dataclasses.replace(space, settings={**space.settings, setting: value})
        return dataclasses.replace(space, trials=space.trials if trials is None else trials)
    except (ArgumentError, TypeError, ValueError) as error:
        sentence = " ".join(str(error).split())
        raise RecipeError(f"The space {name} does not hold: {sentence}") from error
