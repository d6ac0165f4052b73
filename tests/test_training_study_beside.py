"""What look-alikes in training are worth: folds beside the official split, by hand and in a report."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest
from test_training_study import LATENCIES, made_record, write_all

from trashlens.errors import DataError, RecipeError
from trashlens.training.data import Leak
from trashlens.training.data.manifest import (
    GroupedPhoto,
    Photo,
    format_grouped,
    format_manifest,
)
from trashlens.training.study import read_finding, report_study
from trashlens.training.study.beside import put_beside
from trashlens.training.study.config import Beside, Study, Variant, parse_study
from trashlens.training.study.leak import measure_leak
from trashlens.training.study.records import Answer, RunRecord


def answered(variant: str, number: int, right: Mapping[str, bool], *, unit: str) -> RunRecord:
    """A run that names the photos as `right` says."""
    record = made_record(variant, number, 70, unit=unit)
    answers = [
        Answer(path, 0, 0 if hit else 1, (0.9, 0.1) if hit else (0.1, 0.9))
        for path, hit in sorted(right.items())
    ]
    share = sum(right.values()) / len(right)
    test = {**record.test, "photos": len(right), "accuracy": share}
    data, weights = record.data, record.weights
    if unit == "fold":
        data, weights = {**data, "photos": {**data["photos"], "train": 300}}, {"sha256": "other"}
    return dataclasses.replace(record, answers=answers, test=test, data=data, weights=weights)


SEEN, UNSEEN = ("a/1", "a/2", "a/3"), ("a/4", "a/5")
LEAK = Leak(seen=SEEN, unseen=UNSEEN)
OFFICIAL = [
    answered(
        "plain", 0, {"a/1": True, "a/2": True, "a/3": True, "a/4": True, "a/5": False}, unit="seed"
    ),
    answered(
        "plain", 1, {"a/1": True, "a/2": True, "a/3": False, "a/4": True, "a/5": False}, unit="seed"
    ),
]
FOLDS = [
    answered("plain", 0, {"a/1": True, "a/2": False, "a/4": True, "a/8": False}, unit="fold"),
    answered("plain", 1, {"a/3": False, "a/5": False, "a/9": True}, unit="fold"),
]


def test_the_leak_is_the_difference_on_the_same_photos() -> None:
    found = measure_leak("plain", OFFICIAL, FOLDS, LEAK, {})
    assert found is not None
    assert found.seen is not None
    assert found.unseen is not None
    # By hand: 1, 1, ½, 1, 0 of the two seeds, against 1, 0, 0, 1, 0 in the photo's own fold.
    assert (found.every.photos, found.every.official, found.every.grouped) == (5, 3.5 / 5, 2 / 5)
    assert (found.seen.official, found.seen.grouped) == pytest.approx((2.5 / 3, 1 / 3))
    assert (found.unseen.official, found.unseen.grouped, found.unseen.leak) == (0.5, 0.5, 0.0)
    assert (found.unseen.low, found.unseen.high) == (0.0, 0.0)
    assert found.every.leak == pytest.approx(0.3)
    assert found.net is not None
    assert found.net[0] == pytest.approx(0.5)
    # One photo is the least that a resample of five can hold, with 0 or 1 gained.
    assert 0.0 <= found.every.low < 0.3 < found.every.high <= 1.0


def test_photos_of_one_object_stand_or_fall_together() -> None:
    alone = measure_leak("plain", OFFICIAL, FOLDS, LEAK, {})
    together = measure_leak("plain", OFFICIAL, FOLDS, LEAK, dict.fromkeys(SEEN, "box"))
    assert alone is not None
    assert together is not None
    assert alone.seen is not None
    assert together.seen is not None
    assert alone.seen.high > alone.seen.low
    assert together.seen.low == together.seen.high == pytest.approx(0.5)
    assert together.net == pytest.approx((0.5, 0.5, 0.5))
    assert alone.net is not None
    assert alone.net[1] < 0.5 < alone.net[2]


def test_folds_that_have_none_of_the_photos_say_nothing() -> None:
    elsewhere = [answered("plain", 2, {"b/1": True}, unit="fold")]
    assert measure_leak("plain", OFFICIAL, elsewhere, LEAK, {}) is None
    first = measure_leak("plain", OFFICIAL, FOLDS[:1], Leak(seen=SEEN, unseen=("a/5",)), {})
    assert first is not None
    assert (first.every.photos, first.unseen, first.net) == (3, None, None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Manifests: a/1 to a/3 show one object, which is trained on as well."""
    paths = [f"a/{number}" for number in range(1, 10)]
    official = [
        Photo(path=path, label="a", split="test" if path in SEEN + UNSEEN else "train", sha256=path)
        for path in paths
    ]
    grouped = [
        GroupedPhoto(
            path=path,
            label="a",
            group="box" if path in {*SEEN, "a/6"} else path,
            fold=0,
            val_of=None,
            sha256=path,
        )
        for path in paths
    ]
    (tmp_path / "trashnet-official.csv").write_bytes(format_manifest(official))
    (tmp_path / "trashnet-grouped.csv").write_bytes(format_grouped(grouped))
    return tmp_path


