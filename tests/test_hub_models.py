"""Publishing the models against a stand-in for the Hub: commits, failures, downloads, the card."""

import hashlib
import json
import logging
import shutil
import subprocess
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from conftest import toy_bundle, toy_model
from hub_server import TOKEN, Fault, Hub, connect_hub
from huggingface_hub import ModelCard

from trashlens.__main__ import main
from trashlens.bundle import ROLES, Bundle, load_bundles
from trashlens.errors import BundleError, HubError
from trashlens.hub.card import write_card
from trashlens.hub.checkout import find_source
from trashlens.hub.client import connect
from trashlens.hub.models import publish_models, version_of
from trashlens.hub.repository import Repository
from trashlens.scoreboard import (
    format_objects,
    format_pairs,
    format_rejection,
    format_robustness,
    format_scores,
    format_table,
)

# huggingface_hub 2.4 hands file contents to its HTTP client in a way that this one calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

ROOT = Path(__file__).parents[1]
REPO = "ada/trash"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with connect_hub(monkeypatch, tmp_path / "cache") as server:
        yield server


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
    """Return the files of the bundles by their path in the repository, which their records name."""
    graphs = {f"{role}/model.onnx": (models / role / "model.onnx").read_bytes() for role in ROLES}
    records = {}
    for role in ROLES:
        record = json.loads((models / role / "bundle.json").read_text())
        record["provenance"]["hub"] = {"repo": REPO}
        records[f"{role}/bundle.json"] = f"{json.dumps(record, indent=2)}\n".encode()
    return graphs | records


def test_a_new_repository_gets_everything_in_one_commit(hub: Hub, models: Path) -> None:
    shutil.copytree(models / "teacher", models / "live" / "teacher")  # of the server's concern alone
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
    toy_bundle("student", toy_model(sharpness=30.0)).write(models / "student")
    outcome = publish_models(REPO, models)
    assert set(outcome.changes.changed) == {"README.md", "student/bundle.json", "student/model.onnx"}
    assert set(outcome.changes.deleted) == {"student/old.txt"}
    assert not outcome.changes.added
    assert len(hub.uploads) == uploads + 1
    assert repo.files["notes.txt"] == b"by hand"
    assert {path: repo.files[path] for path in tree_of(models)} == tree_of(models)
    assert len(repo.tags) == 2


def test_someone_elses_commit_in_between_stays_and_ours_comes_on_top(hub: Hub, models: Path) -> None:
    publish_models(REPO, models)
    repo = hub.repos["model", REPO]
    toy_bundle("student", toy_model(sharpness=30.0)).write(models / "student")
    between = Fault(
        "POST /api/models/ada/trash/commit",
        before=lambda: repo.commit("meanwhile", {**repo.files, "notes.txt": b"theirs"}),
    )
    hub.faults.append(between)
    outcome = publish_models(REPO, models)
    assert [commit.title for commit in repo.commits[-2:]] == [
        "meanwhile",
        f"Publish bundles {version_of(models)}",
    ]
    assert outcome.commit == repo.commits[-1].oid
    assert repo.files["notes.txt"] == b"theirs"
    assert repo.files["student/model.onnx"] == toy_model(sharpness=30.0)


def test_if_others_keep_committing_it_gives_up_and_changes_nothing(hub: Hub, models: Path) -> None:
    repo = hub.add("model", REPO)
    where = "POST /api/models/ada/trash/commit"
    hub.faults.append(Fault(where, times=9, before=lambda: repo.commit("again", dict(repo.files))))
    with pytest.raises(HubError, match="Others keep committing to ada/trash"):
        publish_models(REPO, models)
    assert set(repo.files) == {".gitattributes"}


@pytest.mark.parametrize(
    "where",
    ["POST /api/repos/create", "GET /api/models/ada/trash", "POST /api/validate-yaml", "/preupload/"],
)
@pytest.mark.parametrize("status", [429, 500])
def test_a_busy_hub_is_asked_again(
    where: str, status: int, hub: Hub, models: Path, waits: list[float]
) -> None:
    hub.faults.append(Fault(where, status=status, times=2, headers={"Retry-After": "7"}))
    publish_models(REPO, models)
    assert len(hub.repos["model", REPO].commits) == 2
    assert hub.faults[0].times == 0
    assert [wait for wait in waits if wait >= 7]


