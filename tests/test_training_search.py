"""Searches: read from YAML, drawn, stopped by hand-computed rules, interrupted, shared, and reported."""

import contextlib
import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import optuna
import pytest
import timm
import yaml
from accelerate.state import AcceleratorState
from optuna.exceptions import StorageInternalError
from optuna.study import Study
from optuna.trial import Trial, TrialState
from safetensors.torch import save_file
from sqlalchemy import event

from trashlens.__main__ import main
from trashlens.errors import DataError, DivergenceError, RecipeError, TrackingError, TrainingError
from trashlens.training.data import LABELS, DataConfig
from trashlens.training.recipe import Recipe, parse_recipe
from trashlens.training.search import (
    SEARCHES,
    Searcher,
    Space,
    check_space,
    conduct_search,
    draw_search,
    execution,
    format_outcomes,
    open_study,
    parse_space,
    read_outcomes,
    write_outcomes,
)
from trashlens.training.search.config import Draw, Stopping
from trashlens.training.search.drawing import TrialSampler, draw_values, make_recipe
from trashlens.training.search.picture import trace_front
from trashlens.training.search.stopping import Curve, find_dominators
from trashlens.training.search.storage import queue_again, recover, standing_trials
from trashlens.training.search.timing import NetworkTime, Stopwatch, name_operations
from trashlens.training.tracking import Tracker
from trashlens.training.untrained import open_untrained

WIDTHS = {"thin": {"preprocess.size_px": 32}, "wide": {"preprocess.size_px": 64}}
RATES = {"choices": [0.001, 0.01]}


@pytest.fixture(autouse=True)
def fresh_accelerator() -> None:
    """accelerate keeps its precision for the life of a process; each test is a process of its own to it."""
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def space_file(recipe_file: Path, tmp_path: Path) -> Path:
    """A space around the toy recipe: two sizes, two rates, four trials."""
    return write_space(tmp_path, recipe=str(recipe_file))


def write_space(folder: Path, **changes: object) -> Path:
    settings = {
        "name": "toy",
        "question": "Which?",
        "recipe": "baseline",
        "trials": 4,
        "draws": {"width": {"options": WIDTHS}, "schedule.learning_rate": RATES},
        **changes,
    }
    path = folder / "space.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


def begin(space_file: Path, tmp_path: Path) -> tuple[Study, Searcher]:
    space, folder = parse_space(str(space_file)), tmp_path / "runs" / "toy"
    reference = check_space(space, folder)
    study = open_study(space, reference, None, folder)
    return study, Searcher(space=space, reference=reference, folder=folder)


def ask(study: Study) -> Trial:
    """Begin a trial without running it, which Optuna warns of where there are heartbeats."""
    with pytest.warns(UserWarning, match="Heartbeat"):
        return study.ask()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[int, float], list[float]]:
    """Training and timing that take no time: curves by input size and rate, times like the size's area.

    What is raised in place of a value stands for training that stops there.
    """
    curves: dict[tuple[int, float], list[float]] = {}

    def fit(recipe, *, group, watch, splits):
        assert (group, splits) == ("toy", ("val",))
        curve = curves[recipe.preprocess.size_px, recipe.schedule.learning_rate]
        for epoch, f1 in enumerate(curve, 1):
            if not isinstance(f1, float):
                raise f1
            if watch(epoch, {"val/macro_f1": f1}):
                return recipe.output
        recipe.output.mkdir(parents=True, exist_ok=True)
        val = {"val/macro_f1": curve[-1], "val/accuracy": curve[-1] + 0.01}
        record = {"val": val, "epoch": len(curve), "complete": True}
        (recipe.output / "checkpoint.json").write_text(json.dumps(record))
        return recipe.output

    def measure(_: Stopwatch, recipe):
        ratio = recipe.preprocess.size_px**2 / 32**2
        return NetworkTime(
            **{"network": name_operations(recipe), "ratio": ratio, "infer_ms": 2 * ratio},
            **{"reference_ms": 2.0, "parameters": 1000, "cpu": "toy"},
        )

    monkeypatch.setattr(execution, "fit", fit)
    monkeypatch.setattr(Stopwatch, "measure", measure)
    return curves


# --- what a space is ---


