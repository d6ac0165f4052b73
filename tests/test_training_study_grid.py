"""A study of every combination: its cells, their records, and the report of a small one that was trained."""

import csv
import dataclasses
from pathlib import Path

import pytest
import timm
import yaml
from accelerate.state import AcceleratorState
from test_training_study import made_record, write_all

from trashlens.__main__ import main
from trashlens.errors import RecipeError
from trashlens.image import Preprocess
from trashlens.training.study import parse_study, read_records
from trashlens.training.study.cells import compare_shares, find_cells, format_csv
from trashlens.training.study.config import Study, Variant
from trashlens.training.study.grid import Cell, Grid
from trashlens.training.study.grid_picture import draw_grid
from trashlens.training.study.grid_report import report_grid
from trashlens.training.study.plan import plan_runs
from trashlens.training.study.statistics import group_records

NETWORK = {"network.name": "test_efficientnet", "network.weights": "none"}


@pytest.fixture(autouse=True)
def fresh_accelerator() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)


def made_grid() -> Study:
    grid = Grid(datasets={"ours": {}}, networks={"toy": NETWORK}, frozen_shares=[0.0, 0.9])
    variants = {name: Variant(**made) for name, made in grid.variants().items()}
    return Study(
        name="toy",
        question="How much?",
        baseline="ours-toy-0of10",
        variants=variants,
        grid=grid,
        seeds=[0, 1],
    )


def test_the_shipped_study_of_transfer_is_the_issues_grid() -> None:
    study = parse_study("transfer.yaml")
    assert len(study.variants) == 3 * 3 * 4
    assert study.planned == 108
    for name, settings in study.grid.networks.items():
        published = timm.get_pretrained_cfg(settings["network.name"])
        for key in ("mean", "std"):
            assert tuple(settings.get(f"preprocess.{key}", getattr(Preprocess(size_px=224), key))) == (
                getattr(published, key)
            ), name
    variant = study.variants["recycle-small-inception-7of10"]
    assert variant.settings["network.frozen_share"] == 0.7
    assert variant.settings["preprocess.size_px"] == 299
    assert variant.settings["network.arguments"] == {"aux_logits": True}
    runs = {run.name: run.recipe for run in plan_runs(study, Path("runs"))}
    recipe = runs["recycle-inception-9of10-2"]
    assert recipe.network.frozen_share == 0.9
    assert recipe.objective.auxiliary_weight == 0.4
    assert (recipe.data.dataset, recipe.data.split, recipe.seed) == ("recycle", "random", 2)
    assert runs["garbage-resnet18-0of10-0"].preprocess.size_px == 224


def test_the_reduced_study_is_a_part_of_that_grid_with_other_networks() -> None:
    study, whole = parse_study("transfer-reduced"), parse_study("transfer")
    assert set(study.grid.frozen_shares) < set(whole.grid.frozen_shares)
    changed = parse_study("transfer-reduced", ["mobilenetv2:network.weights=none"])
    given = {name for name, one in changed.variants.items() if one.settings.get("network.weights")}
    assert given == {name for name in study.variants if "mobilenetv2" in name}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"baseline": "a"}, "either a grid or a baseline"),
        ({"seeds": None, "folds": [0]}, "leave out `folds`"),
        ({"grid": {"datasets": {}, "networks": {"a": {}}, "frozen_shares": [0]}}, "A grid needs"),
        ({"grid": {"datasets": {"a": {}}, "networks": {"a": {}}, "frozen_shares": [0.65]}}, "be tenths"),
        ({"grid": {"datasets": {"a": {}}, "networks": {"a": {}}, "frozen_shares": [1.0]}}, "be tenths"),
        ({"grid": {"datasets": {"a/b": {}}, "networks": {"a": {}}, "frozen_shares": [0]}}, "folders"),
    ],
)
def test_a_bad_grid_is_one_sentence(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    grid = {"datasets": {"ours": {}}, "networks": {"toy": {}}, "frozen_shares": [0.0]}
    settings = {"name": "toy", "question": "?", "seeds": [0], "grid": grid, **changes}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in settings.items() if v is not None}))
    with pytest.raises(RecipeError, match=said):
        parse_study(str(path))


