"""Feedback that goes to a dataset, against a stand-in for the Hub."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import httpx
import pytest
from browser import ROOT, app_environment, serve, upload
from conftest import coloured_photo, encode
from hub_server import TOKEN, Fault, Hub, connect_hub
from huggingface_hub import _commit_scheduler
from test_server_feedback import answer

from trashlens.errors import FeedbackError
from trashlens.server.feedback import open_feedback
from trashlens.server.settings import Settings

# huggingface_hub 2.4 hands file contents to its HTTP client in a way that this one calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = "ada/feedback"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with connect_hub(monkeypatch, tmp_path / "cache") as stand_in:
        yield stand_in


def give(*labels: str, seed: int = 0, **settings: object) -> None:
    """Run a server's part that keeps feedback, give it photos, and stop it."""
    with open_feedback(Settings(feedback_repo=REPO, **settings)) as feedback:
        assert feedback is not None
        for label in labels:
            photo = coloured_photo(label, seed=seed)
            feedback.keep(photo, label=label, comparison=answer("teacher"))


def pushed(hub: Hub, folder: Path) -> list[str]:
    """Unpack the dataset as a user would download it; return the labels of its lines."""
    for path, content in hub.repos["dataset", REPO].files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return sorted(
        json.loads(line)["label"]
        for table in folder.rglob("metadata.jsonl")
        for line in table.read_text().splitlines()
    )


def test_what_is_given_is_pushed_at_the_end_into_a_private_dataset(hub: Hub, tmp_path: Path) -> None:
    give("glass", "metal")
    assert hub.repos["dataset", REPO].private
    assert pushed(hub, tmp_path / "copy") == ["glass", "metal"]
    assert list((tmp_path / "temporary").iterdir()) == []
    read = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "copy"), split="train")
    assert sorted(read["label"]) == ["glass", "metal"]


def test_a_start_without_the_old_disk_loses_nothing_of_it(hub: Hub, tmp_path: Path) -> None:
    give("glass")
    give("paper", seed=1)
    give("paper", seed=2)
    assert pushed(hub, tmp_path / "copy") == ["glass", "paper", "paper"]


def test_with_a_folder_of_its_own_nothing_is_pushed_twice(hub: Hub, tmp_path: Path) -> None:
    give("glass", feedback=tmp_path / "kept")
    commits = len(hub.repos["dataset", REPO].commits)
    give(feedback=tmp_path / "kept")
    assert pushed(hub, tmp_path / "copy") == ["glass"]
    assert len(hub.repos["dataset", REPO].commits) == commits
    assert len(list((tmp_path / "kept").rglob("*.jpg"))) == 1


def test_what_was_given_to_the_server_alone_goes_nowhere_else(hub: Hub, tmp_path: Path) -> None:
    with open_feedback(Settings(feedback=tmp_path / "kept")) as feedback:
        assert feedback is not None
        feedback.keep(coloured_photo("glass"), label="glass", comparison=answer("teacher"))
    (tmp_path / "kept" / "notes").mkdir()
    (tmp_path / "kept" / "notes" / "secret.txt").write_text("of the operator")
    give("metal", feedback=tmp_path / "kept")
    assert pushed(hub, tmp_path / "copy") == ["metal"]
    assert not list((tmp_path / "copy").rglob("*.txt"))


def test_nothing_reaches_a_dataset_that_is_made_public_while_files_are_listed(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = _commit_scheduler.PartialFileIO

    def publish(*args: Any, **options: Any) -> Any:
        hub.repos["dataset", REPO].private = False
        return listed(*args, **options)

    monkeypatch.setattr(_commit_scheduler, "PartialFileIO", publish)
    give("glass", feedback=tmp_path / "kept")
    assert pushed(hub, tmp_path / "copy") == []
    assert list((tmp_path / "kept").rglob("*.jpg"))


def test_once_it_is_public_a_private_dataset_gets_nothing_more(
    hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_feedback(Settings(feedback_repo=REPO, feedback=tmp_path / "kept")) as feedback:
        assert feedback is not None
        assert not feedback.public
        hub.repos["dataset", REPO].private = False
        feedback.keep(coloured_photo("glass"), label="glass", comparison=answer("teacher"))
    assert pushed(hub, tmp_path / "copy") == []
    assert f"The dataset {REPO} is no longer private." in caplog.text
    assert list((tmp_path / "kept").rglob("*.jpg"))


def test_the_page_knows_whether_the_dataset_is_public(hub: Hub) -> None:
    hub.add("dataset", REPO)
    with open_feedback(Settings(feedback_repo=REPO)) as feedback:
        assert feedback is not None
        assert (feedback.dataset, feedback.public) == (REPO, True)


def test_a_last_push_that_fails_leaves_the_photos_and_says_where(
    hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_feedback(Settings(feedback_repo=REPO)) as feedback:
        assert feedback is not None
        feedback.keep(coloured_photo("glass"), label="glass", comparison=answer("teacher"))
        hub.faults.append(Fault("/commit/", status=500, times=99))
    (left,) = (tmp_path / "temporary").rglob("*.jpg")
    said = [record.getMessage() for record in caplog.records if record.name.startswith("trashlens")]
    assert len(said) == 1
    assert str(left.parents[2]) in said[0]
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        (None, "There is no token"),
        ("", "There is no token"),
        ("hf_a b", "characters"),
        ("hf_no", "HF_TOKEN"),
    ],
)
@pytest.mark.usefixtures("hub")
def test_a_token_that_does_not_do_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token: str | None, sentence: str
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", token)
    with (
        pytest.raises(FeedbackError, match=sentence) as caught,
        open_feedback(Settings(feedback_repo=REPO)),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert not token or token not in str(caught.value)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_server_pushes_what_it_was_given_before_it_ends(
    hub: Hub, toy_models: Path, tmp_path: Path
) -> None:
    variables = {
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": TOKEN,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "TRASHLENS_FEEDBACK_REPO": REPO,
        "TMPDIR": str(tmp_path / "temporary"),
    }
    with serve(toy_models, tmp_path / "errors.txt", **variables) as url:
        path = upload(url, "photo.jpg", encode(coloured_photo("glass")))
        values = {"path": path, "label": "metal", "consent": True}
        assert httpx.post(f"{url}feedback", json=values, timeout=60).status_code == 201
    assert pushed(hub, tmp_path / "copy") == ["metal"]
    assert "Traceback" not in (tmp_path / "errors.txt").read_text()
    assert list((tmp_path / "temporary").glob("trashlens-*")) == []


def test_the_app_without_a_token_ends_with_a_sentence_and_code_2(toy_models: Path) -> None:
    environment = {**app_environment(toy_models), "TRASHLENS_FEEDBACK_REPO": REPO}
    environment.pop("HF_TOKEN", None)
    ended = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"There is no token for the dataset {REPO}.")
    assert ended.stderr.count("\n") == 1
