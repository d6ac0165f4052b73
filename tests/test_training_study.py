"""Studies: planned from YAML, trained once, resumed, and reported from records with statistics done by hand."""

import contextlib
import dataclasses
import itertools
import json
import shutil
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from accelerate.state import AcceleratorState
from matplotlib.collections import LineCollection
from scipy import stats

from trashlens.__main__ import main
from trashlens.errors import DataError, RecipeError, TrainingError
from trashlens.training.fit import loop
from trashlens.training.recipe import Recipe
from trashlens.training.study import (
    STUDIES,
    choose_runs,
    conduct,
    execution,
    find_standings,
    format_standings,
    parse_study,
    plan_runs,
    read_records,
    report_study,
)
from trashlens.training.study.config import Study, Variant
from trashlens.training.study.latency import LATENCY_FILE, Latencies, measure_latencies, name_served
from trashlens.training.study.picture import draw_study
from trashlens.training.study.plan import describe_recipe
from trashlens.training.study.records import (
    MAPPINGS,
    Answer,
    RunRecord,
    read_record,
    recipe_differences,
    write_record,
)
from trashlens.training.study.sentence import conclude_study
from trashlens.training.study.standing import estimate_left_s, format_duration
from trashlens.training.study.statistics import (
    compare_to_baseline,
    group_records,
    holm,
    overlap_of,
    spread_of,
)
from trashlens.training.study.table import format_p, format_points, format_table
from trashlens.training.tracking import Tracker

CLASSES = ["glass", "paper"]
PHOTOS = 100


@pytest.fixture(autouse=True)
def fresh_accelerator() -> None:
    """accelerate keeps its precision for the life of a process; each test is a process of its own to it."""
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def study_file(recipe_file: Path, tmp_path: Path) -> Path:
    """Two variants of the toy recipe, two seeds, one epoch."""
    return write_study(
        tmp_path,
        variants={
            "plain": {"recipe": str(recipe_file)},
            "slow": {"recipe": str(recipe_file), "settings": {"schedule.learning_rate": 0.001}},
        },
        seeds=[0, 1],
        settings={"schedule.epochs": 1},
    )


def write_study(folder: Path, **changes: object) -> Path:
    settings = {"name": "toy", "question": "Does it help?", "baseline": "plain", **changes}
    path = folder / "study.yaml"
    path.write_text(
        yaml.safe_dump({k: v for k, v in settings.items() if v is not None}, sort_keys=False)
    )
    return path


def made_study(variants: Sequence[str] = ("plain", "other"), **changes: object) -> Study:
    """A study for records that were made up; its recipes are never read."""
    return Study(
        name="toy",
        question="Does it help?",
        baseline="plain",
        variants={name: Variant(recipe="baseline") for name in variants},
        **changes,
    )


def made_record(
    variant: str, number: int, right: int, *, unit: str = "seed", role: str = "baseline", first: int = 0
) -> RunRecord:
    """A run that names the photos `first` to `first + right - 1` rightly and all others wrongly."""
    answers = []
    for index in range(PHOTOS):
        label, hit = index % 2, first <= index < first + right
        predicted = label if hit else 1 - label
        shares = (0.9, 0.1) if predicted == 0 else (0.1, 0.9)
        fold = number if unit == "fold" else 0
        answers.append(Answer(f"{CLASSES[label]}/{fold}-{index:03d}.jpg", label, predicted, shares))
    metrics = {"photos": PHOTOS, "accuracy": right / PHOTOS, "macro_f1": 0.5, "ece": 0.1}
    return RunRecord(
        study="toy",
        variant=variant,
        seed=number if unit == "seed" else 0,
        fold=number if unit == "fold" else None,
        recipe={
            "role": role,
            "network": {"name": "test_efficientnet", "arguments": {}},
            "preprocess": {"size_px": 32},
            "schedule": {"epochs": 18},
        },
        labels=CLASSES,
        val={**metrics, "accuracy": 0.75},
        test={**metrics, "ece_scaled": 0.05},
        answers=sorted(answers),
        temperature=1.5,
        data={
            "split": "official" if unit == "seed" else "grouped",
            "manifest_sha256": "m",
            "content_sha256": "c",
            "photos": {"train": 4 * PHOTOS, "val": 50, "test": PHOTOS},
        },
        wall_s=60.0,
        machine="toy machine",
        commit="0123456789abcdef",
        teacher_sha256=None,
        checkpoint_sha256="w",
    )


def made_records(**right: Sequence[int]) -> list[RunRecord]:
    return [made_record(v, n, hits) for v, row in right.items() for n, hits in enumerate(row)]


TIMES = {"infer_ms_p50": 5.0, "infer_ms_p95": 6.0, "infer_ms_min": 4.5}
LATENCIES = Latencies(cpu="toy cpu", networks={"test_efficientnet, 32 px": TIMES})


# --- what is to be trained ---


def test_the_shipped_distillation_study_compares_like_with_like() -> None:
    assert STUDIES.names() == ["distillation", "grouped", "transfer", "transfer-reduced"]
    study = parse_study("distillation")
    assert list(study.variants) == ["baseline", "hinton", "dist", "standardised"]
    assert len(study.seeds) >= 5
    runs = plan_runs(study, Path("runs"))
    assert [run.name for run in runs[:5]] == [*(f"{v}-0" for v in study.variants), "baseline-1"]
    assert len(runs) == study.planned == 27  # one variant was tried with two seeds only
    baseline = runs[0].recipe
    for run in runs:
        recipe, distill = run.recipe, run.recipe.objective.distill
        assert (recipe.seed, recipe.output) == (run.number, Path("runs/distillation") / run.name)
        assert (distill.method if distill else "baseline") == run.variant
        # Only the teacher's signal differs.
        like = dataclasses.replace(
            recipe,
            role="baseline",
            output=baseline.output,
            seed=0,
            objective=dataclasses.replace(recipe.objective, distill=None),
        )
        assert like == baseline


def test_a_part_of_the_runs_is_chosen_by_variant_or_run() -> None:
    runs = plan_runs(parse_study("distillation"), Path("runs"))
    assert choose_runs(runs, []) == runs
    chosen = [run.name for run in choose_runs(runs, ["dist-3", "baseline"])]
    baselines = [f"baseline-{seed}" for seed in range(10)]
    assert chosen == [*baselines[:4], "dist-3", *baselines[4:]]
    with pytest.raises(
        RecipeError, match=r"no dist-9\. Its variants are baseline, hinton, .*; a run is baseli"
    ):
        choose_runs(runs, ["dist-9"])


