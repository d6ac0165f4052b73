"""From a study to its runs: which recipe, in which order, after which teacher."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trashlens.errors import RecipeError
from trashlens.training.recipe import Recipe, parse_recipe
from trashlens.training.study.config import Study

__all__ = ["Run", "describe_recipe", "plan_runs"]


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
    runs: dict[str, Run] = {}
    for number in study.numbers:
        for variant in study.variants:
            if number in study.numbers_of(variant):
                _place(study, variant, number, folder, runs, ())
    precisions = sorted({run.recipe.precision for run in runs.values()})
    if len(precisions) > 1:
        raise RecipeError(
            f"The study {study.name} compares like with like: give all variants one precision "
            f"instead of {' and '.join(precisions)}."
        )
    return list(runs.values())


def describe_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return what a variant's runs have in common: the recipe without seed, fold and folders."""
    record: dict[str, Any] = json.loads(json.dumps(recipe.to_json()))
    del record["seed"], record["output"], record["data"]["fold"], record["data"]["folder"]
    for name in ("teacher", "remember"):
        (record["objective"]["distill"] or {}).pop(name, None)
    return record


def _place(
    study: Study,
    variant: str,
    number: int,
    folder: Path,
    runs: dict[str, Run],
    students: tuple[str, ...],
) -> Run:
    """Put a run at the end of the plan, after its teacher's, unless it is there already; return it."""
    name = f"{variant}-{number}"
    if name in runs:
        return runs[name]
    if variant in students:
        raise RecipeError(f"In the study {study.name}, {variant} would be its own teacher.")
    wanted, teacher = study.variants[variant].teacher, None
    if wanted in study.variants:
        taught_by = _teachers_number(study, wanted, number)
        run = _place(study, wanted, taught_by, folder, runs, (*students, variant))
        teacher = run.recipe.output
    elif wanted is not None:
        teacher = Path(wanted)
    recipe = _make_recipe(study, variant, number, folder / study.name / name, teacher)
    if study.folds and recipe.objective.distill and wanted not in study.variants:
        raise RecipeError(
            f"In the study {study.name}, {variant} needs a variant as its teacher: one from elsewhere has "
            "seen the test photos of some fold."
        )
    runs[name] = Run(variant=variant, number=number, recipe=recipe)
    return runs[name]


def _teachers_number(study: Study, teacher: str, number: int) -> int:
    """Return the seed or fold of the teacher's run for a student's seed or fold."""
    numbers = study.numbers_of(teacher)
    if number in numbers:
        return number
    if study.folds or len(numbers) > 1:
        raise RecipeError(
            f"In the study {study.name}, {teacher} has no run for {study.unit} {number}, "
            "which a student needs."
        )
    return numbers[0]


def _make_recipe(study: Study, variant: str, number: int, output: Path, teacher: Path | None) -> Recipe:
    """Return the recipe of one run."""
    chosen = study.variants[variant]
    options = [f"--{name}={_text(value)}" for name, value in _settings(study, variant).items()]
    options.append(f"--output={output}")
    if teacher is not None:
        options.append(f"--objective.distill.teacher={teacher}")
    if study.seeds:
        options.append(f"--seed={number}")
    else:
        options += ["--data.split=grouped", f"--data.fold={number}"]
    try:
        return parse_recipe(chosen.recipe, options)
    except RecipeError as error:
        raise RecipeError(f"{variant} of the study {study.name}: {error}") from error


def _settings(study: Study, variant: str) -> Mapping[str, Any]:
    return {**study.settings, **study.variants[variant].settings}


def _text(value: Any) -> str:
    """Return a setting as the command line takes it."""
    return value if isinstance(value, str) else json.dumps(value)
