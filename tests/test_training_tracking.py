"""W&B records when it can and never stands in the way when it cannot."""

import socket
import time
from pathlib import Path

import pytest
import wandb

from trashlens.training.tracking import Tracker, track
from trashlens.training.tracking import run as tracking


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def offline_runs(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))


def test_without_a_key_a_run_is_recorded_offline(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "checkpoint.json").write_text("{}")
    with track({"seed": 1}, name="toy", folder=tmp_path) as tracker:
        tracker.log({"loss": 0.5}, step=1)
        tracker.summarise({"accuracy": 0.9})
        tracker.log_model("baseline", tmp_path / "model", metadata={"seed": 1})
        assert tracker.run_id
    wandb.teardown()  # waits until W&B's own process has written everything
    (run,) = offline_runs(tmp_path)
    content = run.read_bytes()
    for expected in (b"loss", b"accuracy", b"baseline", b"checkpoint.json"):
        assert expected in content


def test_a_silent_server_costs_the_timeout_and_the_run_is_kept_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setattr(tracking, "INIT_TIMEOUT_SEC", 3)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, never answers
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        with track({}, name="toy", folder=tmp_path) as tracker:
            tracker.log({"loss": 1.0}, step=1)
        assert time.monotonic() - start < 30
    assert len(offline_runs(tmp_path)) == 1
    assert "W&B did not start online" in caplog.text


def test_a_dead_server_costs_seconds_and_the_run_is_kept_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setattr(tracking, "INIT_TIMEOUT_SEC", 3)
    start = time.monotonic()
    with track({}, name="toy", folder=tmp_path) as tracker:
        tracker.log({"loss": 1.0}, step=1)
    assert time.monotonic() - start < 30
    assert len(offline_runs(tmp_path)) == 1


def test_a_failure_of_wandb_is_said_once_and_training_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        id = "x"

        def log(self, *_: object, **__: object) -> None:
            raise OSError("No space left on device")

    tracker = Tracker(Broken())
    for step in range(3):
        tracker.log({"loss": 1.0}, step=step)
    tracker.summarise({"accuracy": 1.0})
    assert [record.message for record in caplog.records] == [
        "W&B stopped recording (OSError: No space left on device); training goes on."
    ]


def test_an_error_inside_the_block_reaches_the_caller(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="mine"), track({}, name="toy", folder=tmp_path):
        raise RuntimeError("mine")


def test_disabled_by_the_environment_records_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with track({}, name="toy", folder=tmp_path) as tracker:
        tracker.log({"loss": 1.0}, step=1)
    assert offline_runs(tmp_path) == []
