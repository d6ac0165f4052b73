"""The Space: what is staged, the check before, the deployment, and the way back."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import TOKEN, Fault, Hub, connect_hub
from huggingface_hub import SpaceCard
from packaging.requirements import Requirement

from trashlens.__main__ import main
from trashlens.bundle import ROLES, load_bundle, load_bundles
from trashlens.errors import BundleError, HubError
from trashlens.hub import space as space_module
from trashlens.hub.changes import Files
from trashlens.hub.checking import check_answer, find_fault, run_app
from trashlens.hub.checkout import Checkout
from trashlens.hub.client import connect
from trashlens.hub.repository import Outcome, Repository
from trashlens.hub.space import DeployConfig, deploy
from trashlens.hub.staging import list_files, stage_space

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

ROOT = Path(__file__).parents[1]
SPACE = "ada/lens"
QUICK = DeployConfig(timeout_s=45, answer_s=0.5, poll_s=0.1)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with connect_hub(monkeypatch, tmp_path / "cache") as server:
        yield server


@pytest.fixture
def staged(toy_models: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "staged"
    folder.mkdir()
    stage_space(folder, checkout=Checkout(root=ROOT), models=toy_models, model_repo="ada/trash")
    for role, bundle in load_bundles(folder / "models").items():
        assert bundle.provenance["hub"] == {"repo": "ada/trash"}
        assert bundle.sha256 == load_bundle(toy_models, role).sha256
    return folder


def short_ids(models: Path) -> dict[str, str]:
    return {role: bundle.short_id for role, bundle in load_bundles(models).items()}


def deploy_files(files: Files, bundles: dict[str, str]) -> Outcome:
    repository = Repository(api=connect(), name=SPACE, kind="space")
    return deploy(repository, files, bundles=bundles, message="Deploy", config=QUICK)


def contents(files: Files) -> dict[str, bytes]:
    return {path: Path(source).read_bytes() for path, source in files.items()}


def test_what_is_staged_is_what_serving_needs(staged: Path) -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src/trashlens"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    package = {path.removeprefix("src/") for path in listed if (ROOT / path).is_file()}
    wings = ("training", "hub", "benchmark", "commands", "__main__.py")
    serving = {path for path in package if path.split("/")[1] not in wings}
    bundles = {f"models/{role}/{name}" for role in ROLES for name in ("bundle.json", "model.onnx")}
    around = {"app.py", "README.md", "requirements.txt", ".gitattributes"}
    assert set(list_files(staged)) == serving | bundles | around
    assert "trashlens/ui/style.css" in serving
    assert (staged / "app.py").read_bytes() == (ROOT / "app.py").read_bytes()


def test_copies_for_webcams_are_staged_and_a_damaged_one_is_refused(
    toy_models: Path, tmp_path: Path
) -> None:
    models, folder = Path(shutil.copytree(toy_models, tmp_path / "models")), tmp_path / "staged"
    shutil.copytree(models / "teacher", models / "live" / "teacher")
    folder.mkdir()
    stage_space(folder, checkout=Checkout(root=ROOT), models=models)
    staged = {path for path in list_files(folder) if path.startswith("models/live/")}
    assert staged == {f"models/live/teacher/{name}" for name in ("bundle.json", "model.onnx")}
    (models / "live" / "teacher" / "model.onnx").write_bytes(b"cut")
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(BundleError, match=r"SHA-256 of .*live"):
        stage_space(folder, checkout=Checkout(root=ROOT), models=models)


def test_the_requirements_are_the_locks_pins(staged: Path) -> None:
    lock = json.loads((ROOT / "Pipfile.lock").read_text())["default"]
    requirements = [Requirement(line) for line in (staged / "requirements.txt").read_text().splitlines()]
    assert {r.name: str(r.specifier) for r in requirements} == {
        name: pin["version"] for name, pin in lock.items() if name != "trashlens"
    }
    markers = {r.name: str(r.marker).replace('"', "'") for r in requirements if r.marker}
    assert markers == {name: pin["markers"] for name, pin in lock.items() if "markers" in pin}
    assert next(r for r in requirements if r.name == "jsonargparse").extras == {"signatures"}


def test_the_readme_configures_the_space(staged: Path) -> None:
    data = SpaceCard.load(staged / "README.md").data.to_dict()
    lock = json.loads((ROOT / "Pipfile.lock").read_text())["default"]
    assert data["sdk"] == "gradio"
    assert f"=={data['sdk_version']}" == lock["gradio"]["version"]
    assert data["python_version"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert data["app_file"] == "app.py"
    assert data["models"] == ["ada/trash"]
    assert len(data["short_description"]) <= 60  # or the Hub refuses the commit


def test_only_a_checkout_can_be_staged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "publish",
        "space",
        SPACE,
        f"--root={tmp_path}",
        f"--models={ROOT / 'models'}",
        "--dry-run",
    ]
    assert main(command) == 2
    assert "has no app.py. Run this in a checkout" in capsys.readouterr().err


def test_a_deployment_answers_and_the_same_again_makes_no_commit(
    hub: Hub, staged: Path, toy_models: Path
) -> None:
    files, bundles = list_files(staged), short_ids(toy_models)
    outcome = deploy_files(files, bundles)
    repo = hub.repos["space", SPACE]
    assert repo.files == contents(files)
    assert [commit.oid for commit in repo.commits][1:] == [outcome.commit]
    hub.asleep = True
    asked = len(hub.requests)
    assert not deploy_files(files, bundles).changes
    assert f"POST /api/spaces/{SPACE}/restart" in hub.requests[asked:]
    # The same page with other bundles than these is not the one that was meant.
    with pytest.raises(HubError, match="the student answers from the bundle") as raised:
        deploy_files(files, {**bundles, "student": "0" * 12})
    assert "Nothing was changed." in str(raised.value)
    assert len(repo.commits) == 2


def break_app(staged: Path) -> Files:
    """Return the staged files, changed so that the app ends at once."""
    (staged / "app.py").write_text("raise SystemExit('no page today')")
    (staged / "new.txt").write_text("new")
    (staged / "trashlens" / "ui" / "style.css").unlink()
    return list_files(staged)


def test_a_broken_deployment_is_taken_back(hub: Hub, staged: Path) -> None:
    repo = hub.add("space", SPACE, contents(list_files(staged)))
    good = dict(repo.files)
    with pytest.raises(HubError, match="does not work with commit") as raised:
        deploy_files(break_app(staged), {})
    said = str(raised.value)
    assert "stage RUNTIME_ERROR" in said
    assert f"The files of {repo.commits[0].oid[:12]} are back, as {repo.commits[2].oid[:12]}" in said
    assert f"{hub.url}/spaces/{SPACE}?logs=build" in said
    assert len(repo.commits) == 3
    assert {"app.py", "new.txt"} < set(repo.commits[1].files) - {"trashlens/ui/style.css"}
    assert repo.files == good


def test_a_broken_first_version_has_nothing_to_go_back_to(hub: Hub, staged: Path) -> None:
    with pytest.raises(HubError, match="It is the first version, so there is none to go back to"):
        deploy_files(break_app(staged), {})
    assert len(hub.repos["space", SPACE].commits) == 2


def test_nobody_elses_commit_is_undone(hub: Hub, staged: Path) -> None:
    repo = hub.add("space", SPACE, contents(list_files(staged)))
    hub.on_runtime = lambda: repo.commit("meanwhile", {**repo.files, "theirs.txt": b"theirs"})
    with pytest.raises(HubError, match="Going back failed too") as raised:
        deploy_files(break_app(staged), {})
    assert "someone else has committed to ada/lens since" in str(raised.value)
    assert repo.files["theirs.txt"] == b"theirs"


def test_a_hub_that_cannot_say_how_the_space_is_costs_no_rollback(
    hub: Hub, staged: Path, toy_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.1)))
    hub.faults.append(Fault("/runtime", status=500, times=10))
    outcome = deploy_files(list_files(staged), short_ids(toy_models))
    assert hub.faults[0].times == 0
    assert hub.repos["space", SPACE].commits[-1].oid == outcome.commit


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError("not\nforeseen")])
def test_whatever_stops_the_wait_takes_the_deployment_back(
    hub: Hub,
    staged: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    stop: type[BaseException] | BaseException,
) -> None:
    repo = hub.add("space", SPACE, contents(list_files(staged)))
    good = dict(repo.files)

    def break_off(_: float) -> None:
        raise stop

    monkeypatch.setattr(time, "sleep", break_off)  # as Ctrl-C between two looks would
    is_user = stop is KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt if is_user else HubError) as raised:
        deploy_files(break_app(staged), {})
    assert len(repo.commits) == 3
    assert repo.files == good
    reason = "the wait was interrupted" if is_user else "ValueError: not"
    assert f"{reason}. The files of" in (caplog.text if is_user else str(raised.value))


def test_a_hub_that_does_not_name_the_running_commit_costs_no_rollback(
    hub: Hub, staged: Path, toy_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space_module, "GRACE_S", 1.0)
    hub.names_commit = False
    outcome = deploy_files(list_files(staged), short_ids(toy_models))
    assert hub.repos["space", SPACE].commits[-1].oid == outcome.commit


ODD_APP = """
import gradio, json
def classify(photo):
    return json.loads(open("answer.json").read())
