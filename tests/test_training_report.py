"""What the networks answer is counted, compared in pairs by object, kept and drawn."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import LABELS
from PIL import Image

from trashlens.__main__ import main
from trashlens.benchmark import inference
from trashlens.bundle import Bundle, load_bundles
from trashlens.errors import DataError
from trashlens.scoreboard import format_report
from trashlens.training.data import DataConfig
from trashlens.training.report import RESERVED, evaluate_bundles, labelled_photos, original_photos

ROOT = Path(__file__).parents[1]


@pytest.fixture
def models(toy_models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy_models, tmp_path / "models"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    shutil.copy(ROOT / "data" / "trashnet-official.csv", tmp_path / "data")
    return tmp_path / "data"


def test_pairs_are_kept_with_the_bundle_they_were_measured_against_and_what_memory_it_takes(
    models: Path, processed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "MEMORY_REPEATS", 1)
    photos = labelled_photos(processed / "test", LABELS)
    groups = [f"an object of {label}" for _, label in photos]
    evaluate_bundles(models, photos, write=True, groups=groups)
    kept = load_bundles(models)
    test = kept["baseline"].metrics["test"]
    pair = test["paired"]["teacher"]
    assert pair["bundle"] == kept["teacher"].short_id
    # The baseline swaps glass and plastic, three photos each; the teacher names all 18.
    assert pair["difference"] == pytest.approx(-6 / 18)
    assert (pair["only_other"], pair["only_own"], pair["p"]) == (6, 0, 2 / 2**6)
    assert pair["interval"] == test["interval"] == "bootstrap over 6 groups"
    assert kept["student"].metrics["test"]["paired"]["baseline"]["difference"] == pytest.approx(6 / 18)
    assert kept["student"].metrics["test"]["paired"]["teacher"]["p"] == 1
    assert set(test["paired"]) == {"teacher", "student"}
    for bundle in kept.values():
        assert 0 < bundle.metrics["latency"]["memory_mb"] < 200
    assert "an object" not in (models / "baseline" / "bundle.json").read_text()


def test_objects_that_were_trained_on_are_scored_apart(models: Path, processed: Path) -> None:
    photos = labelled_photos(processed / "test", LABELS)
    groups = [f"an object of {label}" for _, label in photos]
    trained = [label not in ("glass", "plastic") for _, label in photos]
    measured = evaluate_bundles(models, photos, groups=groups, trained=trained)
    objects = measured["baseline"].metrics["test"]["objects"]  # it swaps glass and plastic
    for part, count, share in (("trained", 12, 1.0), ("new", 6, 0.0)):
        assert objects[part] == {
            **{"photos": count, "accuracy": share, "accuracy_interval": [share, share]},
            "accepted": {
                **{"threshold": None, "photos": count, "coverage": 1.0, "precision": share},
                **{"coverage_interval": [1.0, 1.0], "precision_interval": [share, share]},
            },
        }
    row = (
        "| baseline | 1.000 (1.000 to 1.000) | 1.000 / 1.000 | 12 "
        "| 0.000 (0.000 to 0.000) | 1.000 / 0.000 | 6 |"
    )
    assert row in format_report(measured)
    low, high = measured["baseline"].metrics["test"]["accepted"]["precision_interval"]
    assert low < 12 / 18 < high


def test_the_speed_is_kept_with_the_teacher_it_was_measured_against(
    models: Path, processed: Path
) -> None:
    measured = evaluate_bundles(models, labelled_photos(processed / "test", LABELS))
    for bundle in measured.values():
        assert bundle.metrics["latency"]["teacher"] == measured["teacher"].short_id
        assert "memory_mb" not in bundle.metrics["latency"]  # nothing is kept


@pytest.mark.parametrize("name", RESERVED)
def test_a_folder_named_like_another_record_is_told_apart(
    name: str, models: Path, processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = labelled_photos(processed / "test", LABELS)
    with pytest.raises(DataError, match=f"Photos cannot be named '{name}'"):
        evaluate_bundles(models, photos, name=name)
    folder = Path(shutil.copytree(processed / "test", tmp_path / "own" / name))
    assert main(["evaluate", f"--models={models}", f"--photos={folder}"]) == 0
    assert f"| own/{name} accuracy (95 %) |" in capsys.readouterr().out


def test_without_groups_each_photo_stands_for_itself(models: Path, processed: Path) -> None:
    test = evaluate_bundles(models, labelled_photos(processed / "test", LABELS))["student"].metrics[
        "test"
    ]
    assert test["interval"] == "Wilson"
    assert test["paired"]["baseline"]["interval"] == "bootstrap over 18 photos"


def test_networks_with_other_classes_are_not_laid_side_by_side(models: Path, processed: Path) -> None:
    teacher = Bundle.load(models / "teacher")
    dataclasses.replace(teacher, labels=teacher.labels[::-1]).write(models / "teacher")
    measured = evaluate_bundles(models, labelled_photos(processed / "test", LABELS))
    assert set(measured["student"].metrics["test"]["paired"]) == {"baseline"}
    assert measured["teacher"].metrics["test"]["paired"] == {}


def test_the_command_prints_everything_and_draws_it(
    models: Path, processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "pictures"
    photos = f"--photos={processed / 'test'}"
    assert main(["evaluate", f"--models={models}", photos, f"--pictures={folder}"]) == 0
    said = capsys.readouterr().out
    assert "| student − baseline | +0.333 (" in said
    assert "| 6 | 0 | 0.031 |" in said
    assert "| glass | 0 | 0 | 0 | 0 | 3 | 0 |" in said  # the baseline's
    names = {f"{name}.png" for name in ("accuracy-latency", "confusion", "reliability")}
    assert {path.name for path in folder.iterdir()} == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.iterdir())
    assert all(f"Picture: {folder / name}" in said for name in names)
    assert Bundle.load(models / "student").metrics == {}


def test_what_is_no_waste_is_counted_where_it_is_asked_for(
    models: Path, processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own").mkdir()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(tmp_path / "own" / "grey.png")
    dataclasses.replace(Bundle.load(models / "student"), threshold=0.99).write(models / "student")
    command = ["evaluate", f"--models={models}", f"--photos={processed / 'test'}"]
    assert main([*command, f"--unrelated={tmp_path / 'own'}"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"\| teacher \| always \| – \| 1\.000 \| 1\.000 \| 0\.0% .* \| 0\.0% of 1 \|", said)
    assert re.search(
        r"\| student \| 0\.990 \| – \| .* \| \d+\.\d% of \d+ views of \d+ photos \| .* \| 100\.0% of 1 \|",
        said,
    )
    assert main(["evaluate", f"--models={models}", f"--unrelated={tmp_path / 'own'}", "--write"]) == 2
    assert "leave out --unrelated" in capsys.readouterr().err


def test_pictures_that_cannot_be_written_are_said_before_measuring(
    models: Path, processed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = models / "student" / "bundle.json"
    assert main(["evaluate", f"--models={models}", f"--photos={processed}", f"--pictures={file}/x"]) == 2
    assert "cannot be read or written" in capsys.readouterr().err


def test_the_original_test_photos_come_with_their_objects(
    models: Path, trashnet: Path, data: Path
) -> None:
    config = DataConfig(source=str(trashnet), folder=data)
    tested = original_photos(models, config)
    assert len(tested.photos) == 430
    assert tested.groups is tested.trained is None  # nothing says which photos show the same object
    rows = ["path,class,group,fold,val_of,sha256", f"glass/glass1.jpg,glass,jar,0,,{'0' * 64}"]
    official = (data / "trashnet-official.csv").read_text().splitlines()[1:]
    test, train = (
        [row.split(",")[0] for row in official if row.split(",")[2] == split]
        for split in ("test", "train")
    )
    rows += [f"{path},{path.split('/')[0]},can,0,,{'0' * 64}" for path in [*test[:4], train[0]]]
    rows += [f"{path},{path.split('/')[0]},bin,0,,{'0' * 64}" for path in test[4:6]]
    (data / "trashnet-grouped.csv").write_text("\n".join(rows) + "\n")
    tested = original_photos(models, config)
    assert tested.groups == ["can"] * 4 + ["bin"] * 2 + test[6:]
    assert tested.trained == [True] * 4 + [False] * 426


@pytest.mark.parametrize(
    ("learned", "named"),
    [
        ({"split": "random", "seed": 3, "fold": None}, "split random, seed 3"),
        ({"split": "grouped", "seed": None, "fold": 2}, "split grouped, fold 2"),
    ],
)
def test_what_a_network_learned_from_is_no_test_for_it(
    models: Path, trashnet: Path, data: Path, learned: dict[str, object], named: str
) -> None:
    student = Bundle.load(models / "student")
    dataclasses.replace(student, provenance={"data": learned}).write(models / "student")
    with pytest.raises(DataError, match=f"The student learned from other training photos, {named}: "):
        original_photos(models, DataConfig(source=str(trashnet), folder=data))


def test_networks_of_another_data_set_are_measured_on_their_own_photos_alone(
    models: Path,
    processed: Path,
    trashnet: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = dict(zip(LABELS, ("can", "cup", "foil", "jar", "lid", "straw"), strict=True))
    for folder in models.iterdir():
        bundle = Bundle.load(folder)
        learned = {"data": {"dataset": "TACO", "split": "official"}}
        labels = tuple(names[label] for label in bundle.labels)
        dataclasses.replace(bundle, labels=labels, provenance=learned).write(folder)
    litter = tmp_path / "litter"
    for label, name in names.items():
        shutil.copytree(processed / "test" / label, litter / name)
    assert main(["evaluate", f"--models={models}", f"--photos={litter}", "--score"]) == 0
    assert "| baseline |" in capsys.readouterr().out
    assert main(["evaluate", f"--models={models}", f"--photos={processed / 'test'}"]) == 2
    assert "holds no photos in folders named can, cup" in capsys.readouterr().err
    shutil.copytree(processed / "test" / "glass", litter / "glass")
    with pytest.raises(DataError, match=r"The teacher knows no glass, but can, .*"):
        evaluate_bundles(models, [*labelled_photos(litter, (*names.values(), "glass"))])
    trashnets = [f"--models={models}", f"--folder={data}"]
    assert main(["evaluate", *trashnets, f"--source={trashnet}"]) == 2
    assert "learned from TACO, and these photos are of garythung/trashnet" in capsys.readouterr().err
    assert main(["evaluate", *trashnets, "--source=taco"]) == 2
    assert (
        f"Measure crops as prepared: --photos {data / 'processed-taco/test'}." in capsys.readouterr().err
    )


def test_another_fold_is_refused_and_the_own_one_is_read(
    models: Path, trashnet: Path, data: Path
) -> None:
    record = {"split": "grouped", "seed": None, "fold": 2}
    json_file = models / "student" / "bundle.json"
    content = json.loads(json_file.read_text())
    json_file.write_text(json.dumps({**content, "provenance": {"data": record}}))
    (data / "trashnet-grouped.csv").write_text(
        f"path,class,group,fold,val_of,sha256\nglass/glass1.jpg,glass,jar,2,,{'0' * 64}\n"
    )
    own = DataConfig(source=str(trashnet), folder=data, split="grouped", fold=2)
    tested = original_photos(models, own)
    assert ([label for _, label in tested.photos], tested.groups) == (["glass"], ["jar"])
    with pytest.raises(DataError, match="split grouped, fold 2"):
        original_photos(models, dataclasses.replace(own, fold=1))
