"""The workflows: no linter finds anything, and each step runs here against stand-ins for the services."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTIONS = sorted((GITHUB / "actions").glob("*/action.yml"))

LINTERS = {
    "zizmor": ["zizmor", "--offline", "--pedantic", "--quiet", "--no-progress", str(ROOT)],
    "workflow schema": ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS],
    "action schema": ["check-jsonschema", "--builtin-schema", "vendor.github-actions", *ACTIONS],
    "dependabot schema": [
        *("check-jsonschema", "--builtin-schema", "vendor.dependabot"),
        str(GITHUB / "dependabot.yml"),
    ],
    "yamllint": [
        *("yamllint", "--strict", "-c", str(GITHUB / "yamllint.yaml")),
        *(str(GITHUB), str(ROOT / "src" / "trashlens" / "training" / "recipes")),
    ],
}


def read(path: Path) -> dict[Any, Any]:
    """Return a workflow or action; YAML takes its key `on` for true."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps() -> list[dict[str, Any]]:
    """Return every step of every job and action."""
    jobs = [job for path in WORKFLOWS for job in read(path)["jobs"].values()]
    return [step for job in jobs for step in job.get("steps", [])] + [
        step for path in ACTIONS for step in read(path)["runs"]["steps"]
    ]


@pytest.mark.parametrize("name", LINTERS)
def test_a_linter_finds_nothing(name: str) -> None:
    result = subprocess.run([*map(str, LINTERS[name])], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_linters_find_what_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    bad = folder / "bad.yml"
    bad.write_text(
        "on: issue_comment\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - uses: actions/checkout@v4\n      - run: echo ${{ github.event.comment.body }}\n"
    )
    swap = {str(ROOT): str(tmp_path)} | {str(path): str(bad) for path in WORKFLOWS}
    for name in ("zizmor", "workflow schema"):
        text = bad.read_text() if name == "zizmor" else "on: push\njobs: 3\n"
        bad.write_text(text)
        command = list(dict.fromkeys(swap.get(str(word), str(word)) for word in LINTERS[name]))
        assert subprocess.run(command, capture_output=True, cwd=tmp_path).returncode != 0


def test_every_action_is_pinned_by_commit() -> None:
    used = [step["uses"] for step in steps() if "uses" in step]
    assert len(used) >= 10
    foreign = [name for name in used if not name.startswith("$/.github/")]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name) for name in foreign)
    for name in set(used) - set(foreign):
        assert (ROOT / name.removeprefix("$/") / "action.yml").is_file()


def test_every_job_states_its_rights_and_a_time_limit() -> None:
    for path in WORKFLOWS:
        workflow = read(path)
        assert workflow["permissions"] == {}, path
        for name, job in workflow["jobs"].items():
            assert job["permissions"] == {"contents": "read"}, (path, name)
            assert "uses" in job or job["timeout-minutes"] <= 360, (path, name)
            secrets = re.findall(r"secrets\.(\w+)", yaml.safe_dump(job))
            assert not secrets or "environment" in job, (path, name)


def test_the_job_that_reads_wandb_never_sees_the_token_of_the_hub() -> None:
    jobs = read(GITHUB / "workflows" / "deploy.yml")["jobs"]
    seen = {name: set(re.findall(r"secrets\.(\w+)", yaml.safe_dump(job))) for name, job in jobs.items()}
    assert seen == {"bundles": {"WANDB_API_KEY"}, "space": {"HF_TOKEN"}}


def test_a_push_to_main_is_deployed_only_after_a_green_check() -> None:
    deploy = read(GITHUB / "workflows" / "ci.yml")["jobs"]["deploy"]
    assert deploy["needs"] == "check"
    assert deploy["if"].startswith("github.event_name == 'push' && ")
    assert deploy["uses"] == "$/.github/workflows/deploy.yml"
    called = read(GITHUB / "workflows" / "deploy.yml")
    assert set(called[True]) == {"workflow_call", "workflow_dispatch", "repository_dispatch"}
    assert called["concurrency"] == {"group": "deploy", "cancel-in-progress": False}


def test_the_setup_step_is_the_readmes_command() -> None:
    (install,) = [step for step in read(ACTIONS[0])["runs"]["steps"] if "run" in step]
    said = (ROOT / "README.md").read_text(encoding="utf-8")
    assert install["run"].replace('"$CATEGORIES"', '"packages train dev-packages"') in said
