"""A request is timed beside its floor and the ordinary app, in turn, on the same bytes."""

import dataclasses
import itertools
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS, coloured_photo, encode

from trashlens.benchmark import request
from trashlens.benchmark.config import BenchmarkConfig
from trashlens.benchmark.photos import RequestPhoto
from trashlens.benchmark.request import measure_requests
from trashlens.classifier import Prediction, load_classifiers
from trashlens.comparison import Comparison


@pytest.fixture
def photos() -> list[RequestPhoto]:
    return [
        RequestPhoto(name=label, data=encode(coloured_photo(label), kind), width_px=320, height_px=240)
        for label, kind in (("glass", "JPEG"), ("metal", "PNG"))
    ]


def test_known_durations_give_the_ratios(
    photos: list[RequestPhoto], toy_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction = Prediction(confidences={"metal": 1.0}, infer_ms=4.0, bundle="toy")
    comparison = Comparison(
        decode_ms=2.0, preprocess_ms=1.0, predictions=dict.fromkeys(("a", "b", "c"), prediction)
    )

    def serve(*_: object) -> Comparison:
        time.sleep(0.03)
        return comparison

    monkeypatch.setattr(request, "compare", serve)
    said: list[str] = []
    first, second = measure_requests(
        load_classifiers(toy_models),
        photos,
        BenchmarkConfig(rounds=7, warm_up=1),
        ordinary=lambda _: time.sleep(0.12),
        say=said.append,
    ).photos
    assert [first.name, second.name] == ["glass", "metal"]
    for photo in (first, second):
        assert (photo.decode.p50_ms, photo.preprocess.p50_ms, photo.infer.p50_ms) == (2, 1, 12)
        assert photo.infer.runs == photo.total.runs == photo.floor.runs == 7
        assert photo.total.p50_ms >= 30
        assert photo.ordinary.p50_ms >= 120
        assert 2 < photo.speed.median < 5  # 4, and a busy machine wakes sleepers late
        # Each is the median of one list of pairs, so the ratio lies between those of the extremes.
        assert photo.to_floor.low <= photo.to_floor.median <= photo.to_floor.high
        assert photo.to_floor.median > 1
    assert "6 ways" in said[0]


def test_the_ways_and_photos_take_turns_on_the_same_bytes(
    photos: list[RequestPhoto], toy_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, bytes]] = []
    real = request.compare
    decode = request.decode_image

    def serve(classifiers, data):
        calls.append(("served", data))
        return real(classifiers, data)

    def look(data):
        calls.append(("floor", data))
        return decode(data)

    monkeypatch.setattr(request, "compare", serve)
    monkeypatch.setattr(request, "decode_image", look)
    measure_requests(
        load_classifiers(toy_models),
        photos,
        BenchmarkConfig(rounds=5, warm_up=1),
        ordinary=lambda data: calls.append(("ordinary", data)),
        say=lambda _: None,
    )
    rounds = calls[len(photos) :]  # the floor's inputs were made ready before
    ways = {*itertools.product(("served", "floor", "ordinary"), (photo.data for photo in photos))}
    turns = [rounds[i : i + 6] for i in range(0, 36, 6)]
    assert len(rounds) == 36
    assert all(set(turn) == ways for turn in turns)
    assert len({turn[0] for turn in turns}) == 6  # each starts a round once


def test_without_the_ordinary_app_its_column_is_empty(
    photos: list[RequestPhoto], toy_models: Path
) -> None:
    config = BenchmarkConfig(rounds=1, warm_up=0)
    result = measure_requests(load_classifiers(toy_models), photos, config, say=lambda _: None)
    assert all(photo.ordinary is None and photo.speed is None for photo in result.photos)


def test_the_ordinary_app_sees_what_is_served(toy_models: Path) -> None:
    torch = pytest.importorskip("torch")
    from trashlens.training.ordinary import _make_transform, make_ordinary_app

    bundle = load_classifiers(toy_models)["teacher"].bundle
    image = coloured_photo("metal", size=(100, 60), noise=0)
    seen = _make_transform(bundle.preprocess)(image).numpy()
    expected = bundle.preprocess(image)
    assert seen.shape == expected.shape
    assert np.abs(seen - expected).max() < 0.01
    assert seen.mean() == pytest.approx(COLOURS["metal"][0] / 255, abs=0.01)
    record = {"network": {"name": "test_efficientnet", "arguments": {}}}
    threads = torch.get_num_threads()
    try:
        named = dataclasses.replace(bundle, provenance={"recipe": record})
        answer = make_ordinary_app({"teacher": named, "student": named}, threads=1)
        answers = answer(encode(image, "PNG"))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    assert list(answers) == ["teacher", "student"]
    assert set(answers.values()) <= set(bundle.labels)


def test_a_bundle_that_does_not_name_its_network_is_a_sentence(toy_models: Path) -> None:
    pytest.importorskip("torch")
    from trashlens.errors import RecipeError
    from trashlens.training.ordinary import make_ordinary_app

    bundle = load_classifiers(toy_models)["baseline"].bundle
    with pytest.raises(RecipeError, match="The baseline bundle does not say how its network was made"):
        make_ordinary_app({"baseline": bundle}, threads=1)
