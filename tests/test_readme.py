"""README tells the truth: its numbers are the bundles', its commands are those CI runs, its links lead."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from trashlens.bundle import load_bundles
from trashlens.commands import COMMANDS
from trashlens.scoreboard import format_table
from trashlens.training.recipe import RECIPES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_is_what_the_bundles_say() -> None:
    table = re.search(r"<!-- table.*?-->\n(.*?)\n<!-- /table -->", README, re.DOTALL)
    assert table
    assert table[1] == format_table(load_bundles(ROOT / "models"))


def test_there_are_two_set_up_commands_and_ci_runs_the_second() -> None:
    commands = [line for line in README.splitlines() if line.startswith("pip install pipenv && ")]
    assert commands[0] == "pip install pipenv && pipenv sync && pipenv run app"
    assert commands[1].endswith("&& pipenv run test")
    assert len(commands) == 2
    assert (
        "grep -E '^pip install pipenv && .*pipenv run test$' README.md" in (ROOT / ".ci/run").read_text()
    )
    scripts = tomllib.loads((ROOT / "Pipfile").read_text())["scripts"]
    assert {"app", "test", "trashlens"} <= set(scripts)


def test_the_commands_and_recipes_named_exist() -> None:
    assert set(re.findall(r"trashlens (\w+)", README)) <= set(COMMANDS)
    assert [name for name in COMMANDS if not re.search(rf"(trashlens |`){name}[` ]", README)] == []
    recipes = set(re.findall(r"trashlens train ([\w-]+)", README))
    assert {"teacher-stage3"} <= recipes <= set(RECIPES.names())


@pytest.mark.parametrize("path", re.findall(r"\]\((?!http|#)([^)]+)\)|`(data/[\w.-]+\.csv)`", README))
def test_what_it_points_to_is_there(path: tuple[str, str]) -> None:
    assert (ROOT / (path[0] or path[1])).is_file()


def test_the_lock_names_no_registry_and_its_groups_agree() -> None:
    text = (ROOT / "Pipfile.lock").read_text()
    lock = json.loads(text)
    assert lock["_meta"]["sources"] == []
    assert "://" not in text
    assert "source" not in tomllib.loads((ROOT / "Pipfile").read_text())
    groups = [lock[name] for name in ("default", "train", "develop")]
    for group in groups:
        for other in groups:
            shared = group.keys() & other.keys()
            assert all(group[name].get("version") == other[name].get("version") for name in shared)
    assert "torch" not in lock["default"]
    assert not any("python_version" in requirement for requirement in lock["_meta"]["requires"])