def test_cells_and_what_freezing_changes_by_hand() -> None:
    study = made_grid()
    first, last = (cell.variant for cell in study.grid.cells())
    records = [made_record(first, 0, 80), made_record(first, 1, 84)]
    records += [dataclasses.replace(made_record(last, n, 70), cpu_s=30.0 + n) for n in (0, 1)]
    results = find_cells(study, group_records(study, records), {})
    assert [result.cell for result in results] == [Cell("ours", "toy", 0.0), Cell("ours", "toy", 0.9)]
    assert results[0].accuracy == pytest.approx(0.82)
    assert results[0].low < 0.82 < results[0].high
    assert results[0].cpu_s is None
    assert results[1].cpu_s == 30.5
    ((part, (gain,)),) = compare_shares(study, results, {}).values()
    assert part.baseline == first
    assert gain.differences == pytest.approx((-0.10, -0.14))
    rows = list(csv.DictReader(format_csv(results).decode().splitlines()))
    assert [row["frozen_share"] for row in rows] == ["0.0", "0.0", "0.9", "0.9"]
    assert rows[3]["cpu_s"] == "31.0"
    assert draw_grid(study, results).axes[0].get_title("left") == "ours"


def test_data_sets_are_not_taken_for_each_others_photos(tmp_path: Path) -> None:
    one, other = made_record("ours-toy-0of10", 0, 80), made_record("theirs-toy-0of10", 0, 80, first=3)
    recipe = {**other.recipe, "data": {"dataset": "recycle"}}
    other = dataclasses.replace(
        other, recipe=recipe, data={**other.data, "manifest_sha256": "n", "content_sha256": "d"}
    )
    assert len(read_records(write_all(tmp_path, one, other))) == 2


def test_a_report_says_which_parts_a_share_freezes(tmp_path: Path) -> None:
    study = made_grid()
    records = [
        dataclasses.replace(made_record(cell.variant, 0, 80), cpu_s=20.0) for cell in study.grid.cells()
    ]
    (tmp_path / "studies/toy").mkdir(parents=True)
    text = report_grid(study, group_records(study, records), tmp_path)
    assert "| ours | toy | 0.800 (" in text
    assert "toy has 11, 9 of 10 ends with `bn2`" in text
    assert "Runs waited" in text  # 60 s of wall time for 20 s of work
    assert "2 of 4 runs" in text


@pytest.mark.parametrize(
    ("networks", "said"),
    [
        ([{}, {"head": "probe", "weights": "hub"}], "All heads start from a linear probe on the frozen"),
        ([{"head": "random"}, {"head": "random"}], "All heads start from random weights."),
        (
            [{"weights": "none"}, {"weights": "none", "head": "probe"}],
            "All heads start from random weights.",
        ),
        ([{"weights": "none"}, {"weights": "hub"}], None),
    ],
)
def test_a_report_says_what_all_heads_start_from(
    networks: list[dict[str, str]], said: str | None, tmp_path: Path
) -> None:
    study, records = made_grid(), []
    for cell, given in zip(study.grid.cells(), networks, strict=True):
        record = made_record(cell.variant, 0, 80)
        recipe = {**record.recipe, "network": {**record.recipe["network"], **given}}
        records.append(dataclasses.replace(record, recipe=recipe))
    (tmp_path / "studies/toy").mkdir(parents=True)
    text = report_grid(study, group_records(study, records), tmp_path)
    assert (said or "Against") in text
    assert text.count("All heads") == (said is not None)


def test_a_grid_is_trained_recorded_and_reported(
    recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = {
        **{"recipe": str(recipe_file), "datasets": {"ours": {}}, "networks": {"toy": NETWORK}},
        "frozen_shares": [0.0, 0.6],
    }
    settings = {"name": "toy", "question": "How much?", "seeds": [0], "grid": grid}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({**settings, "settings": {"schedule.epochs": 1}}))
    options = [f"--runs={tmp_path / 'runs'}", f"--data={tmp_path}"]
    assert main(["study", str(path), *options]) == 0
    said = capsys.readouterr().out
    folder = tmp_path / "studies/toy"
    assert (folder / "report.md").read_text() == said
    assert (folder / "accuracy-time.png").stat().st_size > 10_000
    rows = list(csv.DictReader((folder / "runs.csv").read_text().splitlines()))
    assert [row["frozen_share"] for row in rows] == ["0.0", "0.6"]
    assert all(float(row["cpu_s"]) > 0 for row in rows)
    records = {record.variant: record for record in read_records(folder)}
    assert records["ours-toy-6of10"].recipe["network"]["frozen_share"] == 0.6
    assert main(["study", str(path), *options, "--dry-run"]) == 0
    assert "2 of 2 runs are done" in capsys.readouterr().out