LIMIT = {"RateLimit": '"api";r=0;t=55', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}
LEFT = {"RateLimit": '"api";r=499;t=200'}


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (429, LIMIT, 56),
        (429, {**LIMIT, "Retry-After": "7"}, 56),
        (429, {"Retry-After": "7"}, 7),
        (429, {"RateLimit": '"api";r=0;t=900'}, 301),
        (429, {"RateLimit": "garbled"}, 1),
        (503, LEFT, 1),
        (503, {**LEFT, "Retry-After": "7"}, 7),
    ],
)
def test_the_hub_says_how_long_to_wait(
    hub: Hub, waits: list[float], status: int, headers: dict[str, str], wait_s: float
) -> None:
    hub.add("model", REPO)
    hub.faults.append(Fault(f"GET /api/models/{REPO}", status=status, headers=headers))
    assert Repository(api=connect(), name=REPO, kind="model").read()
    assert waits == [wait_s]


def test_a_commit_whose_answer_got_lost_is_not_made_twice(
    hub: Hub, models: Path, waits: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults.append(Fault("/commit/", lost=True))
    assert main(["publish", "models", REPO, f"--models={models}", "--checkpoints=none"]) == 0
    assert len(hub.repos["model", REPO].commits) == 2
    assert "+ student/model.onnx" in capsys.readouterr().out
    assert waits


def test_an_upload_that_breaks_off_for_a_moment_goes_through(
    hub: Hub, models: Path, waits: list[float]
) -> None:
    hub.faults.append(Fault("PUT /lfs/", times=2))
    publish_models(REPO, models)
    assert {path: hub.repos["model", REPO].files[path] for path in tree_of(models)} == tree_of(models)
    assert waits


def test_an_interrupted_upload_publishes_nothing_and_the_next_try_works(
    hub: Hub, models: Path, waits: list[float]
) -> None:
    digest = hashlib.sha256((models / "baseline" / "model.onnx").read_bytes()).hexdigest()
    hub.faults.append(Fault(f"PUT /lfs/{digest}", times=99))
    with pytest.raises(HubError, match="could not commit to ada/trash: no connection") as raised:
        publish_models(REPO, models)
    assert "\n" not in str(raised.value)
    assert waits
    assert set(hub.repos["model", REPO].files) == {".gitattributes"}
    hub.faults.clear()
    uploads = len(hub.uploads)
    publish_models(REPO, models)
    assert hub.uploads[uploads:] == [digest]
    assert {path: hub.repos["model", REPO].files[path] for path in tree_of(models)} == tree_of(models)


@pytest.mark.parametrize("status", [400, 403, 500])
def test_a_refusal_is_one_sentence_and_changes_nothing(
    status: int, hub: Hub, models: Path, waits: list[float]
) -> None:
    repo = hub.add("model", REPO)
    hub.faults.append(Fault("/commit/", status=status, times=99, message="no, said the Hub"))
    with pytest.raises(HubError, match=f"could not commit to ada/trash: {status} no, said the Hub"):
        publish_models(REPO, models)
    assert len(repo.commits) == 1
    assert len(waits) == (3 if status == 500 else 0)


def test_a_dry_run_sends_nothing(hub: Hub, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["publish", "models", REPO, f"--models={models}", "--checkpoints=none", "--dry-run"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "does not exist" in said
    assert "+ student/model.onnx (0.3 kB)" in said
    publish_models(REPO, models)
    toy_bundle("student", toy_model(sharpness=30.0)).write(models / "student")
    before = hub.writes()
    assert main(command) == 0
    assert set(capsys.readouterr().out.splitlines()) >= {
        "~ student/model.onnx (0.3 kB)",
        "This was a dry run: nothing was sent.",
    }
    assert hub.writes() == before


def test_a_dry_run_needs_neither_token_nor_connection(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    command = ["publish", "models", REPO, f"--models={models}", "--checkpoints=none"]
    assert main([*command, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "could not read ada/trash" in said
    assert "+ README.md" in said
    assert main(command) == 2
    assert "set HF_TOKEN to it" in capsys.readouterr().err


def test_a_name_that_is_none_is_refused(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(HubError, match="'trash' is no repository of the Hub"):
        publish_models("trash", models)
    with pytest.raises(HubError, match="'lens' is no repository of the Hub"):
        publish_models(REPO, models, space="lens")


def checkpoint_of(bundle: Bundle, folder: Path) -> Path:
    """Write what training would have left behind for a bundle."""
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights of " + bundle.role.encode())
    (folder / "checkpoint.json").write_text(json.dumps({**bundle.provenance, "complete": True}))
    return folder


def test_a_checkpoint_goes_along_if_it_is_the_bundles_own(
    hub: Hub, models: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    for role in ("teacher", "student"):
        traces = {"recipe": {"role": role}, "epoch": 3, "run": None, "inputs": {}, "history": []}
        bundle = replace(Bundle.load(models / role), provenance=traces)
        bundle.write(models / role)
        checkpoint_of(bundle, runs / role)
    record = json.loads((runs / "student" / "checkpoint.json").read_text())
    (runs / "student" / "checkpoint.json").write_text(json.dumps({**record, "epoch": 4}))
    outcome = publish_models(REPO, models, checkpoints=runs)
    files = hub.repos["model", REPO].files
    assert files["teacher/model.safetensors"] == b"weights of teacher"
    assert "student/model.safetensors" not in files
    assert "baseline/model.safetensors" not in files
    (note,) = outcome.notes
    assert "the student's bundle was not exported from it" in note
    # Elsewhere, where there are no runs, the checkpoint stays with its bundle and goes with it.
    assert not publish_models(REPO, models).changes
    toy_bundle("teacher", toy_model(sharpness=30.0)).write(models / "teacher")
    assert set(publish_models(REPO, models).changes.deleted) == {
        "teacher/checkpoint.json",
        "teacher/model.safetensors",
    }


SYNCED = {"id": "0mzhyl13", "project": "trashlens", "entity": "ada", "url": "https://wandb.ai/ada/x"}
WEIGHTS = hashlib.sha256(b"weights of student").hexdigest()


@pytest.mark.parametrize(
    ("known", "changed", "goes_along"),
    [
        ({"checkpoint_sha256": WEIGHTS}, {"run": SYNCED}, True),
        ({"checkpoint_sha256": "0" * 64}, {}, False),
        ({}, {"run": SYNCED}, True),
        ({}, {"run": {**SYNCED, "id": "another"}}, False),
        ({}, {"inputs": {"weights": "others"}}, False),
    ],
)
def test_a_checkpoint_stays_its_bundles_own_when_its_run_is_synced(
    models: Path, tmp_path: Path, known: dict[str, str], changed: dict[str, object], goes_along: bool
) -> None:
    traces = {"recipe": {}, "epoch": 3, "run": {**SYNCED, "entity": None, "url": None}, "inputs": {}}
    bundle = replace(Bundle.load(models / "student"), provenance={**traces, "history": [], **known})
    bundle.write(models / "student")
    record = checkpoint_of(bundle, tmp_path / "runs" / "student") / "checkpoint.json"
    record.write_text(json.dumps({**bundle.provenance, **changed}))
    outcome = publish_models(REPO, models, checkpoints=tmp_path / "runs", dry_run=True)
    assert ("student/model.safetensors" in outcome.changes.added) == goes_along
    assert any("was not exported from it" in note for note in outcome.notes) != goes_along


def test_a_bundle_comes_back_from_the_hub_as_it_was_and_names_its_page(hub: Hub, models: Path) -> None:
    def published() -> Bundle:
        return replace(Bundle.load(models / "student"), provenance={"hub": {"repo": REPO}})

    publish_models(REPO, models)
    first = published()
    pin = version_of(models)
    toy_bundle("student", toy_model(sharpness=30.0)).write(models / "student")
    publish_models(REPO, models)
    assert Bundle.from_hub(REPO, role="student", revision=pin) == first
    assert Bundle.from_hub(REPO) == published() != first
    fetched = len(hub.requests)
    commit = hub.repos["model", REPO].commits[1].oid
    assert Bundle.from_hub(REPO, role="student", revision=commit) == first
    assert len(hub.requests) == fetched


def test_what_is_not_right_on_the_hub_is_refused_in_a_sentence(hub: Hub, models: Path) -> None:
    publish_models(REPO, models)
    repo = hub.repos["model", REPO]
    good = dict(repo.files)
    for role, wrong, said in (
        ("student", {"student/model.onnx": b"damaged\0"}, "The SHA-256 of"),
        ("student", {"student/bundle.json": good["teacher/bundle.json"]}, "holds a teacher bundle"),
        ("assistant", {}, "could not be fetched from the Hub"),
    ):
        repo.commit("wrong", {**good, **wrong})
        with pytest.raises(BundleError, match=said):
            Bundle.from_hub(REPO, role=role, revision=repo.commits[-1].oid)
    with pytest.raises(BundleError, match=r"ada/none@v1 could not be fetched.*RepositoryNotFoundError"):
        Bundle.from_hub("ada/none", role="student", revision="v1")


def read_card() -> tuple[ModelCard, dict[str, Bundle]]:
    bundles = load_bundles(ROOT / "models")
    text = write_card(bundles, repo=REPO, version="v-0123456789ab", space="ada/space")
    return ModelCard(text), bundles


def test_the_cards_front_matter_says_what_the_bundles_say() -> None:
    card, bundles = read_card()
    assert card.data.license == "mit"
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.datasets == ["garythung/trashnet"]
    results = {(r.metric_args["role"], r.metric_type): r for r in card.data.eval_results}
    assert len(results) == len(card.data.eval_results) == 6
    for role, bundle in bundles.items():
        test = bundle.metrics["test"]
        accuracy, macro_f1 = results[role, "accuracy"], results[role, "f1"]
        assert accuracy.metric_value == test["accuracy"]
        interval = [accuracy.metric_args[f"interval_95_{end}"] for end in ("low", "high")]
        assert interval == test["accuracy_interval"]
        assert macro_f1.metric_value == test["macro_f1"]
        assert (accuracy.dataset_type, accuracy.dataset_split) == ("garythung/trashnet", "test")
        data = bundle.provenance["data"]
        assert accuracy.dataset_revision == data["revision"]
        assert accuracy.dataset_args["content_sha256"] == data["content_sha256"]


def test_the_cards_text_is_made_from_the_bundles() -> None:
    card, bundles = read_card()
    assert format_table(bundles) in card.text
    assert format_objects(bundles) in card.text
    assert format_rejection(bundles) in card.text
    assert format_robustness({REPO: bundles}) in card.text
    data = bundles["teacher"].provenance["data"]
    assert data["manifest_sha256"] in card.text
    assert all(f"`{photo}`" in card.text for photo in data["dropped"])
    assert 'revision="v-0123456789ab"' in card.text
    recipes = [yaml.safe_load(block.split("```")[0]) for block in card.text.split("```yaml\n")[1:]]
    assert recipes == [bundle.provenance["recipe"] for bundle in bundles.values()]
    assert "do not tell the two apart" in card.text
    assert bundles["student"].provenance["environment"]["commit"] in card.text
    assert "{{" not in card.text
    assert "{%" not in card.text


def test_a_card_of_unmeasured_bundles_claims_nothing(toy_models: Path) -> None:
    card = ModelCard(write_card(load_bundles(toy_models), repo=REPO, version="v-0"))
    assert card.data.eval_results is None
    assert "images/" not in card.text
    assert "Wilson" not in card.text
    assert "Knowing when not to know" not in card.text


def test_the_card_says_where_the_code_comes_from_if_that_is_known() -> None:
    bundles = load_bundles(ROOT / "models")
    manifest = bundles["teacher"].provenance["data"]["manifest"]
    url = "https://example.org/ada/trashlens"
    known, unknown = (
        ModelCard(write_card(bundles, repo=REPO, version="v-0", source=source)).text
        for source in (url, None)
    )
    assert f"git clone {url} trashlens" in known
    assert "pipenv sync" in known
    assert f"({url}/blob/HEAD/data/{manifest})" in known
    assert (ROOT / "data" / manifest).is_file()
    assert "git clone" not in unknown
    assert f"the source repository's `data/{manifest}`" in unknown


@pytest.mark.parametrize(
    ("remote", "environment", "source"),
    [
        ("git@example.org:ada/trashlens.git", {}, "https://example.org/ada/trashlens"),
        ("https://example.org/ada/trashlens", {}, "https://example.org/ada/trashlens"),
        ("https://ada:hunter2@example.org/ada/trashlens", {}, None),
        ("/home/ada/trashlens", {}, None),
        (
            "/home/ada/trashlens",
            {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "ada/lens"},
            "https://github.com/ada/lens",
        ),
    ],
)
def test_the_source_is_the_remote_or_the_workflows_repository(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    remote: str,
    environment: dict[str, str],
    source: str | None,
) -> None:
    for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "src" / "trashlens").mkdir(parents=True)
    for name in ("app.py", "Pipfile.lock"):
        (tmp_path / name).touch()
    for command in (["init", "--quiet"], ["remote", "add", "origin", remote]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    assert find_source(tmp_path) == source
    assert find_source(tmp_path / "src") == (source if environment else None)


def test_the_command_names_the_source_in_the_card(
    hub: Hub, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models)  # no checkout
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "ada/lens")
    assert main(["publish", "models", REPO, f"--models={models}", "--checkpoints=none"]) == 0
    assert b"git clone https://github.com/ada/lens " in hub.repos["model", REPO].files["README.md"]


def with_metrics(bundle: Bundle, **changed: object) -> Bundle:
    return replace(bundle, metrics={**bundle.metrics, **changed})


def test_the_card_shows_pictures_only_where_they_are_drawn(hub: Hub, tmp_path: Path) -> None:
    for role, bundle in load_bundles(ROOT / "models").items():
        timed = bundle if role != "student" else with_metrics(bundle, latency=None)
        timed.write(tmp_path / "untimed" / role)
    publish_models(REPO, tmp_path / "untimed")
    files = hub.repos["model", REPO].files
    assert not [path for path in files if path.startswith("images/")]
    assert b"images/" not in files["README.md"]


@pytest.mark.parametrize("low", [-0.01, 0.01])
def test_the_card_tells_networks_apart_by_their_pair(low: float) -> None:
    bundles = load_bundles(ROOT / "models")
    test = {
        **bundles["student"].metrics["test"],
        **{"interval": "bootstrap over 9 groups", "macro_f1_interval": [0.7, 0.8]},
        "paired": {
            "baseline": {
                **{"bundle": bundles["baseline"].short_id, "difference": 0.02},
                **{"difference_interval": [low, 0.03], "only_other": 1, "only_own": 7, "p": 0.07},
            }
        },
    }
    compared = {**bundles, "student": with_metrics(bundles["student"], test=test)}
    card = ModelCard(write_card(compared, repo=REPO, version="v-0"))
    assert format_pairs(compared) in card.text
    assert format_scores(compared) in card.text
    text = " ".join(card.text.split())
    assert (
        "bootstrap over groups; a group is photos that look alike to networks trained on ImageNet"
        in text
    )
    assert "the photos of one object" not in text
    assert "the gap is an upper bound of what the leak is worth." in text
    assert "The intervals in this last picture are Wilson's" in text
    assert "All scores" not in text
    assert ("the student's gain over the baseline holds zero" in card.text) == (low < 0)
    assert ("do not tell the two apart" in card.text) == (low < 0)
    f1 = [r for r in card.data.eval_results if r.metric_type == "f1"][-1].metric_args
    assert (f1["interval_95_low"], f1["interval_95_high"]) == (0.7, 0.8)


def test_the_card_names_a_cpu_only_where_all_were_timed_on_it() -> None:
    bundles = load_bundles(ROOT / "models")
    (cpu,) = {bundle.metrics["latency"]["cpu"] for bundle in bundles.values()}
    said = f"Times are medians on {cpu}."
    assert said in write_card(bundles, repo=REPO, version="v-0")
    latency = {**bundles["student"].metrics["latency"], "cpu": "another"}
    elsewhere = {**bundles, "student": with_metrics(bundles["student"], latency=latency)}
    assert "Times are" not in write_card(elsewhere, repo=REPO, version="v-0")


def test_the_committed_bundles_come_with_pictures(hub: Hub) -> None:
    publish_models(REPO, ROOT / "models")
    files = hub.repos["model", REPO].files
    assert all(
        files[f"images/{name}.png"][:4] == b"\x89PNG" for name in ("accuracy-latency", "confusion")
    )
    assert ModelCard(files["README.md"].decode()).data.model_name == "trash"
    assert not publish_models(REPO, ROOT / "models").changes


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize("fails", [False, True])
def test_the_token_is_never_said(
    fails: bool,
    hub: Hub,
    models: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    if fails:  # with a Hub that repeats what it was sent
        for status in (500, 401):
            hub.faults.append(Fault("/commit/", status=status, times=1, message=f"not with {TOKEN}"))
        with pytest.raises(HubError) as raised:
            publish_models(REPO, models)
        assert TOKEN not in str(raised.value)
        assert "not with ***" in str(raised.value)
        hub.faults.append(Fault("/commit/", status=403, message=f"not with {TOKEN}"))
    code = main(["publish", "models", REPO, f"--models={models}", "--checkpoints=none"])
    assert code == (2 if fails else 0)
    output = capsys.readouterr()
    assert TOKEN not in output.out + output.err + caplog.text + "".join(hub.requests)
    assert caplog.records


@pytest.mark.parametrize("bad", [f"{TOKEN}\n{TOKEN}", f"{TOKEN} x", f"{TOKEN}ä"])
def test_a_garbled_token_is_refused_without_saying_it(
    bad: str, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", bad)
    with pytest.raises(HubError, match="HF_TOKEN has characters") as raised:
        publish_models(REPO, models)
    assert TOKEN not in "".join(traceback.format_exception(raised.value))
