"""What records say of each other counts only for the very bundles that were measured together."""

import dataclasses
from pathlib import Path

import pytest
from conftest import toy_bundle, toy_model

from trashlens.bundle import ROLES, Bundle, load_bundles
from trashlens.records import PAIRS, find_pair, find_speed, look_up

MODELS = Path(__file__).parents[1] / "models"


@pytest.fixture(scope="module")
def bundles() -> dict[str, Bundle]:
    return load_bundles(MODELS)


def test_a_pair_counts_for_the_bundles_that_were_measured_only(bundles: dict[str, Bundle]) -> None:
    renewed = {**bundles, "baseline": dataclasses.replace(bundles["baseline"], model=toy_model())}
    for role, other in PAIRS:
        pair = bundles[role].metrics["test"]["paired"][other]
        assert find_pair(bundles, role, other) == pair
        assert find_pair(renewed, role, other) == (None if "baseline" in (role, other) else pair)
        assert find_pair({role: bundles[role]}, role, other) is None
    toys = {role: toy_bundle(role, toy_model()) for role in ROLES}
    assert find_pair(toys, "student", "baseline") is None


def test_a_speed_counts_beside_this_very_teacher(bundles: dict[str, Bundle]) -> None:
    said = bundles["student"].metrics["latency"]["times_teacher_speed"]
    assert find_speed(bundles, "student") == said
    renewed = {**bundles, "teacher": dataclasses.replace(bundles["teacher"], model=toy_model())}
    assert find_speed(renewed, "student") is None
    assert find_speed({"student": bundles["student"]}, "student") is None
    earlier = dataclasses.replace(bundles["student"], metrics={"latency": {"times_teacher_speed": 3.0}})
    assert find_speed({**renewed, "student": earlier}, "student") == 3.0
    assert find_speed({"student": toy_bundle("student", toy_model())}, "student") is None


def test_a_record_that_ends_before_is_none() -> None:
    record = {"test": {"f1": {"glass": 0.5}, "ece": 0.0, "groups": None}}
    assert look_up(record, "test", "f1", "glass") == 0.5
    assert look_up(record, "test", "ece") == 0.0
    for keys in (("val", "f1"), ("test", "groups", "x"), ("test", "ece", "x")):
        assert look_up(record, *keys) is None
