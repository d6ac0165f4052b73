"""From an answer one can walk back: to its bundle, the run, the code and the exact list of photos."""

import dataclasses
import hashlib
from pathlib import Path

from conftest import coloured_photo, toy_bundle, toy_model

from trashlens.bundle import ROLES, load_bundles
from trashlens.classifier import Classifier, load_classifiers
from trashlens.comparison import compare
from trashlens.ui.origins import render_origins
from trashlens.ui.words import ENGLISH, load_words

WORDS = load_words()[ENGLISH]

ROOT = Path(__file__).parents[1]


def test_the_way_leads_from_an_answer_to_the_committed_split() -> None:
    classifiers = load_classifiers(ROOT / "models")
    answer = compare(classifiers, coloured_photo("glass")).to_json()
    html = render_origins(classifiers, WORDS)
    manifest = hashlib.sha256((ROOT / "data" / "trashnet-official.csv").read_bytes()).hexdigest()
    for role, bundle in load_bundles(ROOT / "models").items():
        assert answer["results"][role]["bundle"] == bundle.sha256[:12]
        assert f"<code>{bundle.sha256[:12]}</code>" in html
        assert bundle.provenance["data"]["manifest_sha256"] == manifest
        assert f"<code>{bundle.provenance['run']['id']}</code>" in html
        assert bundle.provenance["environment"]["commit"][:12] in html
        assert f"<code>{bundle.provenance['checkpoint_sha256'][:12]}</code>" in html
    assert html.count(manifest[:12]) == len(ROLES)
    teacher, student = (classifiers[role].bundle.provenance for role in ("teacher", "student"))
    taught_by = student["inputs"]["teacher"]
    is_here = taught_by == teacher["checkpoint_sha256"]
    whose = "the teacher" if is_here else "an earlier or other teacher"
    assert f"labels and {whose}’s checkpoint <code>{taught_by[:12]}</code>" in html


def test_a_teacher_that_was_replaced_is_told_from_the_one_beside_the_student() -> None:
    bundles = load_bundles(ROOT / "models")
    made = bundles["student"].provenance
    for taught_by, whose in (
        (bundles["teacher"].provenance["checkpoint_sha256"], "the teacher"),
        (bundles["teacher"].sha256, "the teacher"),  # a bundle can teach as well
        ("f" * 64, "an earlier or other teacher"),
    ):
        provenance = {**made, "inputs": {**made["inputs"], "teacher": taught_by}}
        student = dataclasses.replace(bundles["student"], provenance=provenance)
        beside = {"teacher": Classifier(bundles["teacher"]), "student": Classifier(student)}
        told = f"labels and {whose}’s checkpoint <code>{taught_by[:12]}</code>"
        assert told in render_origins(beside, WORDS)


def test_an_online_run_is_a_link_and_nothing_else_can_be() -> None:
    bundle = load_bundles(ROOT / "models")["student"]
    for url, is_link in (("https://wandb.ai/e/p/runs/x", True), ("javascript:alert(1)", False)):
        run = {"id": "<x>", "project": "p", "entity": "e", "url": url}
        changed = dataclasses.replace(bundle, provenance={**bundle.provenance, "run": run})
        html = render_origins({"student": Classifier(changed)}, WORDS)
        assert (f'href="{url}"' in html) == is_link
        assert "<x>" not in html


def test_feedback_that_was_trained_on_is_told_with_its_list() -> None:
    bundle = load_bundles(ROOT / "models")["student"]
    added = {"manifest": "feedback.csv", "manifest_sha256": "f" * 64, "photos": {"glass": 2, "metal": 1}}
    data = {**bundle.provenance["data"], "added": added}
    fed = dataclasses.replace(bundle, provenance={**bundle.provenance, "data": data})
    told = f"; 3 given as feedback, list <code>{'f' * 12}</code>"
    assert told in render_origins({"student": Classifier(fed)}, WORDS)
    assert "given as feedback" not in render_origins({"student": Classifier(bundle)}, WORDS)


def test_the_threshold_is_told() -> None:
    bundle = toy_bundle("student", toy_model())
    for threshold, told in ((None, "always"), (0.9374, "where a class has 93.7% or more")):
        limited = dataclasses.replace(bundle, threshold=threshold)
        assert f"<dt>is sure</dt><dd>{told}</dd>" in render_origins(
            {"student": Classifier(limited)}, WORDS
        )
    val = {"accepted": {"wanted": 0.98}}
    promised = dataclasses.replace(bundle, threshold=0.9374, metrics={"val": val})
    told = "where a class has 93.7% or more, chosen so that 98% of such answers are right"
    assert f"<dt>is sure</dt><dd>{told}</dd>" in render_origins({"student": Classifier(promised)}, WORDS)


def test_a_bundle_without_a_record_says_so() -> None:
    html = render_origins({"student": Classifier(toy_bundle("student", toy_model()))}, WORDS)
    assert html.count("<dd>not recorded</dd>") == 5
    assert "<dd>not measured</dd>" in html
