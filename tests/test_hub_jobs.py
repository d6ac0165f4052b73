"""Training on Hugging Face Jobs: what is sent, what is refused, and what the job's script really does."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import TOKEN, USER, Fault, Hub, connect_hub

from trashlens.__main__ import main
from trashlens.hub.jobs import SCRIPT

ROOT = Path(__file__).parents[1]
KEY = "0123456789abcdef0123456789abcdef01234567"
URL = "https://github.com/ada/trashlens.git"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_PROJECT", "trashlens")
    monkeypatch.delenv("WANDB_ENTITY", raising=False)
    with connect_hub(monkeypatch, tmp_path / "cache") as server:
        yield server


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pushed commit of what a job needs, in `checkout`; its remote, `remote`, is said to lie on GitHub."""
    folder = tmp_path_factory.mktemp("pushed")
    root = folder / "checkout"
    recipes = root / "src" / "trashlens" / "training" / "recipes"
    shutil.copytree(ROOT / "src" / "trashlens" / "training" / "recipes", recipes)
    (root / "app.py").touch()
    (root / "Pipfile.lock").touch()
    git(folder, "init", "--quiet", "--bare", "remote")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=first")
    git(root, "remote", "add", "origin", str(folder / "remote"))
    git(root, "push", "--quiet", "origin", "main")
    git(root, "remote", "set-url", "origin", URL)
    return folder


@pytest.fixture
def checkout(pushed: Path, tmp_path: Path) -> Path:
    """A copy of the checkout and its remote that a test may change."""
    shutil.copytree(pushed, tmp_path, dirs_exist_ok=True)
    return tmp_path / "checkout"


