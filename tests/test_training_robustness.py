"""Changed photos: what each change does, what it costs toy networks with known answers, and the command."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import COLOURS, LABELS, toy_bundle, toy_model

from trashlens.__main__ import main
from trashlens.bundle import Bundle, load_bundles
from trashlens.scoreboard import draw_robustness, format_robustness
from trashlens.training.data import DataConfig
from trashlens.training.robustness import (
    CORRUPTIONS,
    STRENGTHS,
    VARIANTS,
    Answers,
    Corruptor,
    RobustnessConfig,
    Scene,
    compare_answers,
    disagreement,
    draw_sheet,
    group_scenes,
    measure_folders,
    measurement,
    read_scenes,
    summarise,
)

RANDOM = ("noise", "white balance", "rotation", "background")


def drawn_scene(number: int) -> Scene:
    """Return a striped box on a bright board, RGB [96, 128, 3]."""
    rng = np.random.default_rng(number)
    photo = np.full((96, 128, 3), (205, 210, 215), np.float32) + rng.normal(0, 2, (96, 128, 3))
    photo[30:66, 40:90] = rng.uniform(40, 120, 3)
    photo[30:66, 40:90:6] *= 0.6
    return Scene(f"metal/metal{number}.jpg", "metal", photo.clip(0, 255).astype(np.uint8))


def plain_scene(label: str, number: int = 0, colour: tuple[int, int, int] | None = None) -> Scene:
    """Return a photo in one colour, by default the one the toy networks know the class by."""
    photo = np.full((48, 64, 3), colour or COLOURS[label], np.uint8)
    return Scene(f"{label}/{label}{number}.jpg", label, photo)


SCENES = [drawn_scene(number) for number in range(5)]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_change_grows_with_its_strength_and_keeps_the_shape(name: str) -> None:
    corrupt = Corruptor(seed=1)
    differences = []
    for strength in STRENGTHS:
        views = [corrupt(scene, name, strength) for scene in SCENES]
        assert all(view.shape == (96, 96, 3) and view.dtype == np.uint8 for view in views)
        distances = [
            np.abs(view.astype(float) - scene.square).mean()
            for view, scene in zip(views, SCENES, strict=True)
        ]
        differences.append(np.mean(distances))
    assert 0.2 < differences[0] < differences[1] < differences[2]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_change_depends_on_the_seed_and_the_photo_alone(name: str) -> None:
    before = SCENES[0].photo.copy()
    first = [Corruptor(seed=3)(SCENES[0], name, strength) for strength in STRENGTHS]
    other = Corruptor(seed=3)
    other(SCENES[1], name, 2)  # whatever was asked before
    for strength in reversed(STRENGTHS):
        np.testing.assert_array_equal(other(SCENES[0], name, strength), first[strength - 1])
    np.testing.assert_array_equal(SCENES[0].photo, before)
    by_seed = {Corruptor(seed=seed)(SCENES[0], name, 3).tobytes() for seed in range(8)}
    assert (len(by_seed) > 1) == (name in RANDOM)


def test_changes_of_light_are_those_they_claim() -> None:
    corrupt, grey = Corruptor(), plain_scene("metal", colour=(100, 100, 100))

    def level(name: str, strength: int) -> list[float]:
        return corrupt(grey, name, strength).mean(axis=(0, 1)).tolist()

    assert [level("darker", strength)[0] for strength in STRENGTHS] == [70, 50, 30]
    assert [level("brighter", strength)[0] for strength in STRENGTHS] == [120, 140, 170]
    assert level("contrast", 3) == [100, 100, 100]  # a picture without any has none to lose
    red, green, blue = level("white balance", 3)
    assert green == 100
    assert sorted([red, blue]) == [round(100 * np.exp(-0.28)), round(100 * np.exp(0.28))]
    grain = corrupt(plain_scene("metal", colour=(128, 128, 128)), "noise", 2)
    assert grain.std() == pytest.approx(25.5, rel=0.03)


def test_half_the_contrast_is_half_the_differences() -> None:
    scene = plain_scene("metal")
    scene.photo[:, :32], scene.photo[:, 32:] = 50, 150  # the mean is 100
    view = Corruptor()(scene, "contrast", 2)
    assert sorted(np.unique(view)) == pytest.approx([100 - 0.45 * 50, 100 + 0.45 * 50], abs=1)


def test_zooming_out_shrinks_the_object_and_keeps_the_board() -> None:
    scene = SCENES[0]
    for strength, scale in enumerate((0.75, 0.5, 0.35), 1):
        view = Corruptor()(scene, "zoom-out", strength)
        dark = view.mean(axis=2) < 150
        assert dark.sum() == pytest.approx(36 * 50 * scale**2, rel=0.15)
        assert view[0].mean() == pytest.approx(210, abs=4)  # no black frame


def test_on_another_ground_the_board_is_gone_and_the_object_ever_smaller() -> None:
    colour = (230, 30, 30)
    photo = np.full((96, 128, 3), 210, np.uint8)
    photo[30:66, 40:90] = colour
    reds = []
    for strength in STRENGTHS:
        view = Corruptor()(Scene("trash/trash1.jpg", "trash", photo), "background", strength)
        red = (view[..., 0] > 90) & (view[..., 0] > 2.5 * view[..., 1].astype(float))
        reds.append(red.mean())
    assert reds[0] > 2 * reds[2] > 0.01
    ground = view[~red]
    assert np.abs(ground.astype(float).mean(axis=0) - 210).max() > 20


def answers_of(rows: dict[tuple[str, int], list[str]], default: list[str]) -> Answers:
    """Return answers that are `default` but for some variants; those on clean photos are sure."""
    predicted = np.array([rows.get(variant, default) for variant in VARIANTS])
    sure = np.zeros(predicted.shape, bool)
    sure[0] = True
    return Answers(predicted, sure)


def test_a_summary_by_hand() -> None:
    labels = np.array(["glass", "metal", "metal", "trash"])
    answers = answers_of(
        {
            ("clean", 0): ["glass", "metal", "metal", "metal"],  # 0.75
            ("blur", 2): ["glass", "glass", "glass", "glass"],  # 0.25
            ("background", 3): ["trash"] * 4,  # 0.25
        },
        ["glass", "metal", "trash", "metal"],  # 0.5, and 28 of 30 variants
    )
    summary = summarise(labels, answers, classes=("glass", "metal", "trash"))
    robust = (28 * 0.5 + 0.25 + 0.25) / 30
    assert summary["clean"] == 0.75
    assert summary["robust"] == pytest.approx(robust)
    assert summary["lost"] == pytest.approx(0.75 - robust)
    assert summary["accuracy"]["blur"] == [0.5, 0.25, 0.5]
    assert summary["named"] == {
        "glass": [0.25, 0.25, 0],
        "metal": [0.5, 0.5, 0],
        "trash": [0.25, 0.25, 1],
    }
    assert summary["true"] == {"glass": 0.25, "metal": 0.5, "trash": 0.25}
    assert summary["accepted"]["clean"] == {"coverage": 1.0, "precision": 0.75}
    assert summary["accepted"]["changed"] == {"coverage": 0.0, "precision": None}
    low, high = summary["robust_interval"]
    assert 0 <= low < robust < high <= 1
    assert summary["interval"] == "bootstrap over 4 photos"
    # As one object, the photos stand or fall together: nothing is left to draw.
    together = summarise(labels, answers, classes=("glass", "metal", "trash"), groups=["a"] * 4)
    assert together["robust_interval"] == pytest.approx([robust, robust])
    assert together["interval"] == "bootstrap over 1 groups"
    json.dumps(summary)


def test_disagreement_and_gains_by_hand() -> None:
    labels = np.array(["glass", "metal"])
    right = answers_of({}, ["glass", "metal"])
    wrong = answers_of({("clean", 0): ["glass", "metal"]}, ["glass", "glass"])
    differ = disagreement({"teacher": right, "baseline": wrong, "student": right})
    assert (differ["clean"], differ["changed"]) == (0, 0.5)
    assert differ["by"]["JPEG"] == [0.5, 0.5, 0.5]
    gain = compare_answers(labels, wrong, right)
    assert (gain["clean"], gain["robust"]) == (0, 0.5)
    assert gain["clean_interval"] == [0, 0]
    assert gain["robust_interval"] == [0, 1]


def test_toy_networks_lose_what_their_colours_foretell(
    toy_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurement, "BATCH", 3)  # the last batch is smaller
    scenes = [plain_scene(label, number) for label in ("paper", "glass") for number in range(2)]
    (measured,) = measure_folders([toy_models], scenes)
    records = {role: bundle.metrics["robustness"] for role, bundle in measured.bundles.items()}
    teacher, baseline = records["teacher"], records["baseline"]
    assert (teacher["clean"], baseline["clean"]) == (1.0, 0.5)  # the baseline takes glass for plastic
    assert teacher["accuracy"]["blur"] == [1.0, 1.0, 1.0]
    # White at 0.7 is still nearest to white, at 0.5 to purple, at 0.3 to the grey of metal.
    paper = [
        measured.answers["teacher"].predicted[VARIANTS.index(("darker", strength)), 0]
        for strength in STRENGTHS
    ]
    assert paper == ["paper", "trash", "metal"]
    assert teacher["disagreement"]["clean"] == 0.5
    assert teacher["disagreement"]["between"] == {
        role: bundle.short_id for role, bundle in measured.bundles.items()
    }
    assert records["student"] == teacher  # the same graph


def test_disagreement_is_shown_for_the_bundles_that_were_measured_only(toy_models: Path) -> None:
    (measured,) = measure_folders([toy_models], [plain_scene("paper"), plain_scene("glass")])
    title = "## Photos on which the three networks do not agree\n\n"

    def shown(bundles: dict[str, Bundle]) -> list[str]:
        table = format_robustness({"models": bundles}).split(title)[1].split("\n\n")[0]
        return [row.strip("| ") for row in table.splitlines()[2:]]

    assert shown(measured.bundles)[0].startswith("50 | ")
    teacher, student = measured.bundles["teacher"], measured.bundles["student"]
    dashes = [" | ".join(["–"] * (2 + len(CORRUPTIONS)))]
    renewed = toy_bundle("student", toy_model(sharpness=30.0))  # exported anew, and not measured since
    assert shown({**measured.bundles, "student": renewed}) == dashes
    assert (
        shown({**measured.bundles, "student": dataclasses.replace(renewed, metrics=student.metrics)})
        == dashes
    )
    # A record of an earlier version does not say between whom.
    record = teacher.metrics["robustness"]
    silent = {key: value for key, value in record["disagreement"].items() if key != "between"}
    old = {
        role: dataclasses.replace(
            bundle,
            metrics={"robustness": {**bundle.metrics["robustness"], "disagreement": silent}},
        )
        for role, bundle in measured.bundles.items()
    }
    assert shown(old) == dashes
    # One whose disagreement was measured with others since is passed over for one that was not.
    stale = {**record, "disagreement": {**record["disagreement"], "between": {"teacher": "0" * 12}}}
    mixed = dataclasses.replace(student, metrics={"robustness": stale})
    assert shown({**measured.bundles, "student": mixed}) == shown(measured.bundles)


def test_the_part_of_the_photos_is_drawn_by_seed(processed: Path) -> None:
    data = DataConfig(folder=processed.parent)

    def paths(**settings: int) -> list[str]:
        return [scene.path for scene in read_scenes(data, RobustnessConfig(**settings))[0]]

    everything = paths(photos=0)
    assert len(everything) == 18 == read_scenes(data, RobustnessConfig(photos=4))[1]
    assert everything == paths()  # fewer than asked for
    few = paths(photos=5, seed=1)
    assert len(few) == 5
    assert few == paths(photos=5, seed=1) == [path for path in everything if path in few]
    assert len({tuple(paths(photos=5, seed=seed)) for seed in range(4)}) > 1


def test_photos_know_their_objects_where_someone_said() -> None:
    scenes = [plain_scene("glass", number) for number in range(3)]
    assert group_scenes(scenes, {}) is None
    groups = {"glass/glass0.jpg": "a", "glass/glass2.jpg": "a"}
    assert group_scenes(scenes, groups) == ["a", "glass/glass1.jpg", "a"]


@pytest.fixture
def models(toy_models: Path, tmp_path: Path) -> Path:
    """A copy of the toy bundles that may be written to."""
    return Path(shutil.copytree(toy_models, tmp_path / "models"))


def test_the_command_compares_folders_and_keeps_the_numbers(
    models: Path, processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    better = Path(shutil.copytree(models, tmp_path / "better"))
    toy_bundle("baseline", toy_model()).write(better / "baseline")
    before = {role: bundle.sha256 for role, bundle in load_bundles(models).items()}
    arguments = [f"--models={models}", f"--models={better}", f"--folder={processed.parent}", "--write"]
    assert main(["robustness", *arguments, f"--pictures={tmp_path / 'pictures'}"]) == 0
    printed = capsys.readouterr().out
    bundles = load_bundles(models)
    assert {role: bundle.sha256 for role, bundle in bundles.items()} == before
    records = {role: bundle.metrics["robustness"] for role, bundle in bundles.items()}
    assert {(one["on"], one["photos"], one["of"], one["split"]) for one in records.values()} == {
        ("test", 18, 18, "official")
    }
    assert records["teacher"]["clean"] == 1.0
    assert records["baseline"]["clean"] == pytest.approx(2 / 3)
    assert f"| {models} | baseline | toy_baseline | 0.667 |" in printed
    rows = [
        line for line in printed.splitlines() if line.startswith(f"| {better} | baseline | +0.333 (")
    ]
    assert len(rows) == 1  # gained over the first folder
    assert f"| {better} | teacher | 0.000 (0.000 to 0.000) | 0.000 (0.000 to 0.000) |" in printed
    assert "18 of 18 test photos" in printed
    names = {"robustness-changes.png", "robustness-1.png", "robustness-2.png"}
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == names
    # What was kept says the same again, without measuring.
    kept = {str(models): bundles, str(better): load_bundles(better)}
    assert format_robustness(kept) in printed


def test_one_folder_needs_no_name_in_its_table(
    models: Path, processed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"--models={models}", f"--folder={processed.parent}", "--photos=3", "--on=val"]
    assert main(["robustness", *arguments]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("| role | network |")
    assert "3 of 18 val photos" in printed
    assert "Gained" not in printed
    assert "robustness" not in Bundle.load(models / "teacher").metrics


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--photos=-1"], "photos must be at least 1, or 0 for all."),
        (["--seed=-1"], "seed must not be negative."),
        (["--write", "--on=val"], "leave out --on with it."),
        (["--split=random"], "holds photos of the split official, not random."),
        (["--folder=nowhere"], "holds no prepared photos. Run `trashlens data` first."),
        (["--models=nowhere"], "has no readable bundle.json."),
    ],
)
def test_bad_input_is_answered_in_a_sentence(
    arguments: list[str],
    sentence: str,
    models: Path,
    processed: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [f"--folder={processed.parent}", *arguments]
    if "--models=nowhere" not in arguments:
        given.append(f"--models={models}")
    assert main(["robustness", *given]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error


def test_a_folder_named_twice_is_refused(
    models: Path, processed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [f"--folder={processed.parent}", f"--models={models}", f"--models={models}"]
    assert main(["robustness", *given]) == 2
    assert "name it once." in capsys.readouterr().err


def test_networks_that_learned_from_a_part_of_the_photos_are_refused(
    models: Path, processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = {"split": "random", "seed": 0, "fold": None}
    prepared = Path(shutil.copytree(processed, tmp_path / "processed-recycle"))
    (prepared / "data.json").write_text(json.dumps({**record, "dataset": "recycle"}))
    student = Bundle.load(models / "student")
    learned = {**record, "dataset": "recycle-small"}
    dataclasses.replace(student, provenance={"data": learned}).write(models / "student")
    given = [f"--models={models}", f"--folder={tmp_path}", "--dataset=recycle", "--split=random"]
    assert main(["robustness", *given]) == 2
    assert "photos, split random, seed 0 of recycle-small: some of them" in capsys.readouterr().err
    # Of a data set with no photo in common the numbers may be seen, but not kept as the network's own.
    learned = {"split": "official", "dataset": "garythung/trashnet"}
    dataclasses.replace(student, provenance={"data": learned}).write(models / "student")
    assert main(["robustness", *given, "--write"]) == 2
    assert "learned from garythung/trashnet, and these photos are of recycle" in capsys.readouterr().err
    assert "robustness" not in Bundle.load(models / "student").metrics


def test_networks_that_learned_from_the_photos_are_refused(
    models: Path, processed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leaky = {"data": {"split": "random", "seed": 0}}
    student = Bundle.load(models / "student")
    dataclasses.replace(student, provenance=leaky).write(models / "student")
    assert main(["robustness", f"--models={models}", f"--folder={processed.parent}"]) == 2
    assert "The student learned from other training photos" in capsys.readouterr().err


def test_what_was_not_measured_is_said_and_drawn_empty(toy_models: Path) -> None:
    bundles = load_bundles(toy_models)
    assert "Nothing was measured" in format_robustness({"models": bundles})
    assert not draw_robustness(bundles).axes


def test_the_sheet_holds_every_change() -> None:
    (axes,) = draw_sheet(SCENES[0]).axes
    assert len(axes.images) == len(VARIANTS)
    assert [text.get_text() for text in axes.texts][:-1] == ["clean", *CORRUPTIONS]


def test_the_chart_has_a_panel_for_each_change(toy_models: Path) -> None:
    (measured,) = measure_folders([toy_models], [plain_scene("paper")])
    figure = draw_robustness(measured.bundles)
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(CORRUPTIONS)
    darker = figure.axes[list(CORRUPTIONS).index("darker")].lines[0]
    assert list(darker.get_ydata()) == [1, 1, 0, 0]
    assert set(LABELS) == set(measured.bundles["teacher"].metrics["robustness"]["true"])
