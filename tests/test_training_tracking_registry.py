"""Pull and promote, with W&B's real client against the stand-in, and a GitHub that notes what it is asked."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import wandb
from conftest import LABELS, toy_bundle, toy_model
from wandb_server import ENTITY, ORGANIZATION, WandbServer

from trashlens.__main__ import main
from trashlens.bundle import Bundle
from trashlens.training.tracking import remote, web
from trashlens.training.tracking.redeploy import find_repository

PROJECT = f"{ENTITY}/trashlens"
STUDENT = f"{PROJECT}/student-bundle"
TOKEN = "ghp_not-for-anyone's-eyes"


@pytest.fixture
def server(wandb_server: WandbServer, monkeypatch: pytest.MonkeyPatch) -> WandbServer:
    """The stand-in, and nothing that names a GitHub repository."""
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "GITHUB_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)
    return wandb_server


def log(
    folder: Path,
    name: str,
    *aliases: str,
    type_: str = "bundle",
    link: str | None = None,
    **metadata: str,
) -> str:
    """Log a folder as an artifact's next version, as a training run would; return `name:version`."""
    settings = wandb.Settings(silent=True, console="off")
    wandb.setup(settings)
    with wandb.init(entity=ENTITY, project="trashlens", settings=settings) as run:
        artifact = wandb.Artifact(name, type=type_, metadata=metadata)
        artifact.add_dir(str(folder))
        logged = run.log_artifact(artifact, aliases=list(aliases)).wait(20)
        if link is not None:
            run.link_artifact(logged, link)
        return f"{PROJECT}/{logged.name}"


@pytest.fixture
def models(toy_models: Path, tmp_path: Path) -> Path:
    """Bundles in place, from before."""
    return shutil.copytree(toy_models, tmp_path / "models")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A student's bundle other than the one in place."""
    toy_bundle("student", toy_model(sharpness=20.0)).write(tmp_path / "new")
    return tmp_path / "new"


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder by path; records without the version they were pulled as."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for path in [path for path in found if path.endswith("bundle.json")]:
        record = json.loads(found[path])
        record["provenance"].pop("artifact", None)
        found[path] = json.dumps(record).encode()
    return found


def test_pull_puts_the_published_graph_in_place_and_its_record_names_the_version(
    server: WandbServer, models: Path, new: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads((new / "bundle.json").read_text())
    record["provenance"] = {"run": {"id": "abc"}}
    (new / "bundle.json").write_text(json.dumps(record, indent=7))  # not as Bundle.write would
    published = contents(new)
    (new / "notes.txt").write_text("not ours")
    log(new, "student-bundle", "production")
    before = contents(models)
    assert main(["pull", f"wandb:{STUDENT}:production", f"--models={models}"]) == 0
    sha256 = Bundle.load(new).sha256
    assert capsys.readouterr().out == f"student <- {STUDENT}:v0 (sha256 {sha256})\n"
    assert contents(models) == before | {f"student/{name}": data for name, data in published.items()}
    assert Bundle.load(models / "student").provenance["artifact"] == {
        "name": f"{STUDENT}:v0",
        "url": f"{server.url}/{PROJECT}/artifacts/bundle/student-bundle/v0",
    }
    assert server.unknown == []


@pytest.mark.usefixtures("server")
def test_pull_of_a_project_brings_the_roles_that_have_the_alias(
    models: Path, new: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy_bundle("teacher", toy_model(sharpness=80.0)).write(tmp_path / "teacher")
    log(tmp_path / "teacher", "teacher-bundle", "production")
    log(new, "student-bundle", "production")
    log(models / "baseline", "baseline-bundle", "candidate")
    baseline = contents(models / "baseline")
    assert main(["pull", f"wandb:{PROJECT}:production", f"--models={models}"]) == 0
    teacher, kept, student = capsys.readouterr().out.splitlines()
    assert teacher.startswith(f"teacher <- {PROJECT}/teacher-bundle:v0 (sha256 ")
    assert kept == "baseline: no such bundle; the one in place stays."
    assert student.startswith(f"student <- {STUDENT}:v0 (sha256 ")
    assert contents(models / "teacher") == contents(tmp_path / "teacher")
    assert contents(models / "student") == contents(new)
    assert contents(models / "baseline") == baseline


def test_pull_goes_through_the_registry_too_and_needs_no_bundles_in_place(
    server: WandbServer, new: Path, tmp_path: Path
) -> None:
    log(new, "student-bundle", link="wandb-registry-trashlens/trashlens-student")
    registry = f"wandb:{ORGANIZATION}/wandb-registry-trashlens"
    for number, reference in enumerate((f"{registry}/trashlens-student:latest", f"{registry}:latest")):
        models = tmp_path / f"models-{number}"
        assert main(["pull", reference, f"--models={models}"]) == 0
        assert contents(models / "student") == contents(new)
    assert server.unknown == []


@pytest.mark.parametrize("command", ["pull", "promote"])
@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("student-bundle:v0", "'student-bundle:v0' names no bundle. Write wandb:ENTITY/PROJECT/"),
        (f"wandb:{STUDENT}", f"'wandb:{STUDENT}' names no bundle. Write wandb:ENTITY/PROJECT/"),
        (
            "wandb:wandb-registry-trashlens/trashlens-student:v0",
            "'wandb:wandb-registry-trashlens/trashlens-student:v0' lacks the organisation whose registry ",
        ),
        (f"wandb:{PROJECT}/pupil-bundle:v0", "'pupil-bundle' is no role's bundle. There are teacher-"),
    ],
)
def test_a_wrong_reference_is_a_sentence(
    command: str, reference: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, reference]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"trashlens {command}: {sentence}")
    assert said.count("\n") == 1