def test_in_the_shipped_grouped_study_each_fold_has_its_own_teacher_and_photos() -> None:
    runs = plan_runs(parse_study("grouped"), Path("runs"))
    assert [run.name for run in runs[:4]] == ["teacher-0", "baseline-0", "student-0", "teacher-1"]
    assert len(runs) == 15
    for run in runs:
        assert (run.recipe.data.split, run.recipe.data.fold) == ("grouped", run.number)
        if run.recipe.objective.distill:
            assert run.recipe.objective.distill.teacher == Path(f"runs/grouped/teacher-{run.number}")
    assert len({run.recipe.data.processed for run in runs}) == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"baseline": "nobody"}, "The baseline nobody is none of the variants"),
        ({"name": "a/b"}, "'a/b' names folders"),
        ({"seeds": None}, "needs either seeds or folds"),
        ({"folds": [0]}, "needs either seeds or folds"),
        ({"seeds": [1, 1]}, "must differ"),
        ({"seeds": None, "folds": [5]}, "Folds must lie in 0 to 4"),
        ({"seeds": ["many"]}, "many"),
        ({"question": None}, "question"),
        ({"colour": "red"}, "colour"),
        ({"variants": {"plain": {"recip": "baseline"}}}, "recip"),
        ({"variants": {"plain": {"recipe": "baseline", "only": [7]}}}, "plain.only names seeds"),
        ({"settings": {"seed": 3}}, "must not set seed"),
        ({"settings": {"output": "x"}}, "must not set output"),
        (
            {"settings": {"schedule.period": 3}},
            "plain of the study toy: The recipe baseline does not hold",
        ),
        ({"variants": {"plain": {"recipe": "nothing"}}}, "There is no recipe nothing"),
    ],
)
def test_a_bad_study_is_one_sentence(
    changes: dict[str, object], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"variants": {"plain": {"recipe": "baseline"}}, "seeds": [0]}
    path = write_study(tmp_path, **{**good, **changes})
    assert main(["study", str(path), "--dry-run", f"--data={tmp_path}"]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("option", ["--dry-run", "--only=plain"])
def test_a_report_is_about_all_runs_and_trains_none(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_study(tmp_path, variants={"plain": {"recipe": "baseline"}}, seeds=[0])
    assert main(["study", str(path), "--report", option]) == 2
    assert "--report" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["- a\n- b\n", ": : [\n", ""])
def test_what_is_no_study_is_one_sentence(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    assert main(["study", str(tmp_path / "bad.yaml")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["study", "nowhere"]) == 2
    assert (
        "There is no study nowhere. Give a YAML file or one of distillation," in capsys.readouterr().err
    )


def test_a_teacher_is_a_variant_with_one_run_or_with_the_same_seeds_or_a_folder(tmp_path: Path) -> None:
    variants = {
        "plain": {"recipe": "baseline"},
        "same": {"recipe": "student", "teacher": "big"},
        "fixed": {"recipe": "student", "teacher": "elsewhere/teacher"},
        "big": {"recipe": "teacher"},
    }

    def teachers(**changes: object) -> list[str]:
        runs = plan_runs(
            parse_study(str(write_study(tmp_path, variants={**variants, **changes}, seeds=[3, 4]))),
            Path("runs"),
        )
        names = [run.name for run in runs]
        for run in runs:
            distill = run.recipe.objective.distill
            if distill and distill.teacher.parts[0] == "runs":
                assert names.index(distill.teacher.name) < names.index(run.name)
        return [
            str(run.recipe.objective.distill.teacher) for run in runs if run.variant in ("same", "fixed")
        ]

    assert teachers() == ["runs/toy/big-3", "elsewhere/teacher", "runs/toy/big-4", "elsewhere/teacher"]
    once = teachers(big={"recipe": "teacher", "only": [4]})
    assert once == ["runs/toy/big-4", "elsewhere/teacher"] * 2
    with pytest.raises(RecipeError, match="same would be its own teacher"):
        teachers(big={"recipe": "student", "teacher": "same"})
    with pytest.raises(RecipeError, match=r"must not set objective\.distill\.teacher"):
        teachers(same={**variants["same"], "settings": {"objective.distill.teacher": "x"}})


def test_a_fold_takes_no_teacher_that_has_seen_its_test_photos(tmp_path: Path) -> None:
    def plan(**student: object) -> None:
        variants = {
            "plain": {"recipe": "baseline"},
            "big": {"recipe": "teacher", "only": [0]},
            "student": {"recipe": "student", **student},
        }
        plan_runs(parse_study(str(write_study(tmp_path, variants=variants, folds=[0, 1]))), Path("runs"))

    for student in ({}, {"teacher": "runs/teacher"}):
        with pytest.raises(RecipeError, match="student needs a variant as its teacher"):
            plan(**student)
    with pytest.raises(RecipeError, match="big has no run for fold 1"):
        plan(teacher="big")


def test_settings_on_the_command_line_go_on_top(tmp_path: Path) -> None:
    variants = {
        "plain": {"recipe": "baseline", "settings": {"loader.batch_size": 8}},
        "b": {"recipe": "baseline"},
    }
    path = write_study(tmp_path, variants=variants, seeds=[0], settings={"schedule.epochs": 3})
    study = parse_study(str(path), ["schedule.epochs=4", "b:network.weights=/x/y.safetensors"])
    plain, other = (run.recipe for run in plan_runs(study, Path("runs")))
    assert (plain.schedule.epochs, plain.loader.batch_size, plain.network.weights) == (4, 8, "hub")
    assert (other.schedule.epochs, other.loader.batch_size) == (4, 32)
    assert other.network.weights == "/x/y.safetensors"
    for change in ("schedule.epochs", "=3", "c:schedule.epochs=3"):
        with pytest.raises(RecipeError, match=f"'{change}'"):
            parse_study(str(path), [change])
    with pytest.raises(RecipeError, match="one precision instead of bf16 and no"):
        plan_runs(parse_study(str(path), ["plain:precision=bf16", "b:precision=no"]), Path("runs"))


# --- records ---


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    record = made_record("plain", 3, 70)
    write_record(tmp_path / "plain-3.json", record)
    assert read_record(tmp_path / "plain-3.json") == record
    text = (tmp_path / "plain-3.json").read_text()
    assert '\n["glass/0-000.jpg", 0, 0, [0.9, 0.1]],\n' in text  # one photo a line
    assert json.loads(text)["recipe_sha256"] == record.recipe_sha256


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"accuracy": 0.7,', '"accuracy": 0.71,', "70 of 100 right is not an accuracy of 0.71"),
        ('"epochs": 18', '"epochs": 19', "its recipe is not the one whose hash it holds"),
        ('"format": 1', '"format": 2', "its format is not 1"),
        ("[0.9, 0.1]", "[0.9, 0.3]", "do not sum to 1"),
        ("[0.9, 0.1]", "[1.0]", "not one probability a class"),
        ('"variant": "plain"', '"variant": "other"', "it is the record of other, seed 3"),
        ('"photos": 100, "accuracy": 0.7,', '"photos": 99, "accuracy": 0.7,', "100 of 99 test photos"),
        ('"macro_f1": 0.5', '"macro_f1": 5.0', "macro_f1 is 5.0"),
        ('"machine"', '"maschine"', "maschine"),
        ("\n", "", ""),
        ("{", "", "Extra data"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "plain-3.json"
    write_record(path, made_record("plain", 3, 70))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    if not said:  # only the layout differs
        read_record(path)
        return
    with pytest.raises(DataError) as caught:
        read_record(path)
    assert said in str(caught.value)
    assert "plain-3.json cannot be used" in str(caught.value)


def test_records_of_other_recipes_or_photos_are_not_compared(tmp_path: Path) -> None:
    one = made_record("plain", 0, 70)
    write_record(tmp_path / "plain-0.json", one)
    changed = {**one.recipe, "schedule": {"epochs": 30}}
    write_record(
        tmp_path / "plain-1.json", dataclasses.replace(made_record("plain", 1, 70), recipe=changed)
    )
    with pytest.raises(DataError, match=r"not made by one recipe: schedule\.epochs 18 and 30"):
        read_records(tmp_path)
    (tmp_path / "plain-1.json").unlink()
    other = made_record("other", 1, 70)
    fewer = dataclasses.replace(other, answers=[a._replace(path=f"{a.path}x") for a in other.answers])
    write_record(tmp_path / "other-1.json", fewer)
    with pytest.raises(DataError, match=r"other-1 and plain-0 .* were tested on different photos"):
        read_records(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"manifest_sha256": "n", "content_sha256": "c"}}, "have different split manifests"),
        ({"precision": "bf16"}, "were trained with different precision"),
    ],
)
def test_records_of_other_splits_or_precision_are_not_compared(
    changes: dict[str, object], said: str, tmp_path: Path
) -> None:
    known = dataclasses.replace(made_record("plain", 0, 70), precision="no")
    older = made_record("plain", 1, 70)  # does not know its precision
    for record in (known, older):
        write_record(tmp_path / f"plain-{record.seed}.json", record)
    assert read_records(tmp_path) == [known, older]
    write_record(tmp_path / "plain-2.json", dataclasses.replace(made_record("plain", 2, 70), **changes))
    with pytest.raises(
        DataError, match=rf"plain-0 and plain-2 in .* {said}\. Remove those that are out"
    ):
        read_records(tmp_path)


