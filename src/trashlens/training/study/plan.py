"""From a study to its runs: which recipe, in which order, after which teacher."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trashlens.errors import RecipeError
from trashlens.training.recipe import Recipe, as_options, parse_recipe
from trashlens.training.study.config import Study

__all__ = ["Plan", "Run", "choose_runs", "describe_recipe", "plan_runs"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of a study."""

    variant: str
    """The variant's name."""
    number: int
    """Its seed or its fold."""
    recipe: Recipe
    """Everything else; `recipe.output` is the run's folder."""

    @property
    def name(self) -> str:
        """The run's name: `<variant>-<seed or fold>`."""
        return f"{self.variant}-{self.number}"


def plan_runs(study: Study, folder: Path) -> list[Run]:
    """Return the study's runs in order: seed by seed (fold by fold), so that a part of it is paired already.

    A teacher that is a variant comes before its students. Outputs lie in `folder/<study>/<run>`.

    Raises:
        RecipeError: a variant's settings, or its teacher, cannot work.
    """
    plan = Plan(study=study, folder=folder)
    for number in study.numbers:
        for variant in study.variants:
            if number in study.numbers_of(variant):
                plan.place(variant, number)
    runs = list(plan.runs.values())
    precisions = sorted({run.recipe.precision for run in runs})
    if len(precisions) > 1:
        raise RecipeError(
            f"The study {study.name} compares like with like: give all variants one precision "
            f"instead of {' and '.join(precisions)}."
        )
    return runs


def choose_runs(runs: Sequence[Run], names: Sequence[str]) -> list[Run]:
    """Return those of the runs that are named, or whose variant is; all of them where there is no name.

    Raises:
        RecipeError: a name is neither a run's nor a variant's.
    """
    known = {run.name for run in runs} | {run.variant for run in runs}
    for name in names:
        if name not in known:
            variants = ", ".join(dict.fromkeys(run.variant for run in runs))
            raise RecipeError(
                f"The study has no {name}. Its variants are {variants}; a run is {runs[0].name}."
            )
    return [run for run in runs if not names or run.name in names or run.variant in names]


def describe_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return what a variant's runs have in common: the recipe without seed, fold and folders."""
    record: dict[str, Any] = json.loads(json.dumps(recipe.to_json()))
    del record["seed"], record["output"], record["data"]["fold"], record["data"]["folder"]
    for name in ("teacher", "remember"):
        (record["objective"]["distill"] or {}).pop(name, None)
    return record


@dataclass(kw_only=True)
class Plan:
    """The runs of a study so far."""

    study: Study
    """Which study."""
    folder: Path
    """Where the folder of its runs will lie."""
    runs: dict[str, Run] = field(default_factory=dict)
    """By name, in order."""
    parsed: dict[str, Recipe] = field(default_factory=dict)
    """Each variant's recipe, as its first run has it; parsing takes a while."""

    def place(self, variant: str, number: int, students: tuple[str, ...] = ()) -> Run:
        """Put a run at the end, after its teacher's, unless it is there already; return it.

        `students` are the variants whose runs wait for this one.

        Raises:
            RecipeError: its settings, or its teacher, cannot work.
        """
        study, name = self.study, f"{variant}-{number}"
        if name in self.runs:
            return self.runs[name]
        if variant in students:
            raise RecipeError(f"In the study {study.name}, {variant} would be its own teacher.")
        wanted, teacher = study.variants[variant].teacher, None
        if wanted in study.variants:
            taught_by = self.place(wanted, self._teachers_number(wanted, number), (*students, variant))
            teacher = taught_by.recipe.output
        elif wanted is not None:
            teacher = Path(wanted)
        recipe = self._make_recipe(variant, number, teacher)
        if study.folds and recipe.objective.distill and wanted not in study.variants:
            raise RecipeError(
                f"In the study {study.name}, {variant} needs a variant as its teacher: one from elsewhere has "
                "seen the test photos of some fold."
            )
        self.runs[name] = Run(variant=variant, number=number, recipe=recipe)
        return self.runs[name]

    def _teachers_number(self, teacher: str, number: int) -> int:
        """Return the seed or fold of the teacher's run for a student's seed or fold."""
        numbers = self.study.numbers_of(teacher)
        if number in numbers:
            return number
        if self.study.folds or len(numbers) > 1:
            raise RecipeError(
                f"In the study {self.study.name}, {teacher} has no run for {self.study.unit} {number}, "
                "which a student needs."
            )
        return numbers[0]

    def _make_recipe(self, variant: str, number: int, teacher: Path | None) -> Recipe:
        """Return the recipe of one run."""
        if variant not in self.parsed:
            self.parsed[variant] = self._parse(variant, teacher)
        recipe, objective = self.parsed[variant], self.parsed[variant].objective
        if teacher is not None and objective.distill is not None:
            distill = dataclasses.replace(objective.distill, teacher=teacher)
            objective = dataclasses.replace(objective, distill=distill)
        output = self.folder / self.study.name / f"{variant}-{number}"
        recipe = dataclasses.replace(recipe, output=output, objective=objective)
        if self.study.seeds:
            return dataclasses.replace(recipe, seed=number)
        data = dataclasses.replace(recipe.data, split="grouped", fold=number)
        return dataclasses.replace(recipe, data=data)

    def _parse(self, variant: str, teacher: Path | None) -> Recipe:
        """Return a variant's recipe with the study's and its own settings."""
        chosen = self.study.variants[variant]
        settings = {**self.study.settings, **chosen.settings, "output": str(self.folder)}
        if teacher is not None:
            settings["objective.distill.teacher"] = str(teacher)
        try:
            return parse_recipe(chosen.recipe, as_options(settings))
        except RecipeError as error:
            raise RecipeError(f"{variant} of the study {self.study.name}: {error}") from error