gradio.Interface(classify, gradio.Image(type="filepath"), "json", api_name="classify").launch()
"""


def test_an_answer_of_another_shape_is_a_wrong_answer(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(ODD_APP)
    right = {"label": "glass", "confidences": {"glass": 0.75, "trash": 0.25}, "bundle": "0" * 12}
    wrong = [
        [right],
        {"results": [right]},
        {"results": {"student": [right]}},
        {"results": {"student": {**right, "confidences": {"glass": float("nan"), "trash": 0.25}}}},
        {"results": {"student": {**right, "confidences": {"glass": 0.75, "trash": 0.75}}}},
        *({"results": {"student": {k: v for k, v in right.items() if k != key}}} for key in right),
    ]
    bundles = {"student": "0" * 12}
    with run_app(tmp_path, python=Path(sys.executable), scratch=tmp_path) as url:
        for answer in wrong:
            (tmp_path / "answer.json").write_text(json.dumps(answer))
            with pytest.raises(HubError):
                check_answer(url, bundles=bundles)
        (tmp_path / "answer.json").write_text(json.dumps({"results": {"student": right}}))
        check_answer(url, bundles=bundles)


def test_what_is_no_number_is_no_confidence() -> None:
    result = {"label": "glass", "confidences": {"glass": float("nan"), "trash": 0.25}, "bundle": "0"}
    answer = {"results": {"student": result}}
    assert find_fault(answer, {"student": "0"}) == "the student's answer is no distribution over classes"


APP = """
import http.server, json, os
open("environment.json", "w").write(json.dumps(dict(os.environ)))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        open("headers.txt", "a").write(str(self.headers))
        self.send_error(404)
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"])), Handler).serve_forever()
"""


def test_the_checked_app_and_whatever_answers_see_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("TRASHLENS_MODELS", "elsewhere")
    (tmp_path / "app.py").write_text(APP)
    with (
        run_app(tmp_path, python=Path(sys.executable), scratch=tmp_path) as url,
        pytest.raises(HubError, match="did not answer a photo"),
    ):
        check_answer(url, bundles={})
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert TOKEN not in environment.values()
    assert not {name for name in environment if name.startswith(("TRASHLENS", "PYTHONPATH", "HF_"))}
    assert "user-agent" in (tmp_path / "headers.txt").read_text().lower()
    assert TOKEN not in (tmp_path / "headers.txt").read_text()


def test_an_app_that_ends_is_no_page(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise SystemExit('no bundles here')")
    with (
        pytest.raises(HubError, match="does not start: no bundles here"),
        run_app(tmp_path, python=Path(sys.executable), scratch=tmp_path),
    ):
        pass


def test_the_command_checks_in_a_clean_environment_and_goes_back_when_the_space_fails(
    hub: Hub, staged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={tmp_path}", "idna"]
    if subprocess.run(pip, capture_output=True).returncode:
        pytest.skip("no package index can be reached")
    repo = hub.add("space", SPACE, contents(list_files(staged)))
    good = dict(repo.files)
    models = Path(shutil.copytree(ROOT / "models", tmp_path / "committed"))
    command = ["publish", "space", SPACE, f"--root={ROOT}", f"--models={models}", "--poll_s=0.1"]
    hub.broken_starts = 1
    assert main(command) == 2
    output = capsys.readouterr()
    assert "stage RUNTIME_ERROR" in output.err
    assert "are back" in output.err
    assert TOKEN not in output.out + output.err
    assert repo.files == good
    published = repo.commits[1].files
    assert published["models/teacher/model.onnx"] == (models / "teacher" / "model.onnx").read_bytes()