def taught(variant: str, number: int, teacher: str | None, *, unit: str = "seed") -> RunRecord:
    record = made_record(variant, number, 70, unit=unit, role="student")
    return dataclasses.replace(record, teacher_sha256=teacher)


def write_all(folder: Path, *records: RunRecord) -> Path:
    for record in records:
        number = record.seed if record.fold is None else record.fold
        write_record(folder / f"{record.variant}-{number}.json", record)
    return folder


def test_students_are_compared_only_if_they_had_the_same_teacher(tmp_path: Path) -> None:
    same = [
        taught("one", 0, "t"),
        taught("other", 0, "t"),
        taught("one", 1, "t"),
        taught("other", 1, None),
    ]
    assert len(read_records(write_all(tmp_path / "same", *same))) == 4
    later = write_all(tmp_path / "later", *same, taught("other", 1, "retrained"))
    with pytest.raises(
        DataError, match=r"one-0 and other-1 in .* had different teachers\. Remove those"
    ):
        read_records(later)


@pytest.mark.parametrize("unit", ["seed", "fold"])
def test_each_seed_or_fold_may_have_its_own_teacher_but_only_one(unit: str, tmp_path: Path) -> None:
    teachers = [made_record("big", number, 90, unit=unit, role="teacher") for number in (0, 1)]
    students = [taught(v, n, f"t{n}", unit=unit) for v in ("one", "other") for n in (0, 1)]
    folder = write_all(tmp_path, *teachers, *students)
    assert len(read_records(folder)) == 6
    write_all(folder, taught("other", 1, "t0", unit=unit))
    with pytest.raises(DataError, match=r"one-1 and other-1 in .* had different teachers"):
        read_records(folder)
    for path in folder.glob("big-*.json"):
        path.unlink()
    write_all(folder, *students)
    if unit == "fold":  # each fold's photos ask for a teacher of their own
        assert len(read_records(folder)) == 4
    else:
        with pytest.raises(DataError, match=r"one-0 and one-1 in .* had different teachers"):
            read_records(folder)


def test_one_network_is_compared_only_from_the_same_starting_weights(tmp_path: Path) -> None:
    def begun(variant: str, digest: str, *, name: str = "light", role: str = "baseline") -> RunRecord:
        record = made_record(variant, 0, 70, role=role)
        recipe = {**record.recipe, "network": {**record.recipe["network"], "name": name}}
        return dataclasses.replace(record, recipe=recipe, weights={"source": "w", "sha256": digest})

    same = [begun("one", "a"), begun("other", "a"), begun("big", "b", name="heavy", role="teacher")]
    assert len(read_records(write_all(tmp_path, *same))) == 3
    write_all(tmp_path, begun("other", "b"))
    with pytest.raises(DataError, match=r"one-0 and other-0 in .* started from different weights"):
        read_records(tmp_path)


def test_a_record_from_before_precision_processes_and_weights_is_read(tmp_path: Path) -> None:
    record = made_record("plain", 3, 70)
    path = tmp_path / "plain-3.json"
    write_record(path, record)
    newer = ('"precision"', '"processes"', '"weights": null')
    lines = path.read_text().splitlines()
    older = [line for line in lines if not line.startswith(newer)]
    assert len(older) == len(lines) - 3
    path.write_text("\n".join(older))
    assert read_record(path) == record


def test_recipes_differ_by_dotted_name_but_not_by_what_one_does_not_know() -> None:
    first = {"a": {"b": 1, "c": [1, 2]}, "d": {}, "new": 0}
    assert recipe_differences(first, {"a": {"b": 2, "c": [1, 2]}, "d": {}}) == ["a.b 1 and 2"]
    assert recipe_differences(first, first) == []


@pytest.mark.parametrize(("section", "name"), [("network", "weights"), ("data", "source")])
def test_where_something_was_taken_from_does_not_make_another_recipe(section: str, name: str) -> None:
    def differences(one: str, other: str) -> list[str]:
        return recipe_differences({section: {name: one}}, {section: {name: other}})

    assert differences("hub", "a-file") == []


def test_weights_or_none_at_all_are_different_recipes() -> None:
    found = recipe_differences({"network": {"weights": "hub"}}, {"network": {"weights": "none"}})
    assert found == ["network.weights hub and none"]


@pytest.mark.parametrize("setting", ["arguments", "rename"])
def test_recipes_differ_by_a_mapping_as_a_whole(setting: str) -> None:
    def differences(one: object, other: object) -> list[str]:
        return recipe_differences({"network": {setting: one}}, {"network": {setting: other}})

    assert differences({}, {"a": 0.5}) == [f"network.{setting} {{}} and {{'a': 0.5}}"]
    assert differences({"a": 1}, {"b": 1}) == [f"network.{setting} {{'a': 1}} and {{'b': 1}}"]
    assert differences({"a": 1}, {"a": 1}) == differences({}, {}) == []
    assert recipe_differences({"network": {setting: {"a": 1}}}, {"network": {}}) == []


def test_every_setting_that_is_a_mapping_is_compared_as_one() -> None:
    def mappings(sort: object, prefix: str = "") -> Iterator[str]:
        for name, hint in typing.get_type_hints(sort).items():
            for part in (hint, *typing.get_args(hint)):
                if dataclasses.is_dataclass(part):
                    yield from mappings(part, f"{prefix}{name}.")
            if typing.get_origin(hint) is dict:
                yield f"{prefix}{name}"

    assert set(mappings(Recipe)) == MAPPINGS


