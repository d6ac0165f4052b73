"""A study: the YAML file that names its variants and its seeds or folds, as typed dataclasses."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from trashlens.errors import RecipeError
from trashlens.training.data import FOLDS
from trashlens.training.shipped import Shelf
from trashlens.training.study.grid import Grid

__all__ = ["STUDIES", "Beside", "Study", "Variant", "parse_study"]

STUDIES = Shelf("study", "studies")
"""The studies that come with the package."""

NAME = re.compile(r"[A-Za-z0-9][\w-]*")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One of the things compared: a recipe, and what is changed in it."""

    recipe: str
    """The name of a shipped recipe, or a YAML file."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What differs from the recipe, by dotted name, for instance `objective.distill.method: dist`."""
    teacher: str | None = None
    """Who teaches it: another variant of the study (its run of the same seed or fold, or its only one), or a
    checkpoint folder. Without one it is the recipe's own."""
    only: list[int] = field(default_factory=list)
    """The seeds or folds it is trained with, where those are not all of the study's."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """The study on the official split that a study of folds is reported beside."""

    study: str
    """Its name."""
    variants: dict[str, str]
    """By the variant's name in the study of folds, its name there."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """Variants, each trained with the same seeds, or on the same folds, and compared with one of them."""

    name: str
    """Names the folders of its runs and records, and the group of its runs in W&B."""
    question: str
    """What it is to answer, one sentence."""
    baseline: str = ""
    """The variant that all others are compared with; of a grid the first one."""
    variants: dict[str, Variant] = field(default_factory=dict)
    """By name, in the order in which they are trained for each seed or fold; of a grid its cells."""
    grid: Grid | None = None
    """Instead of baseline and variants: what is combined, with seeds."""
    seeds: list[int] = field(default_factory=list)
    """Seeds of the runs, on the official split or the one that the settings name."""
    folds: list[int] = field(default_factory=list)
    """Folds of the grouped split, 0 to 4, instead of seeds."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What differs from every variant's recipe, by dotted name."""
    beside: Beside | None = None
    """Where to take the same networks on the official split from, to say what its look-alikes are worth."""

    def __post_init__(self) -> None:
        if self.grid and self.folds:
            raise ValueError("A grid is trained with seeds: leave out `folds`.")
        for name in (self.name, *self.variants):
            if not NAME.fullmatch(name):
                raise ValueError(f"{name!r} names folders: take letters, digits, - and _ only.")
        if self.baseline not in self.variants:
            raise ValueError(f"The baseline {self.baseline} is none of the variants.")
        if bool(self.seeds) == bool(self.folds):
            raise ValueError("A study needs either seeds or folds.")
        if len(set(self.numbers)) < len(self.numbers) or min(self.numbers) < 0:
            raise ValueError("Seeds and folds must differ and must not be negative.")
        if self.folds and max(self.folds) >= FOLDS:
            raise ValueError(f"Folds must lie in 0 to {FOLDS - 1}.")
        if self.beside and not self.folds:
            raise ValueError(
                "Only a study of folds has something to put beside another: leave out `beside`."
            )
        for name in self.beside.variants if self.beside else ():
            if name not in self.variants:
                raise ValueError(f"beside.variants names {name}, which is none of the study's variants.")
        for name, variant in self.variants.items():
            if not set(variant.only) <= set(self.numbers):
                raise ValueError(f"{name}.only names seeds or folds that the study has not.")
            taught = {"objective.distill.teacher"} if variant.teacher else set()
            given = (self._reserved() | taught) & {*self.settings, *variant.settings}
            if given:
                raise ValueError(f"{name} must not set {min(given)}: the study does that for each run.")

    @property
    def numbers(self) -> list[int]:
        """The seeds or the folds, whichever the study has."""
        return self.seeds or self.folds

    @property
    def unit(self) -> str:
        """What is repeated: `seed` or `fold`."""
        return "seed" if self.seeds else "fold"

    @property
    def planned(self) -> int:
        """How many runs the study has."""
        return sum(len(self.numbers_of(variant)) for variant in self.variants)

    def numbers_of(self, variant: str) -> list[int]:
        """Return the seeds or folds of a variant."""
        return self.variants[variant].only or self.numbers

    def _reserved(self) -> set[str]:
        """Return the settings of a recipe that each run gets from the study."""
        by_unit = {"seed": {"seed"}, "fold": {"data.split", "data.fold"}}
        return {"output", *by_unit[self.unit]}


def parse_study(name: str, changes: Sequence[str] = ()) -> Study:
    """Return the study `name` (a file or a shipped name), with the settings of `changes` on top.

    A change is `SETTING=VALUE` for all variants or `VARIANT:SETTING=VALUE` for one, as for local copies of
    photos and weights, whose paths have no place in a study that others rerun. Of a grid the name of a data set
    or a network stands for all of its cells.

    Raises:
        RecipeError: there is no such study, or something in it is unknown or contradicts another.
    """
    path = STUDIES.find(name)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--study", action="config")
    parser.add_class_arguments(Study)
    try:
        given = parser.instantiate(parser.parse_args([f"--study={path}"]))
        study = _construct({field.name: given[field.name] for field in dataclasses.fields(Study)})
        for change in changes:
            study = _apply(study, change)
    except (ArgumentError, TypeError, ValueError) as error:
        sentence = " ".join(str(error).split())
        raise RecipeError(f"The study {name} does not hold: {sentence}") from error
    return study


def _construct(values: Mapping[str, Any]) -> Study:
    """Return the study of its fields' values, a grid's cells as its variants."""
    grid = values["grid"]
    if grid is None:
        return Study(**values)
    if values["baseline"] or values["variants"]:
        raise ValueError("A study has either a grid or a baseline and variants.")
    variants = {name: Variant(**made) for name, made in grid.variants().items()}
    return Study(**{**values, "variants": variants, "baseline": next(iter(variants))})


def _apply(study: Study, change: str) -> Study:
    """Return the study with `SETTING=VALUE` or `VARIANT:SETTING=VALUE` added to its settings."""
    setting, given, value = change.partition("=")
    variant, colon, name = setting.rpartition(":")
    if not given or not name:
        raise ValueError(f"{change!r} is not SETTING=VALUE or VARIANT:SETTING=VALUE.")
    if not colon:
        return dataclasses.replace(study, settings={**study.settings, name: value})
    chosen = study.grid.find_variants(variant) if study.grid else []
    chosen = chosen or [known for known in study.variants if known == variant]
    if not chosen:
        raise ValueError(f"{change!r} names no variant; they are {', '.join(study.variants)}.")
    changed = dict(study.variants)
    for one in chosen:
        before = changed[one]
        changed[one] = dataclasses.replace(before, settings={**before.settings, name: value})
    return dataclasses.replace(study, variants=changed)