def test_the_shipped_space_fits_its_recipe() -> None:
    assert SEARCHES.names() == ["light"]
    space = parse_space("light")
    recipe = check_space(space, Path("runs"))
    assert recipe.network.name == "mobilenetv2_100"
    assert space.stopping.from_epoch < recipe.schedule.epochs
    assert "mobilenetv3_small_050" in space.draws["network.name"].choices


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"draws": {"seed": {"choices": [1, 2]}}}, "seed must not be drawn"),
        ({"draws": {"data.split": {"choices": ["official"]}}}, "data.split must not be drawn"),
        ({"draws": {"schedule.epochs": {"low": 2, "high": 9}}}, "stopping.from_epoch to null"),
        ({"draws": {"schedule.ema": {"low": 0.5}}}, "needs either choices, or options, or low and high"),
        ({"draws": {"schedule.ema": {"low": 0.9, "high": 0.5}}}, "low must be less than high"),
        ({"draws": {"schedule.ema": {"low": 0.0, "high": 0.5, "log": True}}}, "low must be positive"),
        (
            {"draws": {"a": {"options": WIDTHS}, "preprocess.size_px": {"low": 32, "high": 64}}},
            "preprocess.size_px is drawn twice",
        ),
        ({"draws": {"network.arguments": {"choices": [{"layers": 3}]}}}, "name it in `options`"),
        ({"draws": {}}, "something to draw"),
        ({"name": "a/b"}, "names a folder"),
        ({"settings": {"output": "x"}}, "a folder of its own"),
        ({"stopping": {"dominators": 0}}, "stopping.dominators must be at least 1"),
        ({"pruning": {"after": 1}}, "pruning"),
    ],
)
def test_a_space_that_cannot_work_is_refused_in_a_sentence(
    changes: dict[str, object], said: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="does not hold") as caught:
        parse_space(str(write_space(tmp_path, **changes)))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("schedule.lr", {"low": 0.1, "high": 0.2}),
        ("schedule.warmup", {"low": 0.5, "high": 1.5}),
        ("network.batch_norm", {"choices": ["batch", "layer"]}),
    ],
)
def test_an_end_of_the_space_that_no_recipe_can_have_is_said_before_training(
    name: str, draw: dict[str, object], tmp_path: Path
) -> None:
    space = parse_space(str(write_space(tmp_path, draws={name: draw})))
    with pytest.raises(RecipeError, match=f"In the space toy, {name}="):
        check_space(space, tmp_path)


def test_a_draw_becomes_the_recipe_s_settings(tmp_path: Path) -> None:
    draws = {
        "width": {"options": WIDTHS},
        "loader.batch_size": {"low": 8, "high": 32, "step": 8},
        "schedule.learning_rate": {"low": 1.0e-4, "high": 1.0e-2, "log": True},
        "augment.mixup": {"low": 0.0, "high": 0.4, "step": 0.1},
    }
    space = parse_space(
        str(write_space(tmp_path, draws=draws, settings={"schedule.epochs": 5})), ["schedule.ema=0.5"]
    )
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=TrialSampler(0))
    for _ in range(8):
        values = draw_values(space, study.ask())
        recipe = make_recipe(space, values, tmp_path / "out")
        assert recipe.preprocess.size_px == WIDTHS[values["width"]]["preprocess.size_px"]
        assert recipe.loader.batch_size in (8, 16, 24, 32)
        assert 1e-4 <= recipe.schedule.learning_rate <= 1e-2
        assert round(recipe.augment.mixup * 10, 9) in (0, 1, 2, 3, 4)
        assert (recipe.schedule.epochs, recipe.schedule.ema) == (5, 0.5)
        assert recipe.output == tmp_path / "out"


def test_what_a_trial_draws_depends_on_its_number_not_on_the_process() -> None:
    def draw(count: int, sampler: TrialSampler) -> list[float]:
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        return [study.ask().suggest_float("x", 0, 1) for _ in range(count)]

    first = draw(4, TrialSampler(7))
    assert len(set(first)) == 4
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=TrialSampler(7))
    for expected in first:  # each as if by another process
        study.sampler = TrialSampler(7)
        assert study.ask().suggest_float("x", 0, 1) == expected
    assert draw(1, TrialSampler(8)) != first[:1]


# --- when a trial is stopped ---


def test_optuna_itself_prunes_no_trial_of_two_objectives() -> None:
    trial = optuna.create_study(directions=["maximize", "minimize"]).ask()
    with pytest.raises(NotImplementedError, match="multi-objective"):
        trial.report(0.5, 1)
    with pytest.raises(NotImplementedError, match="multi-objective"):
        trial.should_prune()