# --- statistics, by hand ---


def test_gains_intervals_and_p_are_those_computed_by_hand() -> None:
    plain, other = (70, 72, 71, 69, 73), (71, 74, 70, 72, 75)
    study = made_study(seeds=[0, 1, 2, 3, 4])
    (gain,) = compare_to_baseline(
        study, group_records(study, made_records(plain=plain, other=other)), {}
    )
    # Differences 1, 2, -1, 3, 2 points: mean 1.4, sum of squares about it 9.2, standard error
    # sqrt(9.2 / 4 / 5) = 0.6782; t(0.975, 4) = 2.7764, so 1.4 ± 1.8831.
    assert gain.differences == pytest.approx((0.01, 0.02, -0.01, 0.03, 0.02))
    assert gain.mean == pytest.approx(0.014)
    assert gain.evidence is not None
    assert (gain.evidence.low, gain.evidence.high) == pytest.approx((-0.004831, 0.032831), abs=1e-5)
    assert gain.evidence.p == pytest.approx(stats.ttest_rel(other, plain).pvalue)
    sums = [abs(sum(s)) for s in itertools.product((-1, 1), (-2, 2), (-1, 1), (-3, 3), (-2, 2))]
    assert gain.evidence.p_flips == sum(s >= 7 for s in sums) / 32 == 6 / 32
    assert gain.evidence.p_holm == gain.evidence.p


def test_over_folds_the_variance_counts_what_the_training_photos_share() -> None:
    study = made_study(folds=[0, 1, 2])
    rows = {"plain": (70, 72, 71), "other": (71, 74, 74)}
    records = [
        made_record(v, n, hits, unit="fold") for v, row in rows.items() for n, hits in enumerate(row)
    ]
    (gain,) = compare_to_baseline(study, group_records(study, records), {})
    # Differences 1, 2, 3 points: mean 2, variance 1; (1/3 + 100/400) * 1 = 0.5833, root 0.7638, t = 2.6186;
    # with 2 degrees of freedom p = 1 - t / sqrt(t² + 2), and t(0.975, 2) = 4.3027.
    t = 2 / 0.583333**0.5
    assert gain.evidence is not None
    assert gain.evidence.p == pytest.approx(1 - t / (t**2 + 2) ** 0.5, rel=1e-4)
    assert gain.evidence.high == pytest.approx(0.02 + 4.3027 * 0.0076376, abs=1e-5)
    assert gain.evidence.p_flips is None  # folds are not independent pairs


def test_accuracies_that_tie_but_for_rounding_count_as_ties() -> None:
    def p_flips(plain: Sequence[int], other: Sequence[int]) -> float | None:
        study = made_study(seeds=list(range(len(plain))))
        rows = [("plain", n, k) for n, k in enumerate(plain)] + [
            ("other", n, k) for n, k in enumerate(other)
        ]
        records = [made_record(v, n, 70) for v, n, _ in rows]
        for record, (_, _, right) in zip(records, rows, strict=True):
            record.test["accuracy"] = right / 430
        (gain,) = compare_to_baseline(study, group_records(study, records), {})
        assert gain.evidence is not None
        return gain.evidence.p_flips

    # Differences -2, -2, 3, 2 of 430 photos: together 1, and no signs bring an odd sum nearer to 0.
    assert p_flips((395, 387, 386, 397), (393, 385, 389, 399)) == 1.0
    # Differences -1, 5, -3, -2, -3: together -4. Ten of the 32 ways come nearer to 0: 0 where those with a plus
    # add up to 7 (5 + 2, 1 + 3 + 3), ±2 where they do to 6 (5 + 1, 3 + 3, twice 1 + 2 + 3) or 8 (the rest then).
    sums = [abs(sum(s)) for s in itertools.product(*((-k, k) for k in (1, 5, 3, 2, 3)))]
    assert sum(s >= 4 for s in sums) == 22
    assert p_flips((394, 388, 383, 399, 389), (393, 393, 380, 397, 386)) == 22 / 32


def test_many_pairs_are_flipped_at_random() -> None:
    study = made_study(seeds=list(range(18)))
    records = made_records(plain=[70] * 18, other=[71] * 17 + [72])
    (gain,) = compare_to_baseline(study, group_records(study, records), {})
    assert gain.evidence is not None
    # 2 of 2^18 ways, of which 2^16 are drawn.
    assert 0 < gain.evidence.p_flips <= 4 / 2**16


def test_pairs_that_all_differ_alike_and_a_single_pair() -> None:
    study = made_study(("plain", "equal", "better", "once"), seeds=[0, 1, 2])
    records = made_records(plain=(70, 71, 72), equal=(70, 71, 72), better=(72, 73, 74), once=(75,))
    gains = {g.variant: g for g in compare_to_baseline(study, group_records(study, records), {})}
    assert gains["equal"].evidence.p == gains["equal"].evidence.p_flips == 1.0
    assert gains["better"].evidence.low == pytest.approx(gains["better"].evidence.high)
    # 2 of 8: the least that three pairs can say. t has no deviation to divide by.
    assert gains["better"].evidence.p == gains["better"].evidence.p_flips == 0.25
    assert gains["better"].evidence.p_holm == 0.5
    assert (gains["once"].mean, gains["once"].evidence) == (pytest.approx(0.05), None)


def test_the_interval_over_objects_knows_which_photos_belong_together() -> None:
    study = made_study(seeds=[0, 1])
    # The other network gains photos 70 to 79, with both seeds.
    grouped = group_records(study, made_records(plain=(70, 70), other=(80, 80)))
    (alone,) = compare_to_baseline(study, grouped, {})
    paths = [answer.path for answer in grouped["plain"][0].answers]
    by_index = sorted(paths, key=lambda path: path.split("-")[1])
    tens = {path: f"object {index // 10}" for index, path in enumerate(by_index)}
    (together,) = compare_to_baseline(study, grouped, tens)
    # Photos on their own: binomial, standard error sqrt(0.1 * 0.9 / 100) = 0.03. Ten objects, one of which has
    # all the gain: 0 to 3 times drawn in 95 % of the samples.
    assert (alone.objects_low, alone.objects_high) == pytest.approx((0.04, 0.16), abs=0.011)
    assert (together.objects_low, together.objects_high) == (0.0, pytest.approx(0.3))


def test_holms_correction_by_hand() -> None:
    # Sorted 0.01 * 4, 0.03 * 3, 0.04 * 2 (not below the one before), 0.5.
    assert holm([0.04, 0.01, 0.03, 0.5]) == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_spread_by_hand() -> None:
    spread = spread_of([0.90, 0.92, 0.94])
    # Deviation 0.02, half width 4.3027 * 0.02 / sqrt(3) = 0.049683.
    assert (spread.mean, spread.deviation) == (pytest.approx(0.92), pytest.approx(0.02))
    assert spread.high == pytest.approx(0.969683, abs=1e-6)
    assert (spread_of([0.9]).deviation, spread_of([0.9]).low) == (None, None)