@pytest.mark.usefixtures("server")
def test_what_wandb_does_not_have_is_a_sentence(
    models: Path, new: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log(new, "student-bundle")
    log(new, "teacher-bundle", type_="model")
    before = contents(models)
    for command, path in [
        ("pull", f"{STUDENT}:v7"),
        ("promote", f"{STUDENT}:production"),
        ("pull", f"{ENTITY}/other/student-bundle:v0"),
        ("pull", f"{PROJECT}/teacher-bundle:v0"),
    ]:
        options = [f"--models={models}"] if command == "pull" else []
        assert main([command, f"wandb:{path}", *options]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"trashlens {command}: W&B has no bundle {path} (")
        assert said.count("\n") == 1
    assert main(["pull", f"wandb:{PROJECT}:production", f"--models={models}"]) == 2
    assert f"W&B has no bundle {PROJECT}/teacher-bundle:production (" in capsys.readouterr().err
    assert contents(models) == before


@pytest.mark.usefixtures("server")
def test_pull_puts_a_checkpoint_among_the_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    (checkpoint / "checkpoint.json").write_text("{}")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    version = log(checkpoint, "teacher", type_="model", sha256=sha256)
    offline = tmp_path / "runs" / "teacher" / "wandb"
    offline.mkdir(parents=True)
    command = ["pull", f"wandb:{PROJECT}/teacher:latest", f"--runs={tmp_path / 'runs'}"]
    assert main(command) == 0
    assert offline.is_dir()
    assert capsys.readouterr().out == f"{tmp_path}/runs/teacher <- {version} (sha256 {sha256})\n"
    assert contents(tmp_path / "runs" / "teacher") == contents(checkpoint)

    (checkpoint / "checkpoint.json").unlink()
    log(checkpoint, "teacher", type_="model", sha256=sha256)
    before = contents(tmp_path / "runs")
    assert main(command) == 2
    assert "is no whole checkpoint" in capsys.readouterr().err
    (checkpoint / "checkpoint.json").write_text("{}")
    (checkpoint / "model.safetensors").write_bytes(b"other weights")
    log(checkpoint, "teacher", type_="model", sha256=sha256)
    assert main(command) == 2
    assert "is no whole checkpoint" in capsys.readouterr().err
    assert contents(tmp_path / "runs") == before

    (tmp_path / "runs" / "teacher" / "state").mkdir()
    assert main(command) == 2
    assert "holds an unfinished run" in capsys.readouterr().err
    assert main(["promote", f"wandb:{PROJECT}/teacher:latest"]) == 2
    assert "Promote one bundle at a time" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"WANDB_API_KEY": ""}, "W&B needs a key: set WANDB_API_KEY or run `wandb login`, and "),
        (
            {"WANDB_MODE": "offline"},
            "W&B needs a key: set WANDB_API_KEY or run `wandb login`, and do not ",
        ),
        ({"WANDB_API_KEY": "short-key"}, "W&B let nobody in (WANDB_API_KEY invalid: "),
        ({"WANDB_API_KEY": "b" * 40}, "W&B let nobody in (Failed to verify credentials with http://"),
    ],
)
@pytest.mark.usefixtures("server")
def test_a_missing_or_refused_key_is_a_sentence_without_the_key(
    variables: dict[str, str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["pull", f"wandb:{STUDENT}:v0"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"trashlens pull: {sentence}")
    assert said.count("\n") == 1
    assert os.environ["WANDB_API_KEY"] not in said or not os.environ["WANDB_API_KEY"]


@pytest.mark.parametrize("way", ["dead", "silent", "failing"])
def test_a_server_that_does_not_answer_costs_the_timeout(
    way: str,
    server: WandbServer,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(remote, "CALL_TIMEOUT_SEC", 1)
    if way == "silent":
        server.hang()
    elif way == "failing":
        server.fail_next(1000, 503)
    else:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
    before, start = contents(models), time.monotonic()
    assert main(["pull", f"wandb:{STUDENT}:v0", f"--models={models}"]) == 2
    assert time.monotonic() - start < 8
    said = capsys.readouterr().err
    assert said.startswith("trashlens pull: W&B let nobody in (no answer). Check WANDB_API_KEY")
    assert said.count("\n") == 1
    assert contents(models) == before


@pytest.mark.parametrize(
    ("request_", "status", "sentence"),
    [
        ("ArtifactMembershipByName", 503, f"W&B could not look for {STUDENT}:production (no answer)."),
        ("ArtifactMembershipFiles", 503, f"W&B could not list {STUDENT}:v0 (no answer)."),
        ("model.onnx", 403, f"W&B refused model.onnx of {STUDENT}:v0 (HTTP 403)."),
        ("bundle.json", 503, "does not answer (HTTP 503)."),
    ],
)
def test_a_server_that_fails_halfway_changes_nothing(
    request_: str,
    status: int,
    sentence: str,
    server: WandbServer,
    models: Path,
    new: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(web, "FIRST_PAUSE_SEC", 0.01)
    log(new, "student-bundle", "production")
    before = contents(models)
    server.fail_next(20, status, request_)
    assert main(["pull", f"wandb:{STUDENT}:production", f"--models={models}"]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert contents(models) == before


def test_a_download_that_fails_now_and_then_is_tried_again(
    server: WandbServer, models: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "FIRST_PAUSE_SEC", 0.01)
    log(new, "student-bundle", "production")
    server.fail_next(2, 502, "model.onnx")
    assert main(["pull", f"wandb:{STUDENT}:production", f"--models={models}"]) == 0
    assert contents(models / "student") == contents(new)


@pytest.mark.parametrize(
    ("command", "damage", "sentence"),
    [
        (
            "pull",
            "graph",
            f"The SHA-256 of {STUDENT}:v0/model.onnx differs from the one in bundle.json.",
        ),
        ("promote", "graph", f"The SHA-256 of {STUDENT}:v0/model.onnx differs from the one in "),
        ("pull", "missing", f"The bundle {STUDENT}:v0 has no readable model.onnx."),
        ("pull", "role", "It is a baseline."),
        ("pull", "runtime", "ONNX Runtime cannot run the student bundle: "),
    ],
)
def test_a_damaged_bundle_changes_nothing(
    command: str,
    damage: str,
    sentence: str,
    server: WandbServer,
    models: Path,
    new: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if damage == "graph":
        (new / "model.onnx").write_bytes(b"changed on the way")
    elif damage == "missing":
        (new / "model.onnx").unlink()
    else:
        bundle = Bundle.load(new)
        damaged = (
            replace(bundle, role="baseline") if damage == "role" else replace(bundle, model=b"none")
        )
        damaged.write(new)
    log(new, "student-bundle", "candidate")
    before = contents(models)
    options = [f"--models={models}"] if command == "pull" else []
    assert main([command, f"wandb:{STUDENT}:candidate", *options]) == 2
    said = capsys.readouterr().err
    assert f"trashlens {command}: {STUDENT}:v0 on W&B cannot be used: {sentence}" in said
    assert said.count("\n") == 1
    assert contents(models) == before
    assert server.collections[STUDENT].aliases.keys() == {"candidate", "latest"}


@pytest.mark.usefixtures("server")
def test_bundles_with_other_labels_stay_out_all_together(
    models: Path, new: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = replace(Bundle.load(new), labels=(*LABELS[:-1], "waste"))
    renamed.write(new)
    toy_bundle("teacher", toy_model(sharpness=80.0)).write(tmp_path / "teacher")
    log(tmp_path / "teacher", "teacher-bundle", "production")
    log(new, "student-bundle", "production")
    before = contents(models)
    assert main(["pull", f"wandb:{PROJECT}:production", f"--models={models}"]) == 2
    assert "The student names cardboard, glass, metal, paper, plastic, waste" in capsys.readouterr().err
    assert contents(models) == before


@pytest.mark.usefixtures("server")
def test_pull_needs_only_wandb_and_the_serving_packages(models: Path, new: Path) -> None:
    log(new, "student-bundle", "production")
    absent = ("accelerate", "datasets", "onnx", "scipy", "sklearn", "timm", "torch", "torchvision")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent}));"
        "from trashlens.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "pull", f"wandb:{STUDENT}:production", f"--models={models}"]
    result = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert contents(models / "student") == contents(new)


class GitHub:
    """Answers with the given statuses, the last one for ever, and notes what it was asked."""

    def __init__(self, *statuses: int) -> None:
        self.asked: list[tuple[str, str | None, dict[str, object]]] = []
        github, left = self, list(statuses)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                github.asked.append((self.path, self.headers["Authorization"], body))
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))

    def __enter__(self) -> "GitHub":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"


def test_promote_moves_the_alias_and_has_github_deploy_that_version(
    server: WandbServer,
    models: Path,
    new: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log(models / "student", "student-bundle", "production")
    log(new, "student-bundle", "candidate")
    monkeypatch.setattr(web, "FIRST_PAUSE_SEC", 0.01)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN + "\n")
    with GitHub(502, 204) as github:
        monkeypatch.setenv("GITHUB_API_URL", github.url)
        reference = f"wandb:{STUDENT}:candidate"
        assert main(["promote", reference, "--github-repo=someone/trashlens"]) == 0
    output = capsys.readouterr()
    assert output.out.splitlines() == [
        f"production <- {STUDENT}:v1",
        f"Before: {STUDENT}:v0. Promote wandb:{STUDENT}:v0 to go back.",
        "someone/trashlens deploys it now.",
    ]
    assert TOKEN not in output.out + output.err
    asked = {"event_type": "promote", "client_payload": {"bundle": f"{STUDENT}:v1"}}
    assert github.asked == [("/repos/someone/trashlens/dispatches", f"Bearer {TOKEN}", asked)] * 2
    assert server.artifact(f"{STUDENT}:production") is server.artifacts[f"{STUDENT}:v1"]
    assert server.artifacts[f"{STUDENT}:v0"].aliases == set()
    assert server.unknown == []


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (
            404,
            "GitHub refused to deploy (HTTP 404). The token must be allowed to write the contents of ",
        ),
        (500, "trashlens promote: 127.0.0.1 does not answer (HTTP 500)."),
    ],
)
def test_when_github_refuses_the_alias_has_moved_and_the_token_is_not_said(
    status: int,
    sentence: str,
    server: WandbServer,
    new: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log(new, "student-bundle")
    monkeypatch.setattr(web, "FIRST_PAUSE_SEC", 0.01)
    monkeypatch.setenv("GH_TOKEN", TOKEN)
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/trashlens")
    with GitHub(status) as github:
        monkeypatch.setenv("GITHUB_API_URL", github.url)
        assert main(["promote", f"wandb:{STUDENT}:v0"]) == 2
    output = capsys.readouterr()
    assert output.out == f"production <- {STUDENT}:v0\n"
    assert sentence in output.err
    assert TOKEN not in output.out + output.err
    assert server.artifact(f"{STUDENT}:production") is server.artifacts[f"{STUDENT}:v0"]


def test_without_a_token_or_for_another_alias_nothing_is_deployed(
    server: WandbServer,
    new: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log(new, "student-bundle")
    monkeypatch.chdir(tmp_path)
    with GitHub(204) as github:
        monkeypatch.setenv("GITHUB_API_URL", github.url)
        assert main(["promote", f"wandb:{STUDENT}:v0", "--github-repo=someone/trashlens"]) == 0
        assert "since GITHUB_TOKEN is not set: start the workflow" in capsys.readouterr().out
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        assert main(["promote", f"wandb:{STUDENT}:v0"]) == 0
        assert "since --github-repo is not given: start the workflow" in capsys.readouterr().out
        monkeypatch.setenv("GITHUB_REPOSITORY", "someone/trashlens")
        assert main(["promote", f"wandb:{STUDENT}:v0", "--alias=staging"]) == 0
        assert capsys.readouterr().out == f"staging <- {STUDENT}:v0\n"
    assert github.asked == []
    assert server.artifacts[f"{STUDENT}:v0"].aliases == {"latest", "production", "staging"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([f"wandb:{PROJECT}:candidate"], "Promote one bundle at a time: wandb:"),
        ([f"wandb:{STUDENT}:v0", "--alias=v3"], "'v3' cannot be given to a version."),
        ([f"wandb:{STUDENT}:v0", "--alias=latest"], "'latest' cannot be given to a version."),
    ],
)
def test_promote_refuses_what_it_cannot_mean(
    arguments: list[str], sentence: str, server: WandbServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", *arguments]) == 2
    assert f"trashlens promote: {sentence}" in capsys.readouterr().err
    assert server.requests == []


@pytest.mark.parametrize(
    ("remote", "repository"),
    [
        ("https://github.com/someone/trash.lens.git", "someone/trash.lens"),
        ("git@github.com:someone/trashlens.git", "someone/trashlens"),
        ("https://github.com/someone/trashlens", "someone/trashlens"),
        ("https://gitlab.com/someone/trashlens.git", None),
        (None, None),
    ],
)
def test_the_repository_is_the_git_remote(
    remote: str | None, repository: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    monkeypatch.chdir(tmp_path)
    if remote:
        subprocess.run(["git", "init", "--quiet"], check=True)
        subprocess.run(["git", "remote", "add", "origin", remote], check=True)
    assert find_repository() == repository
