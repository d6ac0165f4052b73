"""A study as W&B remembers it: read back from the files of real offline runs, then synced to a server."""

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb
import yaml
from accelerate.state import AcceleratorState
from conftest import LABELS
from PIL import Image
from wandb_server import ENTITY, ORGANIZATION, WandbServer

from trashlens.__main__ import main
from trashlens.bundle import ROLES, Bundle
from trashlens.training.report import evaluate_bundles, labelled_photos
from trashlens.training.tracking.records import RecordedRun, find_runs, read_records

TIMEOUT_SEC = 120


@pytest.fixture(scope="module")
def study(processed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A teacher, a baseline and a student, trained, exported and evaluated without a key."""
    folder = tmp_path_factory.mktemp("study")
    shutil.copytree(processed, folder / "data" / "processed")
    manifest = b"path,class,split,sha256\n"
    (folder / "data" / "trashnet-official.csv").write_bytes(manifest)
    data = folder / "data" / "processed" / "data.json"
    record = {**json.loads(data.read_text()), "manifest_sha256": hashlib.sha256(manifest).hexdigest()}
    data.write_text(json.dumps(record))
    settings = {
        "network": {"name": "test_efficientnet", "weights": "none"},
        "preprocess": {"size_px": 32},
        "augment": {"size_px": 32},
        "loader": {"batch_size": 8},
        "schedule": {"epochs": 2, "learning_rate": 0.01},
        "precision": "no",
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(settings))
    wandb.teardown()  # or the variable that leads to its process would come back below, without the process
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            patch.delenv(name)
        patch.setenv("NETRC", str(folder / "netrc"))
        patch.chdir(folder)
        for role in ROLES:
            AcceleratorState._reset_state(reset_partial_state=True)
            teacher = ["--objective.distill.teacher=runs/teacher"] if role == "student" else []
            options = [f"--role={role}", f"--output=runs/{role}", *teacher]
            assert main(["train", "recipe.yaml", *options, f"--seed={ROLES.index(role)}"]) == 0
            assert main(["export", f"runs/{role}", "--models=models"]) == 0
        photos = labelled_photos(Path("data/processed/test"), LABELS)
        patch.setattr("trashlens.training.report.measure_memory", lambda *_: {})
        evaluate_bundles(Path("models"), photos, write=True, runs=Path("runs/evaluate"))
        wandb.teardown()  # waits until W&B's own process has written everything
        yield folder


DAMAGED = {"empty": b"", "header": b":W&B\xad\xbe\x00", "other": b"something else"}


def add_file(runs: Path, name: str, content: bytes) -> Path:
    """Write a run's file where W&B would."""
    file = runs / "wandb" / f"offline-run-20260101_000000-{name}" / f"run-{name}.wandb"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return file


def run_of(study: Path, name: str) -> RecordedRun:
    (run,) = find_runs([study / "runs" / name])
    return run


def checkpoint_of(study: Path, role: str) -> dict:
    return json.loads((study / "runs" / role / "checkpoint.json").read_text())


def test_a_training_run_says_what_it_was_made_with(study: Path) -> None:
    run, record = run_of(study, "student"), checkpoint_of(study, "student")
    assert (run.id, run.project) == (record["run"]["id"], "trashlens")
    assert (run.name, run.job_type, run.group) == ("student", "train", "student test_efficientnet")
    assert run.exit_code == 0
    assert run.config["recipe"] == record["recipe"]
    assert run.config["environment"]["commit"] == record["environment"]["commit"]
    assert run.config["data"]["manifest_sha256"] == record["data"]["manifest_sha256"]


def test_its_history_has_every_step_and_every_epoch(study: Path) -> None:
    run, record = run_of(study, "student"), checkpoint_of(study, "student")
    steps = [row for row in run.history if "step/loss" in row]
    assert [row["_step"] for row in steps] == list(range(1, 13))
    for name in ("step/supervised", "step/kd", "step/learning_rate", "step/photos_per_sec"):
        assert all(row[name] > 0 for row in steps), name
    epochs = [row for row in run.history if "epoch" in row and "val/accuracy" in row]
    assert [row["_step"] for row in epochs] == [6, 12]
    for row, epoch in zip(epochs, record["history"], strict=True):
        assert {name: row[name] for name in epoch} == epoch


def test_its_summary_is_the_best_epoch_and_the_test_photos(study: Path) -> None:
    for role in ROLES:
        run, record = run_of(study, role), checkpoint_of(study, role)
        assert run.summary["best_epoch"] == record["epoch"]
        assert run.summary["val/accuracy"] == record["val"]["val/accuracy"]
        test = record["test"]
        assert test["photos"] == run.summary["test/photos"] == 18
        for name in ("accuracy", "macro_f1", "ece"):
            assert run.summary[f"test/{name}"] == pytest.approx(test[name])
        interval = [run.summary["test/accuracy_low"], run.summary["test/accuracy_high"]]
        assert interval == pytest.approx(test["accuracy_interval"])


def test_its_mistakes_are_a_table_with_pictures_the_worst_first(study: Path) -> None:
    run = run_of(study, "baseline")
    (artifact,) = [a for a in run.tables if "test/predictions.table.json" in a["files"]]
    table = json.loads(Path(artifact["files"]["test/predictions.table.json"]).read_text())
    columns = table["columns"]
    assert columns[:5] == ["photo", "true", "predicted", "probability", "loss"]
    assert columns[5:] == [f"p({label})" for label in LABELS]
    rows = [dict(zip(columns, row, strict=True)) for row in table["data"]]
    losses = [row["loss"] for row in rows]
    assert losses == sorted(losses, reverse=True)
    right = sum(row["true"] == row["predicted"] for row in rows)
    assert right / len(rows) == checkpoint_of(study, "baseline")["test"]["accuracy"]
    for row in rows:
        assert row["probability"] == row[f"p({row['predicted']})"]
        with Image.open(artifact["files"][row["photo"]["path"]]) as picture:
            assert picture.format == "JPEG"
            assert max(picture.size) <= 128
        assert row["photo"]["caption"].startswith(row["true"])


def test_its_confusion_matrix_is_that_of_the_checkpoint(study: Path) -> None:
    run = run_of(study, "baseline")
    (artifact,) = [a for a in run.tables if "test/confusion_table.table.json" in a["files"]]
    rows = json.loads(Path(artifact["files"]["test/confusion_table.table.json"]).read_text())["data"]
    counted = {(true, predicted): count for true, predicted, count in rows}
    expected = checkpoint_of(study, "baseline")["test"]["confusion"]
    assert [[counted[true, predicted] for predicted in LABELS] for true in LABELS] == expected


def test_each_version_names_what_it_was_made_from(study: Path) -> None:
    teacher, student = run_of(study, "teacher"), run_of(study, "student")
    (data,) = teacher.used
    assert (data["name"], data["type"], data["alias"]) == ("trashnet", "dataset", data["sha256"][:12])
    held = {name: Path(path).read_bytes() for name, path in data["files"].items()}
    assert held == {"trashnet-official.csv": (study / "data" / "trashnet-official.csv").read_bytes()}
    reference = {key: data[key] for key in ("name", "type", "alias", "sha256")}
    (given,) = teacher.given
    assert (given["name"], given["type"], given["alias"]) == ("teacher", "model", f"run-{teacher.id}")
    assert set(given["files"]) == {"model.safetensors", "checkpoint.json"}
    assert given["inputs"] == [reference]
    weights = hashlib.sha256((study / "runs/teacher/model.safetensors").read_bytes()).hexdigest()
    assert given["sha256"] == weights == checkpoint_of(study, "student")["inputs"]["teacher"]
    (distilled,) = student.given
    of_teacher = {key: given[key] for key in ("name", "type", "alias", "sha256")}
    assert distilled["inputs"] == [reference, of_teacher]


def test_the_evaluation_gives_the_bundles_as_they_lie_on_disk(study: Path) -> None:
    run = run_of(study, "evaluate")
    assert run.job_type == "evaluate"
    assert [version["name"] for version in run.given] == [f"{role}-bundle" for role in ROLES]
    for role, version in zip(ROLES, run.given, strict=True):
        bundle = Bundle.load(study / "models" / role)
        assert (version["type"], version["sha256"]) == ("bundle", bundle.sha256)
        assert set(version["aliases"]) == {bundle.sha256[:12], "candidate"}
        for name, path in version["files"].items():
            assert Path(path).read_bytes() == (study / "models" / role / name).read_bytes()
        (checkpoint,) = run_of(study, role).given
        assert [i["name"] for i in version["inputs"]] == ["trashnet", role]
        assert version["inputs"][1] == {k: checkpoint[k] for k in ("name", "type", "alias", "sha256")}
        assert bundle.provenance["run"]["id"] == run_of(study, role).id
        assert run.summary[f"{role}/accuracy"] == bundle.metrics["test"]["accuracy"]


def test_the_evaluation_says_who_is_better_than_whom(study: Path) -> None:
    (artifact,) = [a for a in run_of(study, "evaluate").tables if "pairs.table.json" in a["files"]]
    table = json.loads(Path(artifact["files"]["pairs.table.json"]).read_text())
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert len(rows) == 6
    for row in rows:
        bundle = Bundle.load(study / "models" / row["network"])
        pair = bundle.metrics["test"]["paired"][row["against"]]
        assert (row["difference"], row["p"]) == (pair["difference"], pair["p"])
        assert [row["difference_low"], row["difference_high"]] == pair["difference_interval"]
        assert (row["only_other"], row["only_network"]) == (pair["only_other"], pair["only_own"])


def test_the_runs_lie_where_training_wrote_and_nowhere_else(study: Path) -> None:
    for run in find_runs([study / "runs"]):
        for version in (*run.used, *run.given, *run.tables):
            assert all(Path(path).is_relative_to(study / "runs") for path in version["files"].values())


def test_the_lineage_is_listed_without_any_server(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sync", "--list", str(study / "runs")]) == 0
    lines = capsys.readouterr().out.splitlines()
    ids = {name: run_of(study, name).id for name in (*ROLES, "evaluate")}
    assert lines[0].startswith("trashnet:")
    assert lines[1].startswith(f"├─ run {ids['teacher']} teacher (train, code ")
    assert lines[2].startswith(f"│  └─ teacher:run-{ids['teacher']} (model, sha256 ")
    (student,) = [line for line in lines if f"run {ids['student']} student (train" in line]
    assert student.startswith("│     ")
    assert student.endswith(f", with {lines[0].split(' ')[0]}")
    for role in ROLES:
        (bundle,) = [line for line in lines if f" {role}-bundle:" in line]
        before = lines[lines.index(bundle) - 1]
        assert f"run {ids['evaluate']} evaluate" in before
        assert bundle.index("└─") == before.index("run ")


def test_a_cut_off_record_is_read_up_to_the_cut(study: Path, tmp_path: Path) -> None:
    whole = run_of(study, "teacher")
    add_file(tmp_path, "cut", whole.file.read_bytes()[: whole.file.stat().st_size // 2])
    (run,) = find_runs([tmp_path])
    assert run.id == whole.id
    assert 0 < len(run.history) < len(whole.history)
    assert run.history == whole.history[: len(run.history)]


def test_a_torn_record_does_not_spoil_the_next_one(study: Path, tmp_path: Path) -> None:
    whole = run_of(study, "teacher").file
    records = list(read_records(whole))
    torn = tmp_path / "run-torn.wandb"
    # The first piece of a record that never ended, in front of what was written after.
    piece = struct.pack("<IHB", 0, 5, 2) + b"never"
    data = whole.read_bytes()
    assert len(data) + len(piece) < 32 * 1024
    torn.write_bytes(data[:7] + piece + data[7:])
    assert list(read_records(torn)) == records


def test_what_cannot_be_read_is_named_beside_the_rest(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = shutil.copytree(study / "runs" / "teacher", tmp_path / "runs")
    for name, content in DAMAGED.items():
        add_file(runs, name, content)
    assert main(["sync", "--list", str(runs)]) == 2
    said = capsys.readouterr()
    assert f"run {run_of(study, 'teacher').id} teacher" in said.out
    other, empty, header = sorted(said.err.splitlines(), key=lambda line: "ends before" in line)
    assert other.endswith("run-other.wandb is not a run that W&B recorded.")
    for line in (empty, header):
        assert line.endswith("ends before it says which run it is: it has just begun, or was killed.")


def sync(study: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trashlens", "sync"],
        cwd=study,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SEC,
    )


def test_without_a_key_or_a_server_sync_says_so(study: Path) -> None:
    result = sync(study, {})
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("trashlens sync: W&B needs a key")
    with WandbServer() as server:
        environment = {**server.environment, "WANDB_MODE": "online"}
    result = sync(study, environment)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("trashlens sync: W&B let nobody in (no answer)")
    assert environment["WANDB_API_KEY"] not in result.stderr


RECORDING = """
import sys, time, wandb
with wandb.init(project="trashlens", id="alive", mode="offline", settings={"silent": True}) as run:
    for step in range(300):
        run.log({"loss": 1.0, "padding": "x" * 500}, step=step)
    print("recording", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that goes on until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", RECORDING], cwd=tmp_path, stdin=-1, stdout=-1, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "recording\n"
    deadline = time.monotonic() + TIMEOUT_SEC
    while not [run for run in find_runs([tmp_path]) if run.id == "alive"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield process
    process.communicate()


def test_a_run_that_must_wait_does_not_hinder_the_others(
    study: Path, tmp_path: Path, recording: subprocess.Popen[str]
) -> None:
    (tmp_path / "runs").symlink_to("wandb")
    shutil.copytree(study / "runs" / "teacher", tmp_path / "wandb" / "teacher")
    for name, content in DAMAGED.items():
        add_file(tmp_path, name, content)
    whole = run_of(study, "baseline")
    killed = add_file(tmp_path, "killed", whole.file.read_bytes()[: whole.file.stat().st_size // 2])
    (cut,) = [run for run in find_runs([tmp_path]) if run.file == killed]
    server = WandbServer()
    with server:
        environment = {**server.environment, "WANDB_APP_URL": "https://pages.example/wandb/"}
        result = sync(tmp_path, environment)
        assert (result.returncode, result.stdout.splitlines()[-1]) == (
            2,
            "2 runs synced.",
        ), result.stderr
        problems = [line for line in result.stderr.splitlines() if not line.startswith("wandb:")]
        assert len(problems) == 1 + len(DAMAGED)
        assert "Run alive is still being recorded: sync it when it has ended." in problems
        arrived = {run.id: run for run in server.runs.values()}
        assert set(arrived) == {whole.id, run_of(study, "teacher").id}
        assert len(arrived[whole.id].history) == len(cut.history) > 0
        teacher = arrived[run_of(study, "teacher").id]
        assert [version.name for version in teacher.used] == [f"{ENTITY}/trashlens/trashnet:v0"]
        record = json.loads((tmp_path / "wandb" / "teacher" / "checkpoint.json").read_text())
        expected = f"https://pages.example/wandb/{ENTITY}/trashlens/runs/{teacher.id}"
        assert record["run"]["url"] == expected

        recording.communicate()
        result = sync(tmp_path, environment)
        assert (result.returncode, result.stdout.splitlines()[-1]) == (
            2,
            "1 runs synced.",
        ), result.stderr
        assert len(server.runs[f"{ENTITY}/trashlens/alive"].history) == 300
        assert server.unknown == []


def test_a_registry_that_refuses_is_named_and_nothing_is_uploaded_again(
    study: Path, tmp_path: Path
) -> None:
    shutil.copytree(study / "runs" / "evaluate", tmp_path / "runs" / "evaluate")
    answers = {"model": "the registry model accepts no bundle", "none-such": "not found: 'none-such'"}
    with WandbServer() as server:
        uploads = []
        for registry, answer in answers.items():
            result = sync(tmp_path, {**server.environment, "WANDB_REGISTRY": registry})
            assert result.returncode == 2
            assert result.stdout.splitlines()[-1] == "1 runs synced.", result.stderr
            links = [line for line in result.stderr.splitlines() if "did not link" in line]
            assert len(links) == len(ROLES)
            assert f" is uploaded, but W&B did not link it to the registry {registry} (" in links[0]
            assert answer in links[0]
            assert "a registry of this name that accepts the type `bundle`; WANDB_REGISTRY" in links[0]
            uploads.append(server.requests.count("UpsertBucket"))
        result = sync(tmp_path, server.environment)
        assert "did not link" not in result.stderr
        assert uploads == [server.requests.count("UpsertBucket")] * len(answers)
        for role in ROLES:
            linked = server.artifact(f"{ORGANIZATION}/wandb-registry-trashlens/trashlens-{role}")
            assert linked is server.artifact(f"{ENTITY}/trashlens/{role}-bundle:candidate")


def test_sync_uploads_the_study_and_ties_it_together_once(study: Path) -> None:
    ids = {name: run_of(study, name).id for name in (*ROLES, "evaluate")}
    before = {role: (study / "models" / role / "bundle.json").read_bytes() for role in ROLES}
    place = f"{ENTITY}/trashlens"
    with WandbServer() as server:
        result = sync(study, server.environment)
        assert (result.returncode, result.stdout.splitlines()[-1]) == (
            0,
            "4 runs synced.",
        ), result.stderr
        used = {run.id: [version.name for version in run.used] for run in server.runs.values()}
        data, teacher = f"{place}/trashnet:v0", f"{place}/teacher:v0"
        assert used[ids["teacher"]] == used[ids["baseline"]] == [data]
        assert used[ids["student"]] == [data, teacher]
        checkpoints = [f"{place}/{role}:v0" for role in ROLES]
        assert sorted(used[ids["evaluate"]]) == sorted([data, *checkpoints])
        for role in ROLES:
            bundle = server.artifact(f"{place}/{role}-bundle:candidate")
            linked = server.artifact(f"{ORGANIZATION}/wandb-registry-trashlens/trashlens-{role}")
            assert bundle is not None
            assert bundle is linked
            assert bundle.run.id == ids["evaluate"]
            assert bundle.files["bundle.json"] == before[role]
        run = server.runs[f"{place}/{ids['student']}"]
        assert (len(run.history), run.exit_code) == (13, 0)
        assert run.summary["test/photos"] == 18
        assert not server.unknown
        asked = len(server.requests)
        result = sync(study, server.environment)
        assert (result.returncode, result.stdout) == (0, "Nothing is left to sync.\n")
        assert len(server.requests) == asked
    url = f"{server.url}/{place}/runs/{ids['student']}"
    expected = {"id": ids["student"], "project": "trashlens", "entity": ENTITY, "url": url}
    assert checkpoint_of(study, "student")["run"] == expected
    assert all((study / "models" / r / "bundle.json").read_bytes() == before[r] for r in ROLES)