def test_over_folds_spreads_too_count_what_the_training_photos_share() -> None:
    study = made_study(("plain",), folds=[0, 1, 2])
    records = [made_record("plain", fold, hits, unit="fold") for fold, hits in enumerate((70, 72, 71))]
    assert overlap_of(study, records) == 0.25
    assert overlap_of(made_study(seeds=[0, 1, 2]), records) == 0
    # Deviation 1 point: 4.3027 * sqrt(1/3 + 100/400) = 3.2862 points to either side.
    spread = spread_of([0.70, 0.72, 0.71], overlap=0.25)
    assert (spread.low, spread.high) == pytest.approx((0.677138, 0.742862), abs=1e-5)
    left, _ = draw_study(study, {"plain": records}, [], LATENCIES).axes
    (line,) = [lines for lines in left.collections if isinstance(lines, LineCollection)]
    assert line.get_segments()[0][:, 1] == pytest.approx((0.677138, 0.742862), abs=1e-5)


def test_a_teacher_is_shown_but_not_compared() -> None:
    study = made_study(("plain", "big", "other"), seeds=[0, 1])
    records = made_records(plain=(70, 72), other=(71, 73))
    records += [made_record("big", seed, 90, role="teacher") for seed in (0, 1)]
    grouped = group_records(study, records)
    gains = compare_to_baseline(study, grouped, {})
    assert [gain.variant for gain in gains] == ["other"]
    table = format_table(study, grouped, gains, LATENCIES).splitlines()
    assert table[3] == (
        "| big | 2 | 0.750 ± 0.000 | 0.900 ± 0.000 | 0.500 ± 0.000 | 0.050 ± 0.000 | 5.0 ms | – | – | – | – | – |"
    )
    assert table[4].startswith("| other | 2 | 0.750 ± 0.000 | 0.720 ± 0.014 | 0.500 ± 0.000 |")
    assert len({row.count("|") for row in table}) == 1


# --- the sentence ---


def conclude(**right: Sequence[int]) -> str:
    study = made_study(tuple(right), seeds=list(range(5)))
    grouped = group_records(study, made_records(**right))
    return conclude_study(study, grouped, compare_to_baseline(study, grouped, {}))


def test_a_gain_is_named_with_its_p_and_its_company() -> None:
    sentence = conclude(
        plain=(70, 71, 72, 70, 71),
        good=(80, 82, 82, 80, 82),
        fair=(74, 76, 76, 74, 76),
        none=(70, 72, 71, 71, 71),
    )
    assert sentence.startswith(
        "`good` gains 10.40 points of test accuracy over `plain` (95 % interval for other seeds +9.72 "
        "to +11.08 from 5 pairs, for photos of other objects "
    )
    assert "after Holm's correction for 3 comparisons" in sentence
    assert sentence.endswith("; also different: `fair` by +4.40.")
    assert "other photos might not show it" not in sentence


def test_a_loss_is_a_loss() -> None:
    sentence = conclude(plain=(70, 71, 72, 70, 71), bad=(60, 62, 62, 60, 62))
    assert sentence.startswith(
        "`bad` loses 9.60 points of test accuracy against `plain` (95 % interval for other seeds −"
    )
    assert "Holm" not in sentence


def test_a_tie_is_a_tie() -> None:
    assert conclude(
        plain=(70, 71, 72, 70, 71), one=(71, 70, 73, 69, 72), two=(73, 70, 75, 68, 73)
    ).startswith(
        "A tie: no variant differs from `plain` beyond chance (p < 0.05); the largest difference, of `two`, "
        "is +1.00 points of test accuracy ("
    )
    assert conclude(plain=(70, 71, 72, 70, 71), one=(71, 70, 73, 69, 72)).startswith(
        "A tie: `one` does not differ from `plain` beyond chance (p < 0.05), by +0.20 points"
    )


def test_several_comparisons_make_a_gain_harder_to_claim() -> None:
    # Differences 1, 2, 0, 2, 1: p = 0.033, enough alone, not as one of two.
    row, plain = (71, 73, 72, 72, 72), (70, 71, 72, 70, 71)
    assert conclude(plain=plain, one=row).startswith("`one` gains 1.20 points")
    assert conclude(plain=plain, one=row, two=plain).startswith("A tie")


def test_a_single_pair_neither_hides_a_verdict_nor_counts_as_a_comparison() -> None:
    plain, flat = (70, 71, 72, 70, 71), (71, 70, 73, 69, 72)
    tie = conclude(plain=plain, flat=flat, once=(80,))
    assert tie.startswith(
        "So far, with 11 of 15 runs: a tie: `flat` does not differ from `plain` beyond"
    )
    assert "Holm" not in tie
    assert tie.endswith("; one seed says nothing about `once`.")
    several = conclude(plain=plain, flat=flat, same=plain, once=(80,))
    assert (
        "no variant differs from `plain` beyond chance (p < 0.05); the largest difference, of `flat`,"
        in several
    )
    assert "after Holm's correction for 2 comparisons" in several
    gain = conclude(plain=plain, good=(80, 82, 82, 80, 82), flat=flat, once=(90,))
    assert "after Holm's correction for 2 comparisons" in gain


def test_an_unfinished_study_says_so() -> None:
    assert conclude(plain=(70, 71), one=(72, 73)).startswith("So far, with 4 of 10 runs: ")
    assert conclude(plain=(70,), one=(72,)) == (
        "So far, with 2 of 10 runs: no verdict, since one seed says nothing about chance; `one` and `plain` "
        "differ by +2.00 points of test accuracy."
    )
    assert conclude(plain=(70,), one=()).endswith("there is nothing to compare with `plain`.")


def test_numbers_are_written_for_people() -> None:
    assert [format_points(x) for x in (0.0144, -0.00234, 0.0)] == ["+1.44", "−0.23", "+0.00"]
    assert [format_p(p) for p in (0.55, 0.0234, 0.00013, 0.00001)] == [
        "0.55",
        "0.023",
        "0.00013",
        "< 0.0001",
    ]
    assert [format_duration(s) for s in (40, 89.6, 400, 7500)] == ["40 s", "90 s", "7 min", "2 h 5 min"]


def test_the_picture_has_a_dot_a_run_and_a_band_a_time() -> None:
    study = made_study(("plain", "other", "big"), seeds=[0, 1, 2])
    records = made_records(plain=(70, 72, 71), other=(71, 74, 74))
    slow = {"role": "teacher", "network": {"name": "resnet50", "arguments": {"layers": [1]}}}
    records += [
        dataclasses.replace(record, recipe={**record.recipe, **slow})
        for record in made_records(big=(90, 91, 92))
    ]
    networks = {
        **LATENCIES.networks,
        "resnet50 layers=[1], 32 px": {**TIMES, "infer_ms_p50": 40.0, "infer_ms_p95": 41.0},
    }
    latencies, grouped = Latencies(cpu="toy cpu", networks=networks), group_records(study, records)
    gains = compare_to_baseline(study, grouped, {})
    left, right = draw_study(study, grouped, gains, latencies).axes
    assert sorted(
        len(dots.get_offsets())
        for dots in left.collections
        if hasattr(dots, "get_sizes") and len(dots.get_sizes())
    ) == [1, 1, 1, 3, 3, 3]
    assert [text.get_text() for text in left.texts] == ["5 ms", "40 ms"]
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        "plain  71.0 %",
        "other  73.0 %",
        "big  91.0 %",
    ]
    assert [label.get_text() for label in right.get_yticklabels()] == ["other"]
    draw_study(study, grouped, gains, Latencies(cpu="none", networks={}))  # nothing measured: no columns


