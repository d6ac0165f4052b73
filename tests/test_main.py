"""The command line as a user meets it: help, predictions, sentences for what is wrong, exit codes."""

import csv
import dataclasses
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Iterable
from pathlib import Path

import pytest
from conftest import LABELS, coloured_photo, huge_png
from PIL import Image

import trashlens.batch
import trashlens.machine
from trashlens.__main__ import main
from trashlens.batch import compare_many
from trashlens.bundle import Bundle
from trashlens.classifier import load_classifiers
from trashlens.commands import COMMANDS
from trashlens.comparison import compare


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with one photo of each class, and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for label in LABELS:
        coloured_photo(label).save(folder / f"{label}.png")
    (folder / "notes.txt").write_text("not a photo")
    return folder


def test_predict_json_is_the_api_contract_with_a_path(
    photos: Path, toy_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(photos), "--json", f"--models={toy_models}"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(answer["path"]).stem for answer in answers] == list(LABELS)
    expected = compare(load_classifiers(toy_models), photos / "metal.png").to_json()
    metal = answers[LABELS.index("metal")]
    assert list(metal) == ["path", *expected]
    for role, result in expected["results"].items():
        assert metal["results"][role]["confidences"] == pytest.approx(result["confidences"])
        assert metal["results"][role]["label"] == result["label"] == "metal"


