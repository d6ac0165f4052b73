"""W&B records when it can and never stands in the way when it cannot."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wandb
from accelerate.state import AcceleratorState
from wandb_server import ENTITY, WandbServer

from trashlens.__main__ import main
from trashlens.training.checkpoint import read_checkpoint, read_record
from trashlens.training.tracking import Tracker, Version, track
from trashlens.training.tracking import run as tracking
from trashlens.training.tracking.records import find_runs
from trashlens.training.tracking.sync import sync_runs

TIMEOUT_SEC = 120


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    wandb.teardown()  # or the variable that leads to its process would come back below, without the process
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    # What a silent server costs, and with it these tests; the timeouts themselves are what is tested.
    monkeypatch.setattr(tracking, "INIT_TIMEOUT_SEC", 2)
    monkeypatch.setattr(tracking, "FINISH_TIMEOUT_SEC", 3)
    monkeypatch.setattr(wandb.Api, "_HTTP_TIMEOUT", 1)
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    wandb.teardown()  # its process keeps the first server it was told of


def version_of(folder: Path) -> Version:
    """Return a version with one file, made from the photos."""
    folder.mkdir(exist_ok=True)
    (folder / "checkpoint.json").write_text("{}")
    photos = {"name": "trashnet", "type": "dataset", "alias": "0" * 12, "sha256": "0" * 64}
    return Version(
        name="baseline",
        type="model",
        aliases=("1" * 12,),
        sha256="1" * 64,
        files=(folder / "checkpoint.json",),
        inputs=[photos],
    )


def offline_runs(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))


def test_without_a_key_a_run_is_recorded_offline(tmp_path: Path) -> None:
    version = version_of(tmp_path / "model")
    with track({"seed": 1}, name="toy", folder=tmp_path) as tracker:
        tracker.log({"loss": 0.5}, step=1)
        tracker.summarise({"accuracy": 0.9})
        tracker.give(version)
        assert tracker.address == {
            "id": tracker.run_id,
            "project": "trashlens",
            "entity": None,
            "url": None,
        }
    wandb.teardown()  # waits until W&B's own process has written everything
    (run,) = find_runs([tmp_path])
    assert (run.id, run.name, run.config["seed"]) == (tracker.run_id, "toy", 1)
    assert run.history[0]["loss"] == 0.5
    assert run.summary["accuracy"] == 0.9
    assert [given["inputs"] for given in run.given] == [version.inputs]
    assert "WANDB_DATA_DIR" not in os.environ


def test_a_silent_server_costs_the_timeout_and_the_run_is_kept_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
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
    start = time.monotonic()
    with track({}, name="toy", folder=tmp_path) as tracker:
        tracker.log({"loss": 1.0}, step=1)
    assert time.monotonic() - start < 30
    assert len(offline_runs(tmp_path)) == 1


def test_a_failure_of_wandb_is_said_once_and_training_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        id = project = "x"
        offline = True

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


def test_online_a_run_arrives_whole_and_is_tied_to_its_photos(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WandbServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(tracking, "FINISH_TIMEOUT_SEC", 60)
        monkeypatch.setattr(wandb.Api, "_HTTP_TIMEOUT", 20)
        assert main(["train", str(recipe_file)]) == 0
        (run,) = server.runs.values()
        assert (len(run.history), run.exit_code, run.job_type) == (13, 0, "train")
        assert [version.name for version in run.used] == [f"{ENTITY}/trashlens/trashnet:v0"]
        assert server.artifact(f"{ENTITY}/trashlens/baseline:run-{run.id}").run is run
        assert sync_runs([tmp_path]) == ([], [])  # nothing is left to do
    record = read_record(tmp_path / "run")["run"]
    assert (record["id"], record["entity"]) == (run.id, ENTITY)
    assert record["url"] == f"{server.url}/{ENTITY}/trashlens/runs/{run.id}"


@pytest.mark.parametrize("end", [WandbServer.stop, WandbServer.hang])
def test_a_server_that_ends_in_mid_run_costs_seconds_and_another_gets_it_all(
    recipe_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    end: Callable[[WandbServer], None],
) -> None:
    output = tmp_path / "run"
    with WandbServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)

        def end_after_an_epoch() -> None:
            while not list(output.glob("state/*/progress.json")):
                time.sleep(0.01)
            end(server)

        threading.Thread(target=end_after_an_epoch, daemon=True).start()
        start = time.monotonic()
        assert main(["train", str(recipe_file), "--schedule.epochs=8"]) == 0
        assert time.monotonic() - start < 60
    assert read_record(output)["complete"]
    assert read_record(output)["test"]["photos"] == 18
    assert "W&B could not finish the run" in caplog.text
    wandb.teardown()
    runs = find_runs([tmp_path])
    assert {run.id for run in runs} == {read_record(output)["run"]["id"]}
    with WandbServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        assert sync_runs([tmp_path])[1] == []
        (run,) = server.runs.values()
        assert run.exit_code == 0
        assert {row["_step"] for row in run.history} >= set(range(1, 50))
        assert [version.name for version in run.used] == [f"{ENTITY}/trashlens/trashnet:v0"]
        assert server.artifact(f"{ENTITY}/trashlens/baseline:run-{run.id}").run is run
        tables = [version for version in run.logged if "test/predictions.table.json" in version.files]
        assert len(tables) == 1


def test_interrupted_a_run_ends_at_once_with_all_it_has(recipe_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    command = [sys.executable, "-m", "trashlens", "train", str(recipe_file), "--schedule.epochs=500"]
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + TIMEOUT_SEC
    while not list(output.glob("state/*/progress.json")):
        assert process.poll() is None, "the run ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches W&B's own process too
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "Interrupted."
    assert "Traceback" not in said
    assert read_record(output)["epoch"] >= 1
    (run,) = find_runs([tmp_path])
    assert run.exit_code == 1
    assert run.summary["epoch"] == len([row for row in run.history if "val/accuracy" in row])
    assert (
        main(["train", str(recipe_file), "--schedule.epochs=500", "--seed=9"]) == 2
    )  # the state is kept


def test_a_full_disk_under_wandb_alone_does_not_stop_training(recipe_file: Path, tmp_path: Path) -> None:
    small, output = tmp_path / "small", tmp_path / "run"
    small.mkdir()
    output.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "trashlens-test", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted as root")
    try:
        (output / "wandb").symlink_to(small)
        result = subprocess.run(
            [sys.executable, "-m", "trashlens", "train", str(recipe_file), "--schedule.epochs=4"],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SEC,
        )
        assert os.statvfs(small).f_bfree == 0
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert result.returncode == 0, result.stderr
    assert "W&B stopped recording (OSError: [Errno 28] No space left on device" in result.stderr
    assert "Traceback" not in result.stderr
    assert read_record(output)["complete"]
    assert read_record(output)["test"]["photos"] == 18


def test_a_disk_too_small_for_the_state_leaves_a_whole_checkpoint(
    recipe_file: Path, tmp_path: Path
) -> None:
    # No file over 600 kB: enough for the network's weights, too little for the optimiser's state.
    limited = (
        "import resource, sys; from trashlens.__main__ import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000)); sys.exit(main(sys.argv[1:]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", limited, "train", str(recipe_file)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SEC,
    )
    assert result.returncode == 2, result.stderr
    said = result.stderr.splitlines()[-1]
    assert said.startswith("trashlens train: The state after epoch 1 could not be written")
    assert read_checkpoint(tmp_path / "run").record["epoch"] == 1
    assert main(["train", str(recipe_file)]) == 0  # with room, it goes on


def test_a_folder_that_wandb_cannot_write_costs_a_sentence(
    recipe_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "wandb").touch()
    assert main(["train", str(recipe_file)]) == 0
    assert "W&B did not start offline" in caplog.text
    assert read_record(tmp_path / "run")["run"] is None


def test_without_test_photos_a_run_says_so(
    recipe_file: Path, processed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "data" / "processed"
    folder.mkdir(parents=True)
    for name in ("train", "val", "data.json"):
        (folder / name).symlink_to(processed / name)
    assert main(["train", str(recipe_file), f"--data.folder={tmp_path / 'data'}"]) == 0
    assert "There are no prepared test photos: the run has no test numbers." in caplog.text
    assert "test" not in read_record(tmp_path / "run")