def test_the_picture_shows_every_pair_and_no_interval_of_two() -> None:
    study = made_study(("plain", "other"), seeds=[0, 1, 2, 3, 4])
    grouped = group_records(study, made_records(plain=(70, 70, 70, 70, 70), other=(60, 75, 75, 75, 75)))
    gains = compare_to_baseline(study, grouped, {})
    _, right = draw_study(study, grouped, gains, LATENCIES).axes
    low, high = right.get_xlim()
    assert low < 100 * min(gains[0].differences)
    assert high > 100 * max(gains[0].differences)
    few = made_study(("plain", "other"), seeds=[0, 1])
    grouped = group_records(few, made_records(plain=(70, 70), other=(60, 75)))
    _, right = draw_study(few, grouped, compare_to_baseline(few, grouped, {}), LATENCIES).axes
    low, high = right.get_xlim()
    assert high - low < 30  # their interval is 190 points wide


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The variants of each measurement of times; none is really made, since the export takes long."""
    calls: list[list[str]] = []

    def measure(records: Sequence[RunRecord], folder: Path) -> Latencies:
        calls.append([record.variant for record in records])
        (folder / LATENCY_FILE).write_text(json.dumps(dataclasses.asdict(LATENCIES)))
        return LATENCIES

    monkeypatch.setattr("trashlens.training.study.report.measure_latencies", measure)
    return calls


def test_a_pruned_network_has_no_other_s_time(tmp_path: Path) -> None:
    (plain,) = made_records(plain=[70])
    network = {**plain.recipe["network"], "weights": "model.safetensors", "widths": "weights"}
    first, second = (
        dataclasses.replace(
            plain,
            variant="pruned",
            recipe={**plain.recipe, "network": network},
            weights={"source": "model.safetensors", "sha256": digest * 64},
        )
        for digest in "ab"
    )
    assert LATENCIES.median_ms(plain) == 5.0
    assert LATENCIES.median_ms(first) is None
    assert name_served(first) != name_served(second)
    with pytest.raises(RecipeError, match="The time of pruned cannot be measured"):
        measure_latencies([first], tmp_path)
    assert not list(tmp_path.iterdir())


# --- trained for real, with toy networks ---


def study_main(study_file: Path, tmp_path: Path, *options: str) -> int:
    return main(
        ["study", str(study_file), f"--runs={tmp_path / 'runs'}", f"--data={tmp_path}", *options]
    )


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """The trainings that were started: output's name and W&B's group."""
    started: list[tuple[str, str | None]] = []
    fit = execution.fit

    def counted(recipe: Recipe, *, group: str | None = None) -> Path:
        started.append((recipe.output.name, group))
        return fit(recipe, group=group)

    monkeypatch.setattr(execution, "fit", counted)
    return started


def test_a_study_is_trained_once_recorded_and_reported(
    study_file: Path,
    tmp_path: Path,
    fits: list[tuple[str, str | None]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(loop, "track", lambda *_, **__: contextlib.nullcontext(Tracker(None)))
    assert study_main(study_file, tmp_path, "--dry-run") == 0
    assert capsys.readouterr().out.endswith("0 of 4 runs are done; none was timed yet.\n")
    assert study_main(study_file, tmp_path) == 0
    report = capsys.readouterr().out
    order = ["plain-0", "slow-0", "plain-1", "slow-1"]
    assert fits == [(name, "toy") for name in order]
    folder = tmp_path / "studies" / "toy"
    records = {path.stem: read_record(path) for path in folder.glob("*-*.json")}
    assert set(records) == set(order)
    for name, record in records.items():
        run_folder = tmp_path / "runs" / "toy" / name
        checkpoint = json.loads((run_folder / "checkpoint.json").read_text())
        assert record.test["accuracy"] == checkpoint["test"]["accuracy"]
        assert record.val["accuracy"] == pytest.approx(checkpoint["val"]["val/accuracy"])
        assert record.seed == checkpoint["recipe"]["seed"]
        assert record.wall_s is not None
        assert len(record.answers) == 18
        assert (record.study, record.fold, record.teacher_sha256) == ("toy", None, None)
        assert str(tmp_path) not in (folder / f"{name}.json").read_text()
        environment = checkpoint["environment"]
        assert (record.precision, record.processes) == (environment["precision"], 1)
        assert record.weights == {"source": checkpoint["weights"]["source"]}
    assert records["plain-0"].recipe == records["plain-1"].recipe
    assert records["slow-0"].recipe["schedule"]["learning_rate"] == 0.001

    # Weights from a file are known by its hash; older checkpoints say less.
    study, name = parse_study(str(study_file)), tmp_path / "runs" / "toy" / "plain-0" / "checkpoint.json"
    run, checkpoint = plan_runs(study, tmp_path / "runs")[0], json.loads(name.read_text())
    name.write_text(
        json.dumps(
            {
                **checkpoint,
                "inputs": {"weights": "5a"},
                "weights": {"source": "w.safetensors", "loaded": 1},
            }
        )
    )
    again = execution.make_record(study, run, None)
    assert again.weights == {"source": "w.safetensors", "sha256": "5a"}
    older = {key: checkpoint["environment"][key] for key in ("device", "commit")}
    rest = {key: value for key, value in checkpoint.items() if key != "weights"}
    name.write_text(json.dumps({**rest, "environment": older}))
    again = execution.make_record(study, run, None)
    assert (again.precision, again.processes, again.weights) == (None, None, None)
    name.write_text(json.dumps(checkpoint, indent=2) + "\n")

    # Everything is there: nothing is trained again, and the report needs neither runs nor checkpoints.
    assert study_main(study_file, tmp_path) == 0
    assert capsys.readouterr().out == report
    shutil.rmtree(tmp_path / "runs")
    latency = (folder / LATENCY_FILE).read_bytes()
    assert study_main(study_file, tmp_path, "--report") == 0
    assert capsys.readouterr().out == report == (folder / "report.md").read_text()
    assert (folder / LATENCY_FILE).read_bytes() == latency
    assert len(fits) == 4
    assert (folder / "accuracy-latency.png").stat().st_size > 10_000
    assert "4 of 4 runs on the official split (18 test photos)" in report
    assert "`slow` and `plain` differ in schedule.learning_rate 0.001 and 0.01." in report
    assert study_main(study_file, tmp_path, "--dry-run") == 0
    assert "4 of 4 runs are done; nothing is left." in capsys.readouterr().out
    assert study_main(study_file, tmp_path, "--set=slow:schedule.learning_rate=0.002", "--dry-run") == 2
    assert (
        "made by another recipe: schedule.learning_rate 0.001 and 0.002 now" in capsys.readouterr().err
    )


class Interrupting(Tracker):
    """Interrupts at a step, as Ctrl-C would."""

    def __init__(self, at: int) -> None:
        super().__init__(None)
        self.at = at

    def log(self, _metrics: object, *, step: int) -> None:
        if step == self.at:
            raise KeyboardInterrupt


def test_a_study_goes_on_from_the_weights_it_began_with(study_file: Path, tmp_path: Path) -> None:
    (tmp_path / "other.safetensors").write_bytes(b"other")
    study = parse_study(str(study_file), [f"network.weights={tmp_path / 'other.safetensors'}"])
    runs = plan_runs(study, tmp_path / "runs")
    done = dataclasses.replace(
        made_record("plain", 0, 70),
        recipe=describe_recipe(runs[0].recipe),
        weights={"source": "first.safetensors", "sha256": "a"},
    )
    write_all(tmp_path / "records", done)
    with pytest.raises(
        RecipeError, match=r"other\.safetensors holds other weights than first\.safetensors"
    ):
        conduct(study, runs, tmp_path / "records")
    (tmp_path / "other.safetensors").unlink()
    with pytest.raises(RecipeError, match=r"other\.safetensors cannot be read \(No such file"):
        conduct(study, runs, tmp_path / "records")
    assert not (tmp_path / "runs").exists()


def test_an_interrupted_study_continues_where_it_stopped(
    study_file: Path,
    tmp_path: Path,
    fits: list[tuple[str, str | None]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("--set=schedule.epochs=2",)

    def track(_record: object, *, name: str, **_: object) -> contextlib.AbstractContextManager[Tracker]:
        # Step 9 of 12 is in the middle of the second epoch.
        return contextlib.nullcontext(Interrupting(9) if name == "slow-0" else Tracker(None))

    with monkeypatch.context() as patched:
        patched.setattr(loop, "track", track)
        assert study_main(study_file, tmp_path, *options) == 130
    capsys.readouterr()
    study = parse_study(str(study_file), ["schedule.epochs=2"])
    runs = plan_runs(study, tmp_path / "runs")
    standings = find_standings(runs, tmp_path / "studies" / "toy")
    assert [standing.state for standing in standings] == ["done", "begun", "to do", "to do"]
    first = standings[0].record
    assert first is not None
    assert first.wall_s is not None
    # One and a half of the second run, and two whole ones, each taking what the first took.
    assert estimate_left_s(standings) == pytest.approx((0.5 + 1 + 1) * first.wall_s)
    lines = format_standings(standings).splitlines()
    assert lines[0].startswith("plain-0 ")
    assert lines[1].split() == ["slow-0", "begun,", "epoch", "1", "of", "2"]
    assert lines[4].startswith("1 of 4 runs are done; about ")
    long = dataclasses.replace(standings[3], run=dataclasses.replace(runs[3], variant="n" * 40))
    assert format_standings([long]).startswith(f"{long.run.name}  to do")

    monkeypatch.setattr(loop, "track", lambda *_, **__: contextlib.nullcontext(Tracker(None)))
    conduct(study, runs, tmp_path / "studies" / "toy")
    assert [name for name, _ in fits] == ["plain-0", "slow-0", "slow-0", "plain-1", "slow-1"]
    records = {
        standing.run.name: standing.record
        for standing in find_standings(runs, tmp_path / "studies" / "toy")
    }
    assert records["plain-0"] == first
    assert records["slow-0"].wall_s is None  # only a part of it was timed
    assert records["slow-1"].wall_s is not None

    # A kill between training and its record costs nothing either.
    (tmp_path / "studies" / "toy" / "slow-1.json").unlink()
    standings = find_standings(runs, tmp_path / "studies" / "toy")
    assert [standing.state for standing in standings] == ["done", "done", "done", "trained"]
    assert estimate_left_s(standings) == 0
    conduct(study, runs, tmp_path / "studies" / "toy")
    again = read_record(tmp_path / "studies" / "toy" / "slow-1.json")
    assert again == dataclasses.replace(records["slow-1"], wall_s=None, cpu_s=None)


def test_a_run_that_fails_does_not_keep_the_others_from_being_trained(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def fit(recipe: Recipe, *, group: str | None = None) -> Path:  # noqa: ARG001
        if recipe.output.name == "slow-0":
            raise TrainingError("The loss became nan.")
        return recipe.output

    def record(_study: object, run: object, wall_s: float | None) -> RunRecord:
        made.append(run.name)
        found = made_record(run.variant, run.number, 70)
        return dataclasses.replace(found, recipe=describe_recipe(run.recipe), wall_s=wall_s)

    monkeypatch.setattr(execution, "fit", fit)
    monkeypatch.setattr(execution, "make_record", record)
    study = parse_study(str(study_file))
    with pytest.raises(TrainingError, match="Of 4 runs 1 stopped: slow-0"):
        conduct(study, plan_runs(study, tmp_path / "runs"), tmp_path / "records")
    assert made == ["plain-0", "plain-1", "slow-1"]


def test_students_of_a_teacher_that_stopped_are_left_out(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = {"role": "student", "objective.distill.temperature": 2.0}
    path = write_study(
        tmp_path,
        variants={
            "plain": {"recipe": str(recipe_file)},
            "big": {"recipe": str(recipe_file), "settings": {"role": "teacher"}},
            "student": {"recipe": str(recipe_file), "teacher": "big", "settings": student},
            "heir": {"recipe": str(recipe_file), "teacher": "student", "settings": student},
        },
        seeds=[0, 1],
    )
    begun = []

    def fit(recipe: Recipe, *, group: str | None = None) -> Path:  # noqa: ARG001
        begun.append(recipe.output.name)
        if recipe.output.name == "big-0":
            raise TrainingError("The loss became nan.")
        return recipe.output

    def record(_study: object, run: object, wall_s: float | None) -> RunRecord:
        found = made_record(run.variant, run.number, 70)
        return dataclasses.replace(found, recipe=describe_recipe(run.recipe), wall_s=wall_s)

    monkeypatch.setattr(execution, "fit", fit)
    monkeypatch.setattr(execution, "make_record", record)
    study = parse_study(str(path))
    with pytest.raises(
        TrainingError,
        match=r"Of 8 runs 3 stopped: big-0, student-0 \(its teacher stopped\), heir-0 \(its teacher st",
    ):
        conduct(study, plan_runs(study, tmp_path / "runs"), tmp_path / "records")
    assert begun == ["plain-0", "big-0", "plain-1", "big-1", "student-1", "heir-1"]


@pytest.fixture
def folds(processed: Path, tmp_path: Path) -> Path:
    """A data folder with two prepared folds and the groups of their photos."""
    data = tmp_path / "data"
    for fold in (0, 1):
        folder = data / f"processed-fold{fold}"
        shutil.copytree(processed, folder)
        # Each photo is a test photo once.
        for path in (folder / "test").rglob("*.jpg"):
            path.rename(path.with_name(f"{fold}{path.name}"))
        record = {
            **json.loads((folder / "data.json").read_text()),
            "split": "grouped",
            "fold": fold,
            "photos": {"train": {"glass": 48}, "val": {"glass": 18}, "test": {"glass": 18}},
        }
        (folder / "data.json").write_text(json.dumps(record))
    return data


def test_a_study_over_folds_gives_each_its_own_photos_and_teacher(
    recipe_file: Path,
    folds: Path,
    tmp_path: Path,
    measured: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(loop, "track", lambda *_, **__: contextlib.nullcontext(Tracker(None)))
    student = {"role": "student", "objective.distill.temperature": 2.0}
    path = write_study(
        tmp_path,
        variants={
            "student": {"recipe": str(recipe_file), "teacher": "big", "settings": student},
            "plain": {"recipe": str(recipe_file)},
            "big": {"recipe": str(recipe_file), "settings": {"role": "teacher"}},
        },
        folds=[0, 1],
        settings={"schedule.epochs": 1, "data.folder": str(folds)},
    )
    assert main(["study", str(path), f"--runs={tmp_path / 'runs'}", f"--data={folds}"]) == 0
    report = capsys.readouterr().out
    records = {
        (record.variant, record.fold): record for record in read_records(folds / "studies" / "toy")
    }
    assert len(records) == 6
    for fold in (0, 1):
        taught, teacher = records["student", fold], records["big", fold]
        assert taught.teacher_sha256 == teacher.checkpoint_sha256
        assert {answer.path.split("/")[1][0] for answer in taught.answers} == {str(fold)}
    assert "6 of 6 runs on the grouped split (36 test photos over all folds)" in report
    assert "Nadeau and Bengio" in report
    assert measured == [["student", "plain", "big"]]
    assert [line.split(" | ")[0] for line in report.splitlines() if line.startswith("| ")] == [
        "| variant",
        "| student",
        "| plain",
        "| big",
    ]


# --- the report's edges ---


@pytest.fixture
def made_folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder with made-up records of two variants and five seeds."""
    for record in made_records(plain=(70, 72, 71, 69, 73), other=(71, 74, 70, 72, 75)):
        write_record(tmp_path / "studies" / "toy" / f"{record.variant}-{record.seed}.json", record)
    return tmp_path


