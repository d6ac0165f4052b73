"""Classifiers answer what their graphs compute, calibrated and timed, alone and side by side."""

import dataclasses
import math
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import LABELS, coloured_photo, toy_bundle, toy_model
from PIL import Image

from trashlens.bundle import load_bundles
from trashlens.classifier import SMALL, Classifier, Prediction, load_classifiers
from trashlens.comparison import compare
from trashlens.errors import BundleError, ImageError


def test_three_networks_answer_and_a_disagreement_shows(toy_models: Path) -> None:
    classifiers = load_classifiers(toy_models)
    for label in LABELS:
        comparison = compare(classifiers, coloured_photo(label))
        labels = {role: prediction.label for role, prediction in comparison.predictions.items()}
        swapped = {"glass": "plastic", "plastic": "glass"}.get(label, label)
        assert labels == {"teacher": label, "baseline": swapped, "student": label}


class Meeting(Classifier):
    """A network that answers only while another one is at work."""

    together = threading.Barrier(2, timeout=10)

    def predict(self, *args: Any, **options: Any) -> list[Prediction]:
        self.together.wait()
        return super().predict(*args, **options)


def test_at_once_the_largest_network_runs_beside_the_others(toy_models: Path) -> None:
    bundles = load_bundles(toy_models)
    large = dataclasses.replace(bundles["teacher"], parameters=10**9)
    classifiers = {"baseline": Meeting(bundles["baseline"]), "teacher": Meeting(large)}
    answer = compare(classifiers, coloured_photo("metal"), at_once=True)
    assert list(answer.predictions) == ["baseline", "teacher"]
    assert {one.label for one in answer.predictions.values()} == {"metal"}
    assert Meeting.together.n_waiting == 0


def test_alone_a_network_waits_for_none(toy_models: Path) -> None:
    one = {"student": load_classifiers(toy_models)["student"]}
    assert compare(one, coloured_photo("paper"), at_once=True).predictions["student"].label == "paper"
    assert compare({}, coloured_photo("paper"), at_once=True).predictions == {}


def test_the_json_is_the_contract(toy_models: Path) -> None:
    answer = compare(load_classifiers(toy_models), coloured_photo("metal")).to_json()
    assert list(answer) == ["decode_ms", "preprocess_ms", "results"]
    assert list(answer["results"]) == ["teacher", "baseline", "student"]
    for result in answer["results"].values():
        assert list(result) == ["label", "sure", "confidences", "infer_ms", "bundle"]
        assert result["sure"] is True
        assert tuple(result["confidences"]) == LABELS
        assert math.isclose(sum(result["confidences"].values()), 1, abs_tol=1e-12)
        assert result["label"] == max(result["confidences"], key=result["confidences"].get) == "metal"
    times = [answer["decode_ms"], answer["preprocess_ms"]]
    assert all(ms > 0 for ms in [*times, *(result["infer_ms"] for result in answer["results"].values())])


@pytest.mark.parametrize(("parameters", "spins"), [(SMALL - 1, "1"), (SMALL, "0")])
def test_only_a_small_networks_threads_spin_and_no_longer_than_it_runs(
    parameters: int, spins: str
) -> None:
    bundle = dataclasses.replace(toy_bundle("teacher", toy_model()), parameters=parameters)
    options = Classifier(bundle)._session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == spins
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"


def test_softmax_and_temperature_by_hand() -> None:
    bundle = toy_bundle("teacher", toy_model())
    images = np.full((1, 3, 32, 32), 0.5, np.float32)
    logits = Classifier(bundle).infer(images)[0].astype(float)
    for temperature in (0.5, 1.0, 4.0):
        calibrated = Classifier(dataclasses.replace(bundle, temperature=temperature))
        weights = [math.exp(logit / temperature) for logit in logits]
        expected = [weight / sum(weights) for weight in weights]
        assert np.allclose(list(calibrated.predict(images)[0].confidences.values()), expected)