def test_predict_for_people_is_a_line_a_photo(
    photos: Path, toy_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(photos / "paper.png"), f"--models={toy_models}"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "paper.png" in line
    assert all(f"{role} paper " in line for role in ("teacher", "baseline", "student"))


@pytest.mark.skipif(os.name != "posix", reason="other systems allow no such names")
def test_a_file_s_name_cannot_look_like_a_line_of_its_own(
    photos: Path, toy_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "paper.png").rename(photos / "a\nglass.png   teacher metal 99%\x1b[2J.png")
    (photos / "b\ncut.png").touch()
    assert main(["predict", str(photos), f"--models={toy_models}"]) == 2
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == len(LABELS)
    assert r"a\nglass.png   teacher metal 99%\x1b[2J.png   teacher paper" in output.out
    (sentence,) = output.err.splitlines()
    assert r"b\ncut.png: " in sentence


def test_predict_says_when_a_network_is_not_sure(
    toy_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models"
    shutil.copytree(toy_models, models)
    dataclasses.replace(Bundle.load(models / "student"), threshold=0.9).write(models / "student")
    photo = tmp_path / "grey.png"
    Image.new("RGB", (64, 64), (128, 128, 128)).save(photo)
    assert main(["predict", str(photo), f"--models={models}"]) == 0
    line = capsys.readouterr().out
    assert "teacher trash 57% (" in line
    assert "student not sure (trash 57%) (" in line
    assert main(["predict", str(photo), "--json", f"--models={models}"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [results[role]["sure"] for role in ("teacher", "baseline", "student")] == [True, True, False]


def test_a_bad_photo_costs_a_sentence_not_the_others(
    photos: Path, toy_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, cut, folder = tmp_path / "empty.jpg", tmp_path / "cut.png", tmp_path / "nothing"
    empty.touch()
    cut.write_bytes((photos / "glass.png").read_bytes()[:3000])
    folder.mkdir()
    paths = [empty, cut, tmp_path / "gone.jpg", photos / "notes.txt", folder, photos / "glass.png"]
    assert main(["predict", *map(str, paths), "--json", f"--models={toy_models}"]) == 2
    output = capsys.readouterr()
    *broken, whole = map(json.loads, output.out.splitlines())
    assert whole["results"]["teacher"]["label"] == "glass"
    assert [line["path"] for line in broken] == [str(path) for path in paths[:-1]]
    said = output.err.splitlines()
    expected = ["is empty", "damaged or cut off", "There is no file", "not an image", "holds no photos"]
    assert len(said) == len(expected)
    assert all(part in line for part, line in zip(expected, said, strict=True))


def test_predict_csv_has_a_row_for_each_photo_also_for_a_bad_one(
    photos: Path, toy_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, folder = tmp_path / "empty.jpg", tmp_path / "nothing"
    empty.touch()
    folder.mkdir()
    paths = [str(empty), str(folder), str(photos)]
    assert main(["predict", *paths, "--csv", f"--models={toy_models}"]) == 2
    output = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(output.out)))
    assert [row["file"] for row in rows[:2]] == [str(empty), str(folder)]
    assert "is empty" in rows[0]["problem"]
    assert rows[1]["problem"] == "The folder holds no photos."
    assert [row["student_label"] for row in rows] == ["", "", *LABELS]
    assert [row["disagree"] for row in rows[2:] if row["teacher_label"] == "glass"] == ["true"]
    assert len(output.err.splitlines()) == 2


def test_an_empty_name_is_not_the_folder_one_is_in(
    toy_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "", f"--models={toy_models}"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "An argument is empty" in output.err


def test_a_huge_file_and_a_bomb_are_refused_by_the_command(
    toy_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(100 * 2**20)
    (tmp_path / "bomb.png").write_bytes(huge_png(60_000, 60_000))
    (tmp_path / "large.png").write_bytes(huge_png(10_000, 10_000))
    assert main(["predict", str(tmp_path), f"--models={toy_models}"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert "over 178 megapixels" in said[0]
    assert "The file has 100.0 MB; the limit is 30 MB." in said[1]
    assert "100 megapixels; the limit is 64." in said[2]


def test_a_value_out_of_range_and_an_unwritable_place_are_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "--short_side_px=8"]) == 2
    assert capsys.readouterr().err == "trashlens data: short_side_px must be at least 32.\n"
    (tmp_path / "file").touch()
    output = tmp_path / "file" / "run"
    assert main(["train", "baseline", f"--output={output}"]) == 2
    said = capsys.readouterr().err
    assert said == f"trashlens train: {output} cannot be read or written: Not a directory.\n"


def test_a_reader_that_leaves_early_is_no_error(photos: Path, toy_models: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "trashlens",
        "predict",
        *[str(photos)] * 200,
        f"--models={toy_models}",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr
    assert process.stderr.read() == ""
    process.wait()
    process.stderr.close()


def test_an_interruption_ends_a_long_run_at_once(photos: Path, toy_models: Path) -> None:
    folders = [str(photos)] * 2000
    command = [sys.executable, "-m", "trashlens", "predict", *folders, f"--models={toy_models}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        printed = 1 + len(process.stdout.readlines())
        assert process.stderr.read() == "\nInterrupted.\n"
        assert process.wait(timeout=10) == 130
    assert first.startswith(f"{photos / 'cardboard.png'}   teacher cardboard ")
    assert printed < 1000  # of 12,000


def test_several_photos_have_a_core_each_and_one_has_them_all(
    photos: Path, toy_models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def load(models: Path, **options: object) -> object:
        asked.append(options["threads"])
        return load_classifiers(models, **options)

    def work(classifiers: object, paths: Iterable[Path], *, workers: int) -> object:
        asked.append(workers)
        return compare_many(classifiers, paths, workers=workers)

    monkeypatch.setattr(trashlens.batch, "compare_many", work)
    monkeypatch.setattr(trashlens.classifier, "load_classifiers", load)
    monkeypatch.setattr(trashlens.machine, "count_cores", lambda: 5)
    assert main(["predict", str(photos / "glass.png"), f"--models={toy_models}"]) == 0
    assert main(["predict", str(photos), f"--models={toy_models}"]) == 0
    assert asked == [0, 1, 1, 5]
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(LABELS)


def test_a_file_may_be_called_anything(
    photos: Path, toy_models: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (photos / "glass.png").rename(os.fsdecode(os.fsencode(photos) + b"/\xff glass.png"))
    assert main(["predict", str(photos), f"--models={toy_models}"]) == 0
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert lines[-1].startswith(f"{photos}/\ufffd glass.png   teacher glass ")
    assert len(lines) == len(LABELS)


def test_progress_is_shown_where_the_answers_are_not(
    photos: Path, toy_models: Path, tmp_path: Path
) -> None:
    (photos / "cut.png").write_bytes((photos / "glass.png").read_bytes()[:200])
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 200))
    command = [sys.executable, "-m", "trashlens", "predict", str(photos), f"--models={toy_models}"]
    with (tmp_path / "answers").open("w") as answers:
        done = subprocess.run(command, stdout=answers, stderr=theirs)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 2
    assert "7/7 [" in shown
    assert f"{photos / 'cut.png'}: The image is damaged or cut off." in shown
    assert len((tmp_path / "answers").read_text().splitlines()) == len(LABELS)


def test_a_damaged_bundle_is_a_sentence_and_exit_2(
    photos: Path, toy_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models"
    shutil.copytree(toy_models, models)
    (models / "student" / "model.onnx").write_bytes(b"changed")
    assert main(["predict", str(photos), f"--models={models}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("trashlens predict: The SHA-256 of")
    assert said.count("\n") == 1
    assert main(["predict", str(photos), f"--models={tmp_path / 'none'}"]) == 2
    assert "has no readable bundle.json" in capsys.readouterr().err


def test_help_lists_every_command_and_an_unknown_one_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n  {name} " in listed for name in COMMANDS)
    assert main(["classify"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("trashlens: there is no command classify.")
    assert main([]) == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main([command, "--help"])
    except SystemExit as stopped:
        code = stopped.code
    assert code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"trashlens {command}" in text
    assert COMMANDS[command].__doc__.split(":")[0].rstrip(".") in text


def test_settings_are_explained_by_their_docstrings(capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--schedule.learning_rate" in text
    assert "Peak. 1e-3 on all layers destroys pretrained features." in text


def test_without_the_train_packages_the_command_says_what_to_install(tmp_path: Path) -> None:
    blocker = "import sys; sys.modules['torch'] = None; sys.modules['sklearn'] = None; "
    code = blocker + "from trashlens.__main__ import main; sys.exit(main(['data']))"
    environment = {**os.environ, "HF_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 2
    assert "is missing. Install what this needs" in result.stderr
    assert "pipenv sync --categories" in result.stderr
    assert "Traceback" not in result.stderr


def test_it_runs_as_a_module(photos: Path, toy_models: Path) -> None:
    command = [sys.executable, "-m", "trashlens", "predict", str(photos / "trash.png")]
    result = subprocess.run([*command, f"--models={toy_models}"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "student trash" in result.stdout
