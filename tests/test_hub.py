"""Publishing the models against a stand-in for the Hub: commits, failures, downloads, the card."""

import json
import logging
import os
import shutil
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from hub_server import TOKEN, Fault, Hub, run_hub
from huggingface_hub import ModelCard
from huggingface_hub.utils import close_session

from trashlens.__main__ import main
from trashlens.bundle import ROLES, Bundle, load_bundles
from trashlens.errors import BundleError, HubError
from trashlens.hub.models import publish_models, version_of
from trashlens.scoreboard import format_table

ROOT = Path(__file__).parents[1]
REPO = "ada/trash"
# huggingface_hub 2.4 hands file contents to its HTTP client in a way that this one calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
RECORDED = ("bundle.json", "model.onnx")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """An empty stand-in that huggingface_hub takes for the Hub, and a token that it accepts."""
    with run_hub() as server:
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server
        close_session()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept, seconds, by us and by huggingface_hub; nobody really sleeps long."""
    asked: list[float] = []
    sleep = time.sleep

    def note(seconds: float) -> None:
        asked.append(seconds)
        sleep(min(seconds, 0.01))

    monkeypatch.setattr(time, "sleep", note)
    return asked


@pytest.fixture
def models(toy_models: Path, tmp_path: Path) -> Path:
    """A copy of the toy bundles that a test may change."""
    return Path(shutil.copytree(toy_models, tmp_path / "models"))


def tree_of(models: Path) -> dict[str, bytes]:
    """Return the files of the bundles by their path in the repository."""
    paths = [f"{role}/{name}" for role in ROLES for name in RECORDED]
    return {path: (models / path).read_bytes() for path in paths}


def test_a_new_repository_gets_everything_in_one_commit(hub: Hub, models: Path) -> None:
    outcome = publish_models(REPO, models, private=True)
    repo = hub.repos["model", REPO]
    assert repo.private
    first, second = repo.commits
    assert outcome.commit == second.oid
    assert second.parent == first.oid
    assert {path: second.files[path] for path in second.files if "/" in path} == tree_of(models)
    assert set(second.files) - set(tree_of(models)) == {"README.md", ".gitattributes"}
    assert repo.tags == {version_of(models): second.oid}


def test_the_same_again_makes_no_commit_and_uploads_nothing(hub: Hub, models: Path) -> None:
    publish_models(REPO, models)
    before = list(hub.uploads)
    outcome = publish_models(REPO, models)
    assert not outcome.changes
    assert str(outcome.changes) == "unchanged"
    assert len(hub.repos["model", REPO].commits) == 2
    assert hub.uploads == before


def test_a_changed_bundle_sends_only_what_changed_and_what_others_added_stays(
    hub: Hub, models: Path
) -> None:
    publish_models(REPO, models)
    repo = hub.repos["model", REPO]
    extra = {"notes.txt": b"by hand", "student/old.txt": b"ours, once"}
    repo.commit("by hand", {**repo.files, **extra})
    uploads = len(hub.uploads)
    changed = models / "student"
    shutil.rmtree(changed)
    teacher = Bundle.load(models / "teacher")
    Bundle(
        role="student",
        architecture="other",
        labels=teacher.labels,
        preprocess=teacher.preprocess,
        model=toy_variant(),
        parameters=24,
    ).write(changed)
    outcome = publish_models(REPO, models)
    assert set(outcome.changes.changed) == {"README.md", "student/bundle.json", "student/model.onnx"}
    assert set(outcome.changes.deleted) == {"student/old.txt"}
    assert not outcome.changes.added
    assert len(hub.uploads) == uploads + 1
    assert repo.files["notes.txt"] == b"by hand"
    assert {path: repo.files[path] for path in tree_of(models)} == tree_of(models)
    assert len(repo.tags) == 2


def toy_variant() -> bytes:
    """Return another toy graph."""
    from conftest import toy_model

    return toy_model(sharpness=30.0)
