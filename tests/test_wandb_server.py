"""The stand-in for the W&B server, as the real client meets it."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb_server import ENTITY, ORGANIZATION, WandbServer

PROJECT = f"{ENTITY}/trashlens"
REGISTRY = f"{ORGANIZATION}/wandb-registry-trashlens"


def start(*, finish_timeout: float = 20, **options: Any) -> wandb.Run:
    settings = wandb.Settings(silent=True, console="off", init_timeout=20, finish_timeout=finish_timeout)
    return wandb.init(entity=ENTITY, project="trashlens", settings=settings, **options)


def make(name: str, content: str, type_: str = "bundle") -> wandb.Artifact:
    artifact = wandb.Artifact(name, type=type_, metadata={"length": len(content)})
    with artifact.new_file("model.txt") as file:
        file.write(content)
    return artifact


def test_runs_artifacts_lineage_and_links_arrive_and_are_found_again(
    wandb_server: WandbServer, tmp_path: Path
) -> None:
    with start(id="teacher", name="A teacher", job_type="train", config={"rate": 0.1}) as run:
        for step in range(5):
            run.log({"loss": 1 / (step + 1)}, step=step)
        run.summary["accuracy"] = 0.9
        run.log_artifact(make("teacher", "weights", "model"), aliases=["best"]).wait(20)
    with start(id="student") as run:
        run.use_artifact(f"{PROJECT}/teacher:best")
        logged = run.log_artifact(make("student-bundle", "graph " * 1000), aliases=["candidate"])
        run.link_artifact(logged.wait(20), "wandb-registry-trashlens/student")

    teacher, student = wandb_server.runs.values()
    assert (teacher.display_name, teacher.job_type, teacher.exit_code) == ("A teacher", "train", 0)
    assert teacher.config["rate"] == 0.1
    assert [line["loss"] for line in teacher.history] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    assert teacher.summary["accuracy"] == 0.9
    assert "wandb-metadata.json" in teacher.files
    assert [artifact.name for artifact in student.used] == [f"{PROJECT}/teacher:v0"]
    assert [artifact.name for artifact in student.logged] == [f"{PROJECT}/student-bundle:v0"]
    bundle = wandb_server.artifacts[f"{PROJECT}/student-bundle:v0"]
    assert wandb_server.artifact(f"{REGISTRY}/student:latest") is bundle
    assert bundle.metadata == {"length": 6000}

    found = wandb.Api().artifact(f"{PROJECT}/student-bundle:candidate")
    folder = Path(found.download(str(tmp_path / "downloaded"), skip_cache=True))
    assert (folder / "model.txt").read_bytes() == bundle.files["model.txt"] == b"graph " * 1000
    made_by = found.logged_by()
    assert made_by.id == "student"
    assert [artifact.name for artifact in made_by.used_artifacts()] == ["teacher:v0"]
    used = wandb.Api().artifact(f"{PROJECT}/teacher:latest").used_by()
    assert [run.id for run in used] == ["student"]
    assert wandb_server.unknown == []


def test_an_alias_belongs_to_one_version_and_the_same_content_is_no_new_one(
    wandb_server: WandbServer,
) -> None:
    with start() as run:
        for content in ("first", "second", "first"):
            run.log_artifact(make("student-bundle", content), aliases=["candidate"]).wait(20)
    first, second = wandb_server.artifacts.values()
    assert (first.aliases, second.aliases) == ({"candidate", "latest"}, set())
    found = wandb.Api().artifact(f"{PROJECT}/student-bundle:v1")
    found.aliases.append("candidate")
    found.save()
    found = wandb.Api().artifact(f"{PROJECT}/student-bundle:v0")
    found.aliases.remove("latest")
    found.save()
    assert (first.aliases, second.aliases) == (set(), {"candidate"})


def test_an_offline_run_is_uploaded(wandb_server: WandbServer, tmp_path: Path) -> None:
    with start(id="offline", mode="offline") as run:
        run.log({"loss": 3})
        run.log_artifact(make("trashnet", "manifest", "dataset"))
    wandb.teardown()
    assert wandb_server.requests == []
    (folder,) = tmp_path.glob("wandb/offline-run-*")
    subprocess.run(["wandb", "sync", str(folder)], check=True, capture_output=True, env=os.environ)
    (run,) = wandb_server.runs.values()
    assert (run.path, run.exit_code, run.history[0]["loss"]) == (f"{PROJECT}/offline", 0, 3)
    assert wandb_server.artifacts[f"{PROJECT}/trashnet:v0"].files == {"model.txt": b"manifest"}


def test_it_fails_once_and_the_client_asks_again(wandb_server: WandbServer) -> None:
    with start(id="patient") as run:
        wandb_server.fail_next(1, 503)
        run.log({"loss": 1})
    assert wandb_server.runs[f"{PROJECT}/patient"].history[0]["loss"] == 1


def test_it_dies_and_answers_nobody(wandb_server: WandbServer) -> None:
    run = start(id="orphan", finish_timeout=2)
    wandb_server.stop()
    run.log({"loss": 1})
    start_sec = time.monotonic()
    run.finish()
    assert time.monotonic() - start_sec < 10
    assert wandb_server.runs[f"{PROJECT}/orphan"].exit_code is None
