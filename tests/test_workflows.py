"""The workflows: no linter finds anything, and each step runs here against stand-ins for the services."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hub_server import TOKEN, USER, Hub, run_hub
from wandb_server import ENTITY, WandbServer

from trashlens.training.data.source import HUB_DATASET

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


def scripts(workflow: str, *jobs: str) -> set[str]:
    """Return the scripts that jobs of a workflow run."""
    described = read(GITHUB / "workflows" / f"{workflow}.yml")["jobs"]
    return {step["run"] for job in jobs for step in described[job]["steps"] if "run" in step}


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
            assert not secrets or "environment" in job or "uses" in job, (path, name)
            assert "secrets." not in yaml.safe_dump(job.get("env", {})), "a secret that every step sees"


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
    # GitHub fills a called job's secrets from its environment only where the caller names them.
    declared = called[True]["workflow_call"]["secrets"]
    assert deploy["secrets"] == {name: f"${{{{ secrets.{name} }}}}" for name in declared}
    assert set(called[True]) == {"workflow_call", "workflow_dispatch", "repository_dispatch"}
    assert called["concurrency"] == {"group": "deploy", "cancel-in-progress": False}


class Runner:
    """Runs the steps of jobs as GitHub's runner does, in a copy of this checkout, with services on loopback."""

    def __init__(self, folder: Path, hub: Hub, wandb: WandbServer) -> None:
        self.folder, self.hub, self.wandb = folder, hub, wandb
        self.done: set[str] = set()
        inherited = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("HF_", "PIPENV_", "WANDB_", "TRASHLENS_"))
        }
        self.environment = {
            **inherited,
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(folder.parent / "hub-cache"),
            "HF_HUB_DISABLE_XET": "1",
            **{
                f"WANDB_{name}_DIR": str(folder.parent / "wandb") for name in ("CACHE", "CONFIG", "DATA")
            },
            "WANDB_BASE_URL": wandb.url,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": "ada/trashlens",
            "GITHUB_RUN_ID": "42",
            "PIPENV_VERBOSITY": "-1",  # pipenv's note that it uses the active environment
        }

    def run(self, workflow: str, job: str, step: str, **variables: str) -> str:
        """Run the step's script; return what it says.

        Of `variables`, the values that GitHub would fill in, it gets those that its job or it names in `env`.
        """
        described = read(GITHUB / "workflows" / f"{workflow}.yml")["jobs"][job]
        (found,) = [one for one in described["steps"] if one.get("name") == step]
        script, seen = found["run"], {*described["env"], *found.get("env", {})}
        variables = {name: value for name, value in variables.items() if name in seen}
        result = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.folder,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=300,
        )
        said = result.stdout + result.stderr
        assert result.returncode == 0, said
        assert not any(secret in said for secret in (TOKEN, self.wandb.environment["WANDB_API_KEY"]))
        self.done.add(script)
        return said


@pytest.fixture
def runner(tmp_path: Path, toy_models: Path, trashnet: Path) -> Iterator[Runner]:
    """A runner whose Hub has TrashNet (tiny photos), and whose recipes train toy networks for an epoch."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("Pipfile", "Pipfile.lock", "pyproject.toml", "app.py", "README.md"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(
        ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    shutil.copytree(toy_models, folder / "models")
    (folder / "data").mkdir()
    shutil.copy(ROOT / "data" / "trashnet-official.csv", folder / "data")
    for role in ("teacher", "student"):
        recipe = {
            "role": role,
            "output": f"runs/{role}",
            "network": {"name": "test_efficientnet", "weights": "none"},
            "data": {"short_side_px": 32},
            "preprocess": {"size_px": 32},
            "augment": {"size_px": 32},
            "schedule": {"epochs": 1},
            "precision": "no",
        }
        if role == "student":
            recipe["objective"] = {"distill": {"teacher": "runs/teacher"}}
        # A file of this name comes before the shipped recipe.
        (folder / role).write_text(yaml.safe_dump(recipe))
    with run_hub() as hub, WandbServer() as wandb:
        hub.add("dataset", HUB_DATASET, {"dataset-resized.zip": trashnet.read_bytes()})
        yield Runner(folder, hub, wandb)


def _without_places(record: bytes) -> dict[str, Any]:
    """Return a bundle's record but for where it was published, which is noted on the way."""
    read: dict[str, Any] = json.loads(record)
    read["provenance"] = {
        key: value for key, value in read["provenance"].items() if key not in ("artifact", "hub")
    }
    return read