STUDY = Study(
    name="folds",
    question="?",
    baseline="plain",
    variants={"plain": Variant(recipe="baseline"), "other": Variant(recipe="student")},
    folds=[0, 1],
    beside=Beside(study="seeds", variants={"plain": "plain"}),
)


def test_a_report_of_folds_puts_the_official_split_beside(data: Path) -> None:
    said = put_beside(STUDY, {"plain": FOLDS}, data)
    assert said == ["## Beside the official split", "There are no records of the study `seeds` yet."]
    write_all(data / "studies" / "seeds", *OFFICIAL)
    heading, sentence, table, note = put_beside(STUDY, {"plain": FOLDS}, data)
    assert heading == "## Beside the official split"
    assert sentence.startswith(
        "Look-alikes flatter: of the official split's 5 test photos `plain` names 70.0 % right, and 40.0 % when "
        "it is trained on folds that keep look-alikes apart, a difference of +30.00 points (95 % interval +0.00 "
    )
    first, *others = table.splitlines()[2:]
    assert first.startswith("| plain | all | 5 | 0.700 | 0.400 | +30.00 (+0.00 to ")
    assert others == [
        "| plain | look-alike trained on | 3 | 0.833 | 0.333 | +50.00 (+50.00 to +50.00) |",
        "| plain | none trained on | 2 | 0.500 | 0.500 | +0.00 (+0.00 to +0.00) |",
        "| plain | *net* | | | | +50.00 (+50.00 to +50.00) |",
    ]
    explained, differing = note.splitlines()
    assert "of the study `seeds`, on the official split" in explained
    assert differing == (
        "- On the official split and the folds `plain` had 400 and about 300 training photos; other starting "
        "weights."
    )
    assert put_beside(dataclasses.replace(STUDY, beside=None), {"plain": FOLDS}, data) == []
    misnamed = dataclasses.replace(STUDY, beside=Beside(study="seeds", variants={"plain": "nobody"}))
    with pytest.raises(DataError, match="The study seeds has no runs of nobody, beside which plain"):
        put_beside(misnamed, {"plain": FOLDS}, data)


def test_the_finding_brings_what_stands_beside(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trashlens.training.study.report.measure_latencies", lambda *_: LATENCIES)
    write_all(data / "studies" / "seeds", *OFFICIAL)
    write_all(data / "studies" / "folds", *FOLDS)
    study = dataclasses.replace(STUDY, variants={"plain": STUDY.variants["plain"]})
    text = report_study(study, data)
    _, sentence, table, _, _, _, *beside = text.split("\n\n")
    assert len(beside) == 3
    assert read_finding(data / "studies" / "folds") == "\n\n".join([sentence, table, *beside])


def test_only_folds_and_their_own_variants_are_put_beside(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leave out `beside`"):
        dataclasses.replace(STUDY, folds=[], seeds=[0])
    with pytest.raises(ValueError, match=r"beside\.variants names nobody, which is none of"):
        dataclasses.replace(STUDY, beside=Beside(study="seeds", variants={"nobody": "plain"}))
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: a\nquestion: q\nbaseline: p\nseeds: [0]\nvariants: {p: {recipe: baseline}}\n"
        "beside: {study: b, variants: {p: p}}\n"
    )
    with pytest.raises(RecipeError, match="leave out `beside`"):
        parse_study(str(path))


def test_the_shipped_studies_of_folds_and_seeds_train_alike() -> None:
    grouped, official = parse_study("grouped"), parse_study("distillation")
    assert grouped.beside is not None
    assert grouped.beside.study == official.name
    for here, there in grouped.beside.variants.items():
        one, other = grouped.variants[here], official.variants[there]
        assert one.recipe == other.recipe
        settings = {**official.settings, **other.settings}
        settings.pop("objective.distill.remember", None)
        given = {**grouped.settings, **one.settings}
        assert {"objective.distill.method": "hinton", **given} == {
            "objective.distill.method": "hinton",
            **settings,
        }