def test_a_report_measures_times_once_and_again_when_asked(
    made_folder: Path, measured: list[list[str]]
) -> None:
    study = made_study(seeds=[0, 1, 2, 3, 4])
    text = report_study(study, made_folder)
    assert report_study(study, made_folder) == text
    assert measured == [["plain", "other"]]
    report_study(study, made_folder, measure=True)
    assert len(measured) == 2
    assert "median on toy cpu." in text
    assert text.startswith(
        "# Does it help?\n\nA tie: `other` does not differ from `plain` beyond chance (p < 0.05), by +1.40 points"
    )
    busy = {"networks": {"test_efficientnet, 32 px": {**TIMES, "infer_ms_min": 2.0}}, "cpu": "toy cpu"}
    (made_folder / "studies" / "toy" / LATENCY_FILE).write_text(json.dumps(busy))
    assert "toy cpu, which was busy with something else: `--measure` repeats it." in report_study(
        study, made_folder
    )


@pytest.mark.usefixtures("measured")
def test_a_report_names_what_was_trained_elsewhere_or_by_other_code(tmp_path: Path) -> None:
    study = made_study(("plain", "same", "moved", "later", "big"), seeds=[0, 1])
    records = made_records(plain=(70, 72), same=(71, 74), moved=(71, 73), later=(72, 74))
    records += [made_record("big", seed, 90, role="teacher") for seed in (0, 1)]
    elsewhere = {
        "moved": {"machine": "b"},
        "later": {"commit": "f"},
        "big": {"machine": "c", "commit": "g"},
    }
    folder = tmp_path / "studies" / "toy"
    write_all(folder, *records)
    assert "Trained otherwise" not in report_study(study, tmp_path)
    assert "Teacher: " not in report_study(study, tmp_path)
    changed = [dataclasses.replace(r, **elsewhere.get(r.variant, {})) for r in records]
    write_all(folder, *changed)
    note = "- Trained otherwise than `plain`: on other machines `moved`; by other commits of the code `later`.\n"
    assert note in report_study(study, tmp_path)