def test_a_trial_is_stopped_by_enough_others_that_are_better_and_no_slower() -> None:
    rule = Stopping(from_epoch=2, dominators=2, margin=0.1)
    others = [
        Curve(number=0, time=1.0, f1=[0.1, 0.60, 0.9]),
        Curve(number=1, time=2.0, f1=[0.7, 0.20]),  # its best so far is 0.7
        Curve(number=2, time=2.1, f1=[0.9, 0.90]),  # slower
        Curve(number=3, time=1.0, f1=[0.9]),  # not as far
        Curve(number=4, time=1.0, f1=[0.5, 0.55, 0.9]),  # ahead by less than the margin, until later
        Curve(number=5, time=2.0, f1=[0.9, 0.9]),  # itself
    ]

    def stopped_by(f1: list[float], time: float = 2.0, rule: Stopping = rule) -> list[int]:
        return find_dominators(Curve(number=5, time=time, f1=f1), others, rule)

    assert stopped_by([0.3, 0.5]) == [0, 1]
    assert stopped_by([0.5, 0.3]) == [0, 1]  # the best so far counts
    assert stopped_by([0.3, 0.51]) == []  # 0 is ahead by 0.09 only
    assert stopped_by([0.3]) == []  # too early
    assert stopped_by([0.3, 0.5], time=1.9) == []  # 1 is slower
    assert stopped_by([0.3, 0.5], time=0.9) == []  # the fastest is never stopped
    assert stopped_by([0.3, 0.5], rule=Stopping(from_epoch=None)) == []
    assert stopped_by([0.3, 0.44], rule=Stopping(from_epoch=2, dominators=3, margin=0.1)) == [0, 1, 4]


# --- a search as a whole ---


def test_trials_end_complete_stopped_or_failed_and_the_front_is_theirs(
    quick: dict[tuple[int, float], list[float]], space_file: Path, tmp_path: Path
) -> None:
    text = yaml.safe_load(space_file.read_text())
    text["stopping"] = {"from_epoch": 1, "dominators": 1, "margin": 0.05}
    space_file.write_text(yaml.safe_dump(text, sort_keys=False))
    study, searcher = begin(space_file, tmp_path)
    quick |= {
        (32, 0.001): [0.5, 0.6],
        (64, 0.001): [0.6, 0.8],
        (64, 0.01): [0.3, 0.9],  # 32 px with 0.001 is better after its first epoch, and faster
        (32, 0.01): [0.46, DivergenceError("The loss became nan.")],
    }
    for width, rate in (("thin", 0.001), ("wide", 0.001), ("wide", 0.01), ("thin", 0.01)):
        study.enqueue_trial({"width": width, "schedule.learning_rate": rate})
    assert conduct_search(study, searcher)
    outcomes = read_outcomes(study)
    assert [one.state for one in outcomes] == ["complete", "complete", "stopped", "failed"]
    assert [(one.macro_f1, one.time_ratio) for one in outcomes[:2]] == [(0.6, 1.0), (0.8, 4.0)]
    assert [one.front for one in outcomes] == [True, True, False, False]
    assert outcomes[2].stopped_by == [0, 1]
    assert outcomes[2].curve == [0.3]
    assert outcomes[3].problem == "The loss became nan."
    write_outcomes(searcher.space, outcomes, tmp_path)
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert [row["width"] for row in rows] == ["thin", "wide", "wide", "thin"]
    assert rows[2]["stopped_by"] == "0 1"
    assert (rows[1]["macro_f1"], rows[1]["epochs"], rows[2]["macro_f1"]) == ("0.8", "2", "")
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["outcomes"][1]["drawn"] == {"width": "wide", "schedule.learning_rate": 0.001}
    table = format_outcomes(searcher.space, outcomes)
    assert "| 0 | 0.600 | 1.00× | 2.0 ms | 0.00 M | width thin, schedule.learning_rate 0.001 |" in table
    assert "2 networks on the front; of 4 trials 2 complete, 1 stopped, 1 failed." in table


def test_what_was_drawn_before_is_not_trained_again(
    quick: dict[tuple[int, float], list[float]], space_file: Path, tmp_path: Path
) -> None:
    study, searcher = begin(space_file, tmp_path)
    quick[32, 0.01] = [0.5]
    study.enqueue_trial({"width": "thin", "schedule.learning_rate": 0.01})
    study.enqueue_trial({"width": "thin", "schedule.learning_rate": 0.01})
    study.optimize(searcher.run, n_trials=1)
    quick.clear()  # to train would raise
    study.optimize(searcher.run, n_trials=1)
    first, second = read_outcomes(study)
    assert (second.same_as, second.macro_f1, second.folder) == (0, 0.5, first.folder)
    assert len(format_outcomes(searcher.space, [first, second]).splitlines()) == 5