def test_what_is_trained_and_promoted_becomes_the_live_space(runner: Runner) -> None:
    key = {"WANDB_API_KEY": runner.wandb.environment["WANDB_API_KEY"]}
    project = {"WANDB_ENTITY": ENTITY, "WANDB_PROJECT": "trashlens"}
    train = ("train", "runner")
    runner.run(*train, "Train", RECIPE="teacher", **key, **project)
    shutil.rmtree(runner.folder / "runs")  # another machine, which has no teacher
    runner.run(*train, "Fetch the teacher", **key, **project)
    runner.run(*train, "Train", RECIPE="student", **key, **project)
    runner.run(*train, "Export the bundle", RECIPE="student", **key, **project)
    runner.run(*train, "Measure it and leave it in W&B", RECIPE="student", **key, **project)
    record = runner.folder / "models" / "student" / "bundle.json"
    trained = _without_places(record.read_bytes())

    bundles = ("deploy", "bundles")
    production = {**key, "PROJECT": f"{ENTITY}/trashlens"}
    assert "What is in place stays." in runner.run(*bundles, "Fetch what is in production", **production)

    # A person takes the candidate into production; the next runner has not got it.
    candidate = f"{ENTITY}/trashlens/student-bundle:candidate"
    artifact = runner.wandb.artifact(candidate)
    assert artifact
    assert not runner.wandb.artifact(f"{ENTITY}/trashlens/teacher-bundle:candidate")
    artifact.collection.aliases["production"] = artifact
    shutil.rmtree(runner.folder / "models" / "student")
    runner.run(*bundles, "Fetch what is in production", **production)
    assert _without_places(record.read_bytes()) == trained
    runner.run(*bundles, "Fetch the bundle that was asked for", **production, BUNDLE=candidate)

    space = {"HF_TOKEN": TOKEN, "SPACE": f"{USER}/lens", "MODEL_REPO": f"{USER}/trash"}
    runner.run("deploy", "space", "Publish the models, if they changed", **space)
    runner.run("deploy", "space", "Publish the Space and see it answer", **space)
    again = runner.run("deploy", "space", "Publish the models, if they changed", **space)
    assert again.endswith("unchanged\n")
    for kind, name, path in (("model", "trash", "student"), ("space", "lens", "models/student")):
        repo = runner.hub.repos[kind, f"{USER}/{name}"]
        assert _without_places(repo.files[f"{path}/bundle.json"]) == trained
        assert len(repo.commits) == 2
        assert repo.commits[1].description == "https://github.com/ada/trashlens/actions/runs/42"

    # The way back: from the live bundle to the run, its teacher and the list of photos.
    provenance = trained["provenance"]
    run = runner.wandb.runs[f"{ENTITY}/trashlens/{provenance['run']['id']}"]
    used = {version.name.split("/")[-1]: version for version in run.used}
    assert set(used) == {"trashnet:v0", "teacher:v0"}
    assert used["teacher:v0"].run
    assert used["trashnet:v0"].metadata["manifest_sha256"] == provenance["data"]["manifest_sha256"]
    assert runner.wandb.unknown == []
    assert runner.done == scripts("train", "runner") | scripts("deploy", "bundles", "space")


def test_a_job_is_started_with_the_commit_that_the_runner_checked_out(runner: Runner) -> None:
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["commit", "--quiet", "--message=first"],
        ["remote", "add", "origin", "https://github.com/ada/trashlens"],
        ["update-ref", "refs/remotes/origin/main", "HEAD"],
    ):
        subprocess.run([*git, *command], cwd=runner.folder, check=True)
    key = runner.wandb.environment["WANDB_API_KEY"]
    variables = {"RECIPE": "baseline", "FLAVOR": "t4-small", "HF_TOKEN": TOKEN, "WANDB_API_KEY": key}
    runner.run("train", "jobs", "Start the job", **variables)
    (job,) = runner.hub.jobs
    assert job["flavor"] == "t4-small"
    assert job["secrets"] == {"WANDB_API_KEY": key}
    assert runner.done == scripts("train", "jobs")


def test_the_tests_above_leave_no_job_out() -> None:
    jobs = {(path.stem, name) for path in WORKFLOWS for name in read(path)["jobs"]}
    run_above = {("deploy", "bundles"), ("deploy", "space"), ("train", "runner"), ("train", "jobs")}
    assert jobs == run_above | {("ci", "check"), ("ci", "deploy")}
    assert scripts("ci", "check") == {".ci/run"}


def test_the_setup_step_is_the_readmes_command() -> None:
    (install,) = [step for step in read(ACTIONS[0])["runs"]["steps"] if "run" in step]
    said = (ROOT / "README.md").read_text(encoding="utf-8")
    assert install["run"].replace('"$CATEGORIES"', '"packages train dev-packages"') in said