@pytest.mark.usefixtures("measured")
def test_a_report_over_folds_leaves_out_the_sign_flips(tmp_path: Path) -> None:
    rows = {"plain": (70, 72, 71), "other": (71, 73, 72)}
    records = [
        made_record(v, n, hits, unit="fold") for v, row in rows.items() for n, hits in enumerate(row)
    ]
    write_all(tmp_path / "studies" / "toy", *records)
    text = report_study(made_study(folds=[0, 1, 2]), tmp_path)
    assert "*p, signs* is left out: folds share training photos" in text
    assert (
        "where all pairs differ alike, t has no deviation to divide by, and p is that of sign flips;"
        in text
    )
    (row,) = [line for line in text.splitlines() if line.startswith("| other")]
    assert row.endswith("| 0.25 | – | 0.25 |")


@pytest.mark.usefixtures("measured")
def test_a_report_counts_only_comparisons_that_have_a_p(tmp_path: Path) -> None:
    records = made_records(plain=(70, 72), other=(71, 74), once=(75,))
    write_all(tmp_path / "studies" / "toy", *records)
    text = report_study(made_study(("plain", "other", "once"), seeds=[0, 1]), tmp_path)
    assert "p after Holm's correction for 1 comparison." in text
    assert "differ alike" not in text


@pytest.mark.parametrize("text", ["{", "[]", '{"cpu": "x"}', '{"cpu": "x", "networks": {"a": {}}}'])
def test_damaged_times_are_a_sentence(made_folder: Path, text: str) -> None:
    (made_folder / "studies" / "toy" / LATENCY_FILE).write_text(text)
    with pytest.raises(DataError, match=r"latency\.json is damaged"):
        report_study(made_study(seeds=[0, 1, 2, 3, 4]), made_folder)


def test_impossible_times_are_a_sentence(made_folder: Path) -> None:
    wrong = {"cpu": "x", "networks": {"test_efficientnet, 32 px": {**TIMES, "infer_ms_p50": -1.0}}}
    (made_folder / "studies" / "toy" / LATENCY_FILE).write_text(json.dumps(wrong))
    with pytest.raises(DataError, match="times that cannot be"):
        report_study(made_study(seeds=[0, 1, 2, 3, 4]), made_folder)


def test_without_records_there_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no records of the study toy"):
        report_study(made_study(seeds=[0]), tmp_path)


def test_a_recipe_is_described_without_what_differs_from_run_to_run() -> None:
    study = parse_study("distillation", ["network.weights=/somewhere/weights.safetensors"])
    descriptions = {}
    for run in plan_runs(study, Path("runs")):
        descriptions.setdefault(run.variant, []).append(describe_recipe(run.recipe))
    assert all(same == rest[0] for rest in descriptions.values() for same in rest)
    assert descriptions["dist"][0]["network"]["weights"] == "weights.safetensors"
    assert "teacher" not in descriptions["dist"][0]["objective"]["distill"]
    assert np.unique([json.dumps(rest[0], sort_keys=True) for rest in descriptions.values()]).size == 4