def test_what_was_stopped_before_is_not_trained_again(
    quick: dict[tuple[int, float], list[float]], space_file: Path, tmp_path: Path
) -> None:
    text = yaml.safe_load(space_file.read_text())
    text["stopping"] = {"from_epoch": 1, "dominators": 1, "margin": 0.05}
    space_file.write_text(yaml.safe_dump(text, sort_keys=False))
    study, searcher = begin(space_file, tmp_path)
    quick |= {(32, 0.01): [0.5, 0.6], (64, 0.01): [0.3, 0.9]}
    for width in ("thin", "wide", "wide"):
        study.enqueue_trial({"width": width, "schedule.learning_rate": 0.01})
    study.optimize(searcher.run, n_trials=2)
    quick.clear()  # to train would raise
    study.optimize(searcher.run, n_trials=1)
    _, stopped, again = read_outcomes(study)
    assert (stopped.state, again.state, again.same_as) == ("stopped", "stopped", 1)
    assert again.stopped_by == stopped.stopped_by == [0]


def test_a_network_that_was_drawn_twice_stops_others_as_one(
    quick: dict[tuple[int, float], list[float]], space_file: Path, tmp_path: Path
) -> None:
    text = yaml.safe_load(space_file.read_text())
    text |= {"trials": 3, "stopping": {"from_epoch": 1, "dominators": 2, "margin": 0.05}}
    space_file.write_text(yaml.safe_dump(text, sort_keys=False))
    study, searcher = begin(space_file, tmp_path)
    quick |= {(32, 0.01): [0.5, 0.6], (64, 0.01): [0.3, 0.9]}
    for width in ("thin", "thin", "wide"):
        study.enqueue_trial({"width": width, "schedule.learning_rate": 0.01})
    assert conduct_search(study, searcher)
    outcomes = read_outcomes(study)
    assert [one.same_as for one in outcomes] == [None, 0, None]
    assert [one.state for one in outcomes] == ["complete"] * 3


def test_a_trial_that_ends_as_another_goes_on_with_its_own_interrupted_one(
    quick: dict[tuple[int, float], list[float]], space_file: Path, tmp_path: Path
) -> None:
    space_file.write_text(yaml.safe_dump({**yaml.safe_load(space_file.read_text()), "trials": 2}))
    study, searcher = begin(space_file, tmp_path)
    for _ in range(2):
        study.enqueue_trial({"width": "thin", "schedule.learning_rate": 0.01})
    quick[32, 0.01] = [0.5, KeyboardInterrupt()]
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            conduct_search(study, searcher)
    quick[32, 0.01] = [0.5, 0.6]
    assert conduct_search(study, searcher)
    assert [trial.user_attrs.get("continues") for trial in study.trials] == [None, None, 0, 1]
    outcomes = read_outcomes(study)
    assert [(one.trial, one.state, one.same_as) for one in outcomes] == [
        (2, "complete", None),
        (3, "complete", 2),
    ]


@pytest.mark.parametrize(
    "error",
    [
        DataError("No photos."),
        TrainingError("No room."),
        OSError(28, "No space left"),
        RuntimeError("CUDA out of memory."),
        StorageInternalError("The server has gone away."),
    ],
)
def test_what_can_be_mended_costs_no_trial(
    error: Exception,
    quick: dict[tuple[int, float], list[float]],
    space_file: Path,
    tmp_path: Path,
) -> None:
    study, searcher = begin(space_file, tmp_path)
    for size_px in (32, 64):
        for rate in (0.001, 0.01):
            quick[size_px, rate] = [0.5, error]
    for _ in range(4):
        with pytest.raises(type(error)):
            conduct_search(study, searcher)
    drawn = study.trials[0].params
    for key in quick:
        quick[key] = [0.5, 0.6]
    assert conduct_search(study, searcher)
    outcomes = read_outcomes(study)
    assert [one.state for one in outcomes] == ["complete"] * 4
    assert (outcomes[0].drawn, outcomes[0].folder) == (drawn, "trial-000")


