"""Recipes: shipped ones hold, contradictions are refused, and baseline and student differ in one thing."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from trashlens.errors import RecipeError
from trashlens.training.recipe import RECIPES, Recipe, parse_recipe


def test_the_shipped_recipes_parse() -> None:
    assert RECIPES.names() == ["baseline", "student", "taco-mobilenet", "teacher", "teacher-stage3"]
    for name in RECIPES.names():
        recipe = parse_recipe(name)
        if recipe.data.source == "taco":  # see test_training_taco_recipe
            continue
        assert recipe.role == name.split("-")[0]
        assert recipe.network.weights == "hub"


STUDENTS = [name for name in RECIPES.names() if parse_recipe(name).role == "student"]


@pytest.mark.parametrize("name", STUDENTS)
def test_baseline_and_student_differ_by_the_teachers_signal_only(name: str) -> None:
    student, baseline = (
        dataclasses.asdict(parse_recipe(each)) for each in (name, name.replace("student", "baseline"))
    )
    assert (student.pop("role"), baseline.pop("role")) == ("student", "baseline")
    assert student.pop("output") != baseline.pop("output")
    assert student["objective"].pop("distill")
    assert baseline["objective"].pop("distill") is None
    # Network, weights, data, augmentation, steps, seed: all the same.
    assert baseline == student


def test_every_baseline_has_its_student() -> None:
    baselines = {name for name in RECIPES.names() if parse_recipe(name).role == "baseline"}
    baselines.remove("taco-mobilenet")  # taught by labels alone, on other photos
    assert {name.replace("student", "baseline") for name in STUDENTS} == baselines != set()


def test_matching_holds_with_mixed_photos() -> None:
    options = ["--objective.distill.method=matching", "--objective.distill.alpha=1", "--augment.mixup=1"]
    recipe = parse_recipe("student", options)
    assert recipe.objective.distill.method == "matching"


def test_options_override_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        yaml.safe_dump({"role": "baseline", "output": "runs/x", "network": {"name": "resnet18"}})
    )
    recipe = parse_recipe(str(path), ["--schedule.epochs=3", "--network.weights=none", "--seed", "4"])
    assert (recipe.schedule.epochs, recipe.network.weights, recipe.seed) == (3, "none", 4)
    assert recipe.network.name == "resnet18"


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        (
            "nowhere.yaml",
            [],
            r"There is no recipe nowhere\.yaml\. Give a YAML file or one of baseline, student",
        ),
        ("student", ["--objective.distill=null"], "A student, and only a student, needs"),
        ("baseline", ["--objective.distill.teacher=t"], "A student, and only a student, needs"),
        (
            "student",
            [
                "--objective.distill.method=matching",
                "--objective.distill.alpha=1",
                "--augment.mixup=0.1",
            ],
            "matching needs photos mixed by any share",
        ),
        (
            "student",
            ["--objective.distill.method=matching", "--augment.mixup=1"],
            "alpha must be 1 for matching",
        ),
        ("teacher", ["--schedule.epochs=0"], r"schedule\.epochs must be at least 1"),
        ("teacher", ["--schedule.ema=1"], r"schedule\.ema and schedule\.keep_start must lie in"),
        (
            "teacher",
            ["--schedule.keep_start=-0.1"],
            r"schedule\.ema and schedule\.keep_start must lie in",
        ),
        ("teacher", ["--seed=x"], "seed"),
        ("teacher", ["--no_such_setting=1"], "no_such_setting"),
        ("teacher", ["--schedule.epoch=3"], r"schedule\.epoch"),  # no abbreviations
    ],
)
def test_a_recipe_that_does_not_hold_is_a_sentence(name: str, options: list[str], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        parse_recipe(name, options)


def test_an_unknown_key_in_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "typo.yaml"
    path.write_text(RECIPES.find("teacher").read_text() + "epoch: 3\n")
    with pytest.raises(RecipeError, match="epoch"):
        parse_recipe(str(path))
    path.write_text("{")
    with pytest.raises(RecipeError, match=r"typo\.yaml does not hold"):
        parse_recipe(str(path))


def test_the_record_of_a_recipe_names_no_path_of_a_machine() -> None:
    options = [
        "--network.weights=/home/me/w.safetensors",
        "--data.source=/mnt/x.zip",
        "--output=/tmp/run",
    ]
    recipe = parse_recipe("student", [*options, "--objective.distill.teacher=/srv/runs/teacher"])
    text = json.dumps(recipe.to_json())
    assert "/" not in text
    assert '"weights": "w.safetensors"' in text
    assert '"teacher": "teacher"' in text
    assert isinstance(recipe, Recipe)