def test_the_job_gets_the_commit_and_the_key_only_as_a_secret(
    hub: Hub, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["launch", "baseline", f"--root={checkout}", "--flavor=a10g-small", "--timeout=90m"]
    assert main([*command, "--", "--schedule.epochs=30", "--seed=$(touch never)"]) == 0
    output = capsys.readouterr()
    assert output.out == f"{hub.url}/jobs/{USER}/job1\n"
    (job,) = hub.jobs
    assert job["dockerImage"] == "python:3.11"
    assert job["flavor"] == "a10g-small"
    assert job["timeoutSeconds"] == 5400
    assert job["secrets"] == {"WANDB_API_KEY": KEY}
    assert job["environment"] == {"WANDB_PROJECT": "trashlens"}
    assert job["command"][:3] == ["bash", "-c", SCRIPT]
    commit = git(checkout, "rev-parse", "HEAD")
    expected = [
        URL,
        commit,
        "",
        "baseline",
        "runs/baseline",
        "baseline",
        "--schedule.epochs=30",
        "--seed=$(touch never)",
    ]
    assert job["command"][4:] == expected
    said = output.out + output.err + str({**job, "secrets": None})
    assert KEY not in said
    assert TOKEN not in str(job) + output.out + output.err


@pytest.mark.parametrize(
    ("options", "teacher"),
    [([], "teacher"), (["--teacher=wandb:ada/trashlens/teacher:v3"], "wandb:ada/trashlens/teacher:v3")],
)
def test_a_student_comes_with_its_teacher(
    hub: Hub, checkout: Path, options: list[str], teacher: str
) -> None:
    assert main(["launch", "student", f"--root={checkout}", *options]) == 0
    assert hub.jobs[0]["command"][6:] == [teacher, "student", "runs/student", "student"]


@pytest.mark.parametrize(
    ("change", "arguments", "said"),
    [
        (
            "",
            ["none"],
            "There is no recipe none. Give one of baseline, student, taco-mobilenet, teacher",
        ),
        ("", ["../outside.yaml"], "lies outside the checkout"),
        ("", ["baseline", "--timeout=0h"], "timeout is a number and s, m, h or d"),
        ("", ["baseline", "--timeout=soon"], "timeout is a number and s, m, h or d"),
        ("", ["baseline", "--", "--output=elsewhere"], "Leave out --output"),
        ("", ["baseline", "--repo_url=https://ada:hunter2@example.org/x"], "has credentials in it"),
        ("", ["baseline", "--repo_url=file:///x"], "cannot clone without an https address"),
        ("echo >> app.py", ["baseline"], "There are changes that are not committed"),
        ("echo >> app.py && git commit -qam second", ["baseline"], "is not pushed"),
        ("rm -rf .git", ["baseline"], "is not a git repository"),
        ("git remote set-url origin https://ada:hunter2@example.org/x", ["baseline"], "has credentials"),
        ("git remote remove origin", ["baseline"], "is not pushed"),
        ("printf 'role: [' > odd.yaml", ["odd.yaml"], "odd.yaml is no YAML"),
        ("printf 'role: student\noutput: x' > odd.yaml", ["odd.yaml"], "recipe names its teacher"),
        (
            "printf 'role: student\noutput: x\nobjective: {distill: null}' > odd.yaml",
            ["odd.yaml"],
            "recipe names its teacher",
        ),
    ],
)
def test_what_a_job_could_not_do_is_refused_before_it_costs(
    hub: Hub,
    checkout: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: str,
    arguments: list[str],
    said: str,
) -> None:
    (tmp_path / "outside.yaml").write_text("role: baseline\noutput: runs/x\n")
    names = {
        f"GIT_{who}_{what}": "ada@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    subprocess.run(change, shell=True, cwd=checkout, check=True, env={**os.environ, **names})
    name, *rest = arguments
    assert main(["launch", name, f"--root={checkout}", *rest]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "hunter2" not in error
    assert not hub.jobs


@pytest.mark.parametrize(
    ("missing", "said"),
    [("WANDB_API_KEY", "WANDB_API_KEY is not set"), ("HF_TOKEN", "set HF_TOKEN to it")],
)
def test_without_key_or_token_there_is_no_job(
    hub: Hub,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    missing: str,
    said: str,
) -> None:
    monkeypatch.delenv(missing)
    assert main(["launch", "baseline", f"--root={checkout}"]) == 2
    assert said in capsys.readouterr().err
    assert not hub.jobs


def test_no_job_is_started_twice(hub: Hub, checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub.faults.append(Fault("POST /api/jobs", status=429))
    assert main(["launch", "baseline", f"--root={checkout}"]) == 0
    assert len(hub.jobs) == 1
    hub.faults.append(Fault("POST /api/jobs", lost=True))
    assert main(["launch", "baseline", f"--root={checkout}"]) == 2
    assert len(hub.jobs) == 2
    assert "could not start the job: no connection" in capsys.readouterr().err


def run_script(folder: Path, *arguments: str) -> tuple[int, list[list[str]]]:
    """Run the job's script in `folder` and return its exit code and what it called pip and pipenv with."""
    tools, log = folder / "tools", folder / "log"
    tools.mkdir(parents=True)
    for name in ("pip", "pipenv"):  # both would fetch the world
        (tools / name).write_text(f'#!/bin/sh\nprintf "%s|" {name} "$@" >> "{log}"; echo >> "{log}"\n')
        (tools / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    command = ["bash", "-c", SCRIPT, "trashlens", *arguments]
    code = subprocess.run(command, cwd=folder, env=environment, capture_output=True).returncode
    lines = log.read_text().splitlines() if log.exists() else []
    return code, [line.rstrip("|").split("|") for line in lines]


@pytest.mark.parametrize(
    ("teacher", "recipe", "before"),
    [
        ("", "baseline", []),
        ("teacher", "student", ["train teacher"]),
        ("wandb:ada/p/teacher:v1", "student", ["pull wandb:ada/p/teacher:v1"]),
    ],
)
def test_the_script_clones_the_commit_and_runs_the_commands_in_order(
    checkout: Path, tmp_path: Path, teacher: str, recipe: str, before: list[str]
) -> None:
    work, remote, commit = (
        tmp_path / "work",
        str(tmp_path / "remote"),
        git(checkout, "rev-parse", "HEAD"),
    )
    option = "--a=b c;$(touch x)"
    code, called = run_script(work, remote, commit, teacher, recipe, f"runs/{recipe}", recipe, option)
    assert code == 0
    assert git(work / "trashlens", "rev-parse", "HEAD") == commit
    steps = [
        "data",
        *before,
        f"train {recipe} {option}",
        f"export runs/{recipe}",
        f"evaluate --write --only {recipe}",
    ]
    assert called[:2] == [
        ["pip", "install", "--quiet", "pipenv"],
        ["pipenv", "sync", "--categories", "packages train"],
    ]
    assert [" ".join(words) for words in called[2:]] == [
        f"pipenv run trashlens {step}" for step in steps
    ]
    assert option in called[-3]
    assert not (work / "trashlens" / "x").exists()


@pytest.mark.usefixtures("checkout")
def test_the_script_stops_where_something_fails(tmp_path: Path) -> None:
    remote = str(tmp_path / "remote")
    code, called = run_script(tmp_path / "work", remote, "0" * 40, "", "baseline", "runs/baseline")
    assert code != 0
    assert not called