def test_what_ended_a_search_is_raised_though_the_storage_is_gone(
    quick: dict[tuple[int, float], list[float]],
    space_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    study, searcher = begin(space_file, tmp_path)
    quick |= {
        (size_px, rate): [RuntimeError("CUDA out of memory.")]
        for size_px in (32, 64)
        for rate in (0.001, 0.01)
    }

    def lost(*_: object) -> None:
        raise StorageInternalError("The server has gone away.")

    monkeypatch.setattr(execution, "queue_again", lost)
    with pytest.raises(RuntimeError, match="out of memory"):
        conduct_search(study, searcher)
    assert "Trial 0 is not queued again (StorageInternalError" in caplog.text


def test_settings_that_cannot_work_together_are_not_tried_twice(
    quick: dict[tuple[int, float], list[float]],
    space_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study, searcher = begin(space_file, tmp_path)
    quick |= {(size_px, rate): [0.5] for size_px in (32, 64) for rate in (0.001, 0.01)}

    def refuse(*_: object) -> None:
        raise RecipeError("Too wide for its rate.")

    with monkeypatch.context() as patched:
        patched.setattr(execution, "make_recipe", refuse)
        with pytest.raises(RecipeError, match="Too wide"):
            conduct_search(study, searcher)
    assert conduct_search(study, searcher)
    states = [(one.state, one.problem) for one in read_outcomes(study)]
    assert states == [("failed", "Too wide for its rate."), *[("complete", "")] * 3]


def test_an_interruption_between_two_trials_repeats_none(
    quick: dict[tuple[int, float], list[float]],
    space_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study, searcher = begin(space_file, tmp_path)
    quick |= {(size_px, rate): [0.5] for size_px in (32, 64) for rate in (0.001, 0.01)}
    asked, beyond = study.ask, []

    def interrupted() -> Trial:
        trial = asked()
        if trial.number == 1:
            beyond.append(trial.number)
            raise KeyboardInterrupt  # after it was taken, before it runs
        return trial

    monkeypatch.setattr(study, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        conduct_search(study, searcher)
    assert beyond == [1]
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.RUNNING]
    recover(study)
    assert len(study.trials) == 2  # its first heartbeat may still come
    with contextlib.closing(sqlite3.connect(searcher.folder / "study.db")) as database, database:
        assert database.execute("select count(*) from trial_heartbeats").fetchone() == (1,)
        database.execute("update trials set datetime_start = datetime('now', '-2 days')")
    recover(study)
    assert [trial.state for trial in study.trials[1:]] == [TrialState.FAIL, TrialState.WAITING]
    assert conduct_search(study, searcher)
    assert [one.trial for one in read_outcomes(study)] == [0, 2, 3, 4]


def test_a_queued_trial_is_taken_by_one_process(space_file: Path, tmp_path: Path) -> None:
    study, _ = begin(space_file, tmp_path)
    other, _ = begin(space_file, tmp_path)
    for rate in RATES["choices"]:
        study.enqueue_trial({"width": "thin", "schedule.learning_rate": rate})
    taken: list[int | None] = []
    rival = threading.Thread(target=lambda: taken.append(other._pop_waiting_trial_id()))

    def let_the_rival_in(_connection, _cursor, statement, *_: object) -> None:
        if statement.startswith("UPDATE trials") and rival.ident is None:
            rival.start()  # after this one's look, before its claim
            rival.join(timeout=0.5)

    event.listen(study._storage._backend.engine, "before_cursor_execute", let_the_rival_in)
    taken.append(study._pop_waiting_trial_id())
    rival.join(timeout=30)
    assert sorted(taken) == [trial._trial_id for trial in study.trials]


def test_several_failures_in_a_row_end_the_search(
    quick: dict[tuple[int, float], list[float]], space_file: Path, tmp_path: Path
) -> None:
    study, searcher = begin(space_file, tmp_path)
    for size_px in (32, 64):
        for rate in (0.001, 0.01):
            quick[size_px, rate] = [DivergenceError("It became nan.")]
    with pytest.raises(
        TrainingError, match=r"3 trials in a row stopped, the last one so: It became nan\."
    ):
        conduct_search(study, searcher)
    assert len(study.trials) == 3


def test_an_interrupted_trial_is_the_next_one_with_what_it_drew(
    quick: dict[tuple[int, float], list[float]], space_file: Path, tmp_path: Path
) -> None:
    study, searcher = begin(space_file, tmp_path)
    for size_px in (32, 64):
        for rate in (0.001, 0.01):
            quick[size_px, rate] = [0.5, KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        conduct_search(study, searcher)
    drawn = study.trials[0].params
    for key in quick:
        quick[key] = [0.5, 0.6]
    study, searcher = begin(space_file, tmp_path)
    assert conduct_search(study, searcher)
    outcomes = read_outcomes(study)
    assert [one.trial for one in outcomes] == [1, 2, 3, 4]  # 0 goes on as 1
    assert outcomes[0].drawn == drawn
    assert outcomes[0].folder == "trial-000"
    assert {one.state for one in outcomes} == {"complete"}


def test_a_killed_process_s_trial_is_taken_up_when_its_heartbeat_is_overdue(
    quick: dict[tuple[int, float], list[float]], space_file: Path, tmp_path: Path
) -> None:
    study, searcher = begin(space_file, tmp_path)
    trial = ask(study)
    trial.set_user_attr("folder", "trial-000")
    drawn = draw_values(searcher.space, trial)
    study._storage.record_heartbeat(trial._trial_id)
    recover(study)
    assert [one.state for one in study.trials] == [TrialState.RUNNING]  # it may well live
    with contextlib.closing(sqlite3.connect(searcher.folder / "study.db")) as database, database:
        database.execute("update trial_heartbeats set heartbeat = datetime('now', '-1 hour')")
    recover(study)
    assert [one.state for one in study.trials] == [TrialState.FAIL, TrialState.WAITING]
    (standing,) = standing_trials(study)
    assert (standing.user_attrs["continues"], standing.user_attrs["folder"]) == (0, "trial-000")
    for key in ((32, 0.001), (32, 0.01), (64, 0.001), (64, 0.01)):
        quick[key] = [0.5]
    assert conduct_search(study, searcher)
    assert read_outcomes(study)[0].drawn == drawn


def test_another_space_of_the_same_name_is_refused(space_file: Path, tmp_path: Path) -> None:
    begin(space_file, tmp_path)
    begin(space_file, tmp_path)
    text = yaml.safe_load(space_file.read_text())
    space_file.write_text(yaml.safe_dump({**text, "trials": 9}))
    begin(space_file, tmp_path)  # more trials of the same
    space_file.write_text(yaml.safe_dump({**text, "seed": 1, "stopping": {"margin": 0.5}}))
    with pytest.raises(RecipeError, match="begun with another stopping and seed"):
        begin(space_file, tmp_path)


@pytest.mark.parametrize("url", ["nothing://u:secret@x/y", "sqlite:////nowhere/secret/study.db"])
def test_a_storage_that_cannot_be_used_is_said_without_its_password(
    url: str, space_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trashlens.training.search.storage.time.sleep", lambda _: None)
    space = parse_space(str(space_file))
    with pytest.raises(RecipeError, match="storage of the search cannot be used") as caught:
        open_study(space, check_space(space, tmp_path), url, tmp_path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite+pysqlite:///:memory:",
        "sqlite:///file:toy?mode=memory&cache=shared&uri=true",
    ],
)
def test_a_storage_in_memory_is_refused_in_a_sentence(
    url: str, space_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["search", str(space_file), f"--runs={tmp_path / 'runs'}", f"--storage={url}"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "not kept in memory" in said
    assert "Traceback" not in said


def test_the_command_searches_for_real_goes_on_and_reports(
    space_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    seen: list[int] = []
    watch = execution._Watch.__call__

    def interrupt(self, epoch: int, metrics: Mapping[str, float]) -> bool:
        seen.append(epoch)
        if len(seen) == 1:
            raise KeyboardInterrupt
        return watch(self, epoch, metrics)

    monkeypatch.setattr(execution._Watch, "__call__", interrupt)
    command = ["search", str(space_file), f"--runs={tmp_path / 'runs'}", "--trials=2"]
    assert main(command) == 130
    AcceleratorState._reset_state(reset_partial_state=True)
    assert main(command) == 0
    assert seen[:3] == [1, 1, 2]  # the first epoch was not trained twice, but seen again
    folder = tmp_path / "runs" / "toy"
    rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    assert {row["state"] for row in rows} == {"complete"}
    checkpoint = json.loads((folder / "trial-000" / "checkpoint.json").read_text())
    assert checkpoint["complete"]
    assert "test" not in checkpoint  # no trial sees the test photos
    assert rows[0]["macro_f1"] == str(checkpoint["val"]["val/macro_f1"])
    assert float(rows[0]["time_ratio"]) > 0
    assert (folder / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert "of 2 trials 2 complete" in capsys.readouterr().out
    assert main([*command, "--report"]) == 0
    assert len(seen) == 5  # nothing was trained


RACER = """
import sys, time
from pathlib import Path
import trashlens.training.search, trashlens.training.fit, torch.onnx
from trashlens.__main__ import main
folder, own = Path(sys.argv[1]), sys.argv[2]
(folder / f"ready-{own}").touch()
while len(list(folder.glob("ready-*"))) < 2:
    time.sleep(0.01)
sys.exit(main(["search", *sys.argv[3:]]))
"""


def test_two_processes_share_a_study(space_file: Path, tmp_path: Path) -> None:
    text = yaml.safe_load(space_file.read_text())
    text |= {"trials": 4, "settings": {"schedule.epochs": 1}}
    text["draws"] = {"schedule.learning_rate": {"low": 0.001, "high": 0.01, "log": True}}
    space_file.write_text(yaml.safe_dump(text))
    arguments = [str(space_file), f"--runs={tmp_path / 'runs'}"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path), own, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "WANDB_MODE": "disabled"},
        )
        for own in "ab"
    ]
    said = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    trained = [text.count("Checkpoint: ") for text in said]
    assert min(trained) >= 1  # both had a part in it
    study, _ = begin(space_file, tmp_path)
    outcomes = read_outcomes(study)
    assert 4 <= len(outcomes) <= 5  # both may take the last one
    assert {one.state for one in outcomes} == {"complete"}
    assert sum(trained) == len(outcomes) == len({one.folder for one in outcomes})
    assert len({one.drawn["schedule.learning_rate"] for one in outcomes}) == len(outcomes)


def test_a_search_is_not_started_by_accelerate(
    space_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["search", str(space_file)]) == 2
    assert "start it several times instead" in capsys.readouterr().err


# --- what people see ---


def test_the_front_is_a_staircase() -> None:
    points = [(4.0, 0.8), (1.0, 0.6), (2.0, 0.5), (3.0, 0.8), (1.0, 0.4)]
    assert trace_front(points) == [(1.0, 0.6), (3.0, 0.6), (3.0, 0.8)]
    assert trace_front([]) == []


def test_the_picture_shows_each_trial_once(
    quick: dict[tuple[int, float], list[float]], space_file: Path, tmp_path: Path
) -> None:
    study, searcher = begin(space_file, tmp_path)
    assert len(draw_search(searcher.space, read_outcomes(study)).axes) == 2  # before the first trial
    quick |= {(32, 0.001): [0.5, 0.6], (64, 0.001): [0.6, 0.8]}
    for width in ("thin", "wide"):
        study.enqueue_trial({"width": width, "schedule.learning_rate": 0.001})
        study.optimize(searcher.run, n_trials=1)
    front, curves = draw_search(searcher.space, read_outcomes(study)).axes
    dots = [collection.get_offsets().tolist() for collection in front.collections]
    assert [[1.0, 0.6]] in dots
    assert [[4.0, 0.8]] in dots
    assert {text.get_text() for text in front.texts} == {"0", "1"}
    assert [line.get_ydata().tolist() for line in curves.lines] == [[0.5, 0.6], [0.6, 0.8]]
    assert "(2 ms)" in front.get_xlabel()


def test_queued_again_keeps_what_is_known(space_file: Path, tmp_path: Path) -> None:
    study, _ = begin(space_file, tmp_path)
    trial = ask(study)
    trial.set_user_attr("time", {"network": "n"})
    trial.suggest_float("x", 0, 1)
    study.tell(trial, state=TrialState.FAIL)
    queue_again(study, study.trials[0])
    again = ask(study)
    assert again.suggest_float("x", 0, 1) == trial.params["x"]
    assert again.user_attrs == {"time": {"network": "n"}, "continues": 0}


def test_queued_again_keeps_what_it_was_queued_for_before_it_drew(
    space_file: Path, tmp_path: Path
) -> None:
    study, _ = begin(space_file, tmp_path)
    study.enqueue_trial({"x": 0.25})
    study.tell(ask(study), state=TrialState.FAIL)
    queue_again(study, study.trials[0])
    assert ask(study).suggest_float("x", 0, 1) == 0.25


def test_a_record_that_was_refused_is_sent_the_next_time(
    quick: dict[tuple[int, float], list[float]],
    space_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick |= {(size_px, rate): [0.5] for size_px in (32, 64) for rate in (0.001, 0.01)}
    tries: list[str] = []

    @contextlib.contextmanager
    def track(*_: object, name: str, **__: object):
        tries.append(name)
        if len(tries) == 1:
            raise TrackingError("W&B does not answer.")
        yield Tracker(None)

    monkeypatch.setattr("trashlens.training.tracking.track", track)
    command = ["search", str(space_file), f"--runs={tmp_path / 'runs'}"]
    assert [main(command) for _ in range(3)] == [2, 0, 0]
    assert tries == ["toy", "toy"]


# --- how long a network takes ---


def write_narrow(path: Path, channels: int, *, classes: int = 6) -> None:
    """Write the weights of a toy network whose last features were pruned to so many."""
    network = timm.create_model("test_efficientnet", num_classes=classes)
    state = network.state_dict()
    state["conv_head.weight"] = state["conv_head.weight"][:channels]
    for name in ("weight", "bias", "running_mean", "running_var"):
        state[f"bn2.{name}"] = state[f"bn2.{name}"][:channels]
    state["classifier.weight"] = state["classifier.weight"][:, :channels]
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)


def test_a_pruned_network_is_timed_with_its_own_widths(recipe_file: Path, tmp_path: Path) -> None:
    def narrow(path: Path, channels: int) -> Recipe:
        write_narrow(path, channels)
        options = [f"--network.weights={path}", "--network.widths=weights"]
        return parse_recipe(str(recipe_file), options)

    whole = parse_recipe(str(recipe_file), [])
    first, second = narrow(tmp_path / "a", 64), narrow(tmp_path / "b", 32)
    assert len({name_operations(recipe) for recipe in (whole, first, second)}) == 3
    assert str(tmp_path) not in name_operations(first)
    opened = open_untrained(first.network, first.preprocess, role=first.role, labels=LABELS, threads=1)
    plain = open_untrained(whole.network, whole.preprocess, role=whole.role, labels=LABELS, threads=1)
    gone = (256 - 64) * (64 + 2 + 6)
    assert opened.bundle.parameters == plain.bundle.parameters - gone
    (tmp_path / "a").unlink()
    with pytest.raises(RecipeError, match="cannot be read"):
        name_operations(first)


def test_networks_are_timed_with_the_classes_of_the_photos_which_are_prepared_first(
    recipe_file: Path, processed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(config: DataConfig) -> None:
        shutil.copytree(processed, config.processed, ignore=shutil.ignore_patterns(LABELS[0]))
        (config.processed / "train" / LABELS[0]).mkdir()  # without a photo it is no class

    monkeypatch.setattr("trashlens.training.fit.loop.prepare_data", prepare)
    monkeypatch.setattr("trashlens.training.search.timing.ROUNDS", 3)
    monkeypatch.setattr(execution, "fit", lambda *_, **__: {}["training"])
    write_narrow(tmp_path / "pruned.safetensors", 64, classes=5)
    settings = {
        "network.weights": str(tmp_path / "pruned.safetensors"),
        **{"network.widths": "weights", "data.folder": str(tmp_path / "data")},
    }
    study, searcher = begin(write_space(tmp_path, recipe=str(recipe_file), settings=settings), tmp_path)
    with pytest.raises(KeyError, match="training"):
        conduct_search(study, searcher)
    pruned = timm.create_model("test_efficientnet", num_classes=5)
    whole = sum(parameter.numel() for parameter in pruned.parameters())
    measured = study.trials[0].user_attrs["time"]
    assert measured["parameters"] == whole - (256 - 64) * (64 + 2 + 5)


def test_options_pair_each_network_with_its_own_file(recipe_file: Path, tmp_path: Path) -> None:
    text = SEARCHES.find("light").read_text().split("name: light")[0]
    lines = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("#  ")]
    options = yaml.safe_load("\n".join(lines))["network"]["options"]
    space = parse_space(
        str(write_space(tmp_path, recipe=str(recipe_file), draws={"network": {"options": options}}))
    )
    check_space(space, tmp_path)
    recipes = [make_recipe(space, {"network": name}, tmp_path) for name in options]
    assert [recipe.network.weights for recipe in recipes] == [
        f"{recipe.network.name}.safetensors" for recipe in recipes
    ]
    assert len(recipes) == 2


def test_settings_of_a_space_are_checked_by_themselves() -> None:
    with pytest.raises(ValueError, match="step must be positive"):
        Draw(low=1, high=2, step=0)
    with pytest.raises(ValueError, match="at least one trial"):
        Space(name="a", question="b", recipe="c", draws={"d": Draw(choices=[1])}, trials=0)