def test_a_network_is_sure_from_its_threshold_on() -> None:
    images = np.full((1, 3, 32, 32), 0.5, np.float32)
    bundle = toy_bundle("teacher", toy_model())
    free = Classifier(bundle).predict(images)[0]
    assert free.sure
    assert free.confidence == max(free.confidences.values()) == free.confidences[free.label] < 1
    for threshold, sure in (
        (free.confidence, True),
        (np.nextafter(free.confidence, 1), False),
        (1.0, False),
    ):
        limited = dataclasses.replace(bundle, threshold=float(threshold))
        prediction = Classifier(limited).predict(images)[0]
        assert prediction.sure is sure
        assert prediction.confidences == free.confidences


def test_each_network_goes_by_its_own_threshold_and_the_json_says_so() -> None:
    classifiers = {
        role: Classifier(dataclasses.replace(toy_bundle(role, toy_model()), threshold=threshold))
        for role, threshold in (("teacher", None), ("baseline", 0.5), ("student", 0.99))
    }
    grey = Image.new("RGB", (64, 64), (128, 128, 128))  # trash at 57 %
    results = compare(classifiers, grey).to_json()["results"]
    assert {role: result["sure"] for role, result in results.items()} == {
        "teacher": True,
        "baseline": True,
        "student": False,
    }
    assert {result["label"] for result in results.values()} == {"trash"}


def test_a_batch_gives_what_single_images_give() -> None:
    classifier = Classifier(toy_bundle("teacher", toy_model()))
    images = np.random.default_rng(0).random((5, 3, 32, 32), np.float32)
    batch = classifier.predict(images)
    for index, prediction in enumerate(batch):
        alone = classifier.predict(images[index : index + 1])[0]
        assert np.allclose(list(prediction.confidences.values()), list(alone.confidences.values()))


def test_extreme_logits_do_not_overflow() -> None:
    classifier = Classifier(toy_bundle("teacher", toy_model(sharpness=1e6)))
    prediction = classifier.predict(np.zeros((1, 3, 32, 32), np.float32))[0]
    assert math.isclose(sum(prediction.confidences.values()), 1)


def test_threads_share_a_classifier_without_mixing_answers(toy_models: Path) -> None:
    classifiers = load_classifiers(toy_models)
    photos = [(label, coloured_photo(label, seed=seed)) for label in LABELS for seed in range(5)]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(
            lambda pair: compare(classifiers, pair[1]).predictions["teacher"].label, photos
        )
    assert list(answers) == [label for label, _ in photos]


def test_a_bad_photo_raises_and_the_next_one_is_answered(toy_models: Path) -> None:
    classifiers = load_classifiers(toy_models)
    with pytest.raises(ImageError):
        compare(classifiers, b"nothing")
    answer = compare(classifiers, Image.new("RGB", (64, 64), "white"))
    assert {prediction.label for prediction in answer.predictions.values()} == {"paper"}


def test_a_graph_that_cannot_run_is_refused() -> None:
    with pytest.raises(BundleError, match=r"^ONNX Runtime cannot run the student bundle"):
        Classifier(toy_bundle("student", b"no graph"))


def test_a_graph_with_other_classes_is_refused() -> None:
    bundle = dataclasses.replace(toy_bundle("student", toy_model()), labels=LABELS[:4])
    with pytest.raises(BundleError, match="names 4 classes, its graph answers with 6"):
        Classifier(bundle)


def test_onnx_runtime_reports_nothing_home(toy_models: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time, numpy as np\n"
        "from trashlens import load_classifiers\n"
        "from pathlib import Path\n"
        "load_classifiers(Path(sys.argv[1]))\n"
        "time.sleep(1)\n"
    )
    places = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    environment = {**os.environ, **places}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", script, str(toy_models)], env=environment, check=True)
    # What it would send, it keeps there first.
    assert not [
        path for path in tmp_path.rglob("*") if "onnxruntime" in path.name or "deviceid" in path.name
    ]
