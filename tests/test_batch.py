"""Many photos: all cores in bounded memory, and one function that `datasets` and Ray map over theirs."""

import dataclasses
import io
import itertools
import json
import math
import os
import pickle
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from conftest import LABELS, coloured_photo

import trashlens.batch
from trashlens.batch import AHEAD, PredictBatch, compare_many
from trashlens.bundle import ROLES, Bundle
from trashlens.classifier import load_classifiers
from trashlens.comparison import Comparison, compare
from trashlens.errors import BundleError, DataError, ImageError, ProviderError

ANSWERS = [f"{role}_{name}" for role in ROLES for name in ("label", "confidence", "sure")]


def encode(label: str, *, seed: int = 0) -> bytes:
    """Return a photo in the colour of `label` as a PNG file."""
    buffer = io.BytesIO()
    coloured_photo(label, size=(64, 48), seed=seed).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with three photos of each class in a folder of its name, and one file that is none."""
    for label in LABELS:
        (tmp_path / "photos" / label).mkdir(parents=True)
        for seed in range(3):
            (tmp_path / "photos" / label / f"{seed}.png").write_bytes(encode(label, seed=seed))
    (tmp_path / "photos" / "metal" / "bad.png").write_bytes(encode("metal")[:200])
    return tmp_path / "photos"


def test_the_answers_come_in_order_and_a_bad_photo_costs_its_sentence(
    photos: Path, toy_models: Path
) -> None:
    paths = [photos / label / f"{name}.png" for label in LABELS for name in (0, "gone", 1)]
    answers = list(compare_many(load_classifiers(toy_models), paths, workers=4))
    assert [path for path, _ in answers] == paths
    for path, answer in answers:
        if path.stem == "gone":
            assert isinstance(answer, ImageError)
            assert str(answer).startswith(f"There is no file {path}")
        else:
            assert isinstance(answer, Comparison)
            assert answer.predictions["teacher"].label == path.parent.name
    assert list(compare_many(load_classifiers(toy_models), [], workers=4)) == []


def test_it_reads_no_further_ahead_than_it_says(photos: Path, toy_models: Path) -> None:
    read = 0

    def endless() -> Iterator[Path]:
        nonlocal read
        while True:
            read += 1
            yield photos / "glass" / "0.png"

    answers = compare_many(load_classifiers(toy_models), endless(), workers=2)
    for taken in range(1, 50):
        next(answers)
        assert read == 2 * AHEAD + taken - 1
    answers.close()
    assert read == 2 * AHEAD + 48


def test_as_many_photos_are_in_work_as_there_are_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(3, timeout=30)
    most, now, lock = 0, 0, threading.Lock()

    def wait_for_the_others(_classifiers: object, _source: object) -> str:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        together.wait()  # passes only if three are here at once
        with lock:
            now -= 1
        return "answer"

    monkeypatch.setattr(trashlens.batch, "compare", wait_for_the_others)
    answers = list(compare_many({}, [Path()] * 12, workers=3))
    assert answers == [(Path(), "answer")] * 12
    assert most == 3


def test_closed_it_waits_for_the_photos_in_work_only(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[object] = []

    def take_long(_classifiers: object, source: object) -> str:
        begun.append(source)
        time.sleep(0.2 if len(begun) > 1 else 0)
        return "answer"

    monkeypatch.setattr(trashlens.batch, "compare", take_long)
    answers = compare_many({}, (Path(str(number)) for number in itertools.count()), workers=2)
    next(answers)
    answers.close()
    after = len(begun)
    assert 1 < after <= 4
    time.sleep(0.3)
    assert len(begun) == after


def test_what_is_no_fault_of_a_photo_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(*_: object) -> None:
        raise MemoryError("no memory")

    monkeypatch.setattr(trashlens.batch, "compare", run_out)
    with pytest.raises(MemoryError, match="no memory"):
        list(compare_many({}, [Path("photo.jpg")] * 3, workers=2))


def test_a_batch_of_any_kind_of_photo_gets_the_answers_of_each(toy_models: Path, photos: Path) -> None:
    photo = photos / "paper" / "0.png"
    kinds = [
        str(photo),
        photo.read_bytes(),
        coloured_photo("paper", size=(64, 48)),
        {"bytes": photo.read_bytes(), "path": "elsewhere.png"},
        {"bytes": None, "path": str(photo)},
    ]
    answer = PredictBatch(toy_models)({"image": kinds, "weight_g": [1, 2, 3, 4, 5]})
    assert list(answer) == ["weight_g", *ANSWERS, "problem"]
    assert answer["weight_g"] == [1, 2, 3, 4, 5]
    expected = compare(load_classifiers(toy_models), photo).predictions
    for role in ROLES:
        assert answer[f"{role}_label"] == ["paper"] * 5
        assert answer[f"{role}_confidence"] == pytest.approx([expected[role].confidence] * 5)
        assert answer[f"{role}_sure"] == [True] * 5
    assert answer["problem"] == [""] * 5


def test_a_bad_photo_is_a_row_with_its_problem_and_columns_keep_their_type(toy_models: Path) -> None:
    rows = [encode("glass"), b"no photo", None, {"bytes": None, "path": None}, "gone.jpg"]
    answer = PredictBatch(toy_models)({"bytes": rows})
    assert answer["student_label"] == ["glass", "", "", "", ""]
    assert answer["baseline_label"] == ["plastic", "", "", "", ""]
    assert answer["student_sure"] == [True, False, False, False, False]
    assert [math.isnan(share) for share in answer["student_confidence"]] == [False] + 4 * [True]
    assert answer["problem"][0] == ""
    expected = ["not an image", "is empty", "is empty", "There is no file gone.jpg"]
    assert all(part in said for part, said in zip(expected, answer["problem"][1:], strict=True))
    types = [{type(value) for value in answer[name]} for name in [*ANSWERS, "problem"]]
    assert types == [{str}, {float}, {bool}] * 3 + [{str}]


def test_the_column_is_found_or_named_and_paths_stay(toy_models: Path, photos: Path) -> None:
    ask = PredictBatch(toy_models, roles=["student"])
    paths, files = [str(photos / "metal" / "0.png")], [encode("glass")]
    columns = ["student_label", "student_confidence", "student_sure", "problem"]
    found = ask({"path": paths, "bytes": files})
    assert list(found) == ["path", *columns]
    assert found["student_label"] == ["glass"]
    alone = ask({"path": paths})
    assert alone["path"] == paths
    assert alone["student_label"] == ["metal"]
    named = dataclasses.replace(ask, column="path")
    assert named({"path": paths, "bytes": files})["student_label"] == ["metal"]
    with pytest.raises(DataError, match=r"no column image or bytes or path, but photo, label\. Name"):
        ask({"photo": files, "label": [1]})
    with pytest.raises(DataError, match="no column path, but bytes"):
        named({"bytes": files})
    with pytest.raises(DataError, match=r"a dict of bytes and path, not int\. Name the column"):
        ask({"image": [1]})


def test_it_is_small_to_pickle_and_hashes_by_what_it_asks(toy_models: Path, tmp_path: Path) -> None:
    ask = PredictBatch(toy_models)
    before = pickle.dumps(ask)
    ask({"bytes": [encode("trash")]})
    assert pickle.dumps(ask) == before == pickle.dumps(PredictBatch(str(toy_models)))
    assert len(before) < 1000
    assert pickle.loads(before)({"bytes": [encode("trash")]})["teacher_label"] == ["trash"]
    assert pickle.dumps(PredictBatch(toy_models, roles=["teacher"])) != before
    models = tmp_path / "models"
    shutil.copytree(toy_models, models)
    first = PredictBatch(models)
    dataclasses.replace(Bundle.load(models / "student"), temperature=2.0).write(models / "student")
    assert PredictBatch(models).bundles != first.bundles == ask.bundles
    with pytest.raises(BundleError, match="no longer those that this job began with"):
        first({"bytes": [encode("trash")]})


def test_sessions_are_opened_once_with_one_thread_and_only_for_the_roles(
    toy_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trashlens.batch._open.cache_clear()
    opened = []

    def load(models: Path, **options: object) -> object:
        opened.append((models, options))
        return load_classifiers(models, **options)

    monkeypatch.setattr(trashlens.batch, "load_classifiers", load)
    ask = PredictBatch(toy_models, roles=["baseline"])
    assert opened == []
    for _ in range(3):
        ask({"bytes": [encode("metal")]})
    assert opened == [(toy_models, {"roles": ("baseline",), "threads": 1, "provider": "cpu"})]
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as in a forked process
    ask({"bytes": [encode("metal")]})
    assert len(opened) == 2


def test_what_cannot_be_asked_is_refused_before_the_job(toy_models: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"has no readable bundle\.json"):
        PredictBatch(tmp_path)
    for roles in (["pupil"], []):
        with pytest.raises(BundleError, match="Roles are teacher, baseline, student"):
            PredictBatch(toy_models, roles=roles)
    with pytest.raises(ProviderError, match="does not compute on abacus"):
        PredictBatch(toy_models, provider="abacus")({"bytes": [encode("metal")]})


def example(engine: str) -> str:
    """Return the example for an engine in the module's docstring."""
    blocks = re.findall(r"::\n\n((?:    .*\n|\n)+)", trashlens.batch.__doc__)
    (block,) = [textwrap.dedent(block) for block in blocks if engine in block]
    return block


def run_script(text: str, folder: Path, **variables: str) -> str:
    """Run a script as a user would, in a process without this one's threads; return what it printed."""
    script = folder / "script.py"
    script.write_text(text)
    package = str(Path(trashlens.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": package, **variables}
    result = subprocess.run(
        [sys.executable, script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def check_answers(rows: list[dict[str, object]]) -> None:
    """Assert that each row of the folder of photos holds its answer."""
    assert len(rows) == 3 * len(LABELS) + 1
    for row in rows:
        path = Path(row["path"])
        if path.stem == "bad":
            assert "damaged or cut off" in row["problem"]
            assert row["teacher_label"] == ""
        else:
            assert row["problem"] == ""
            assert row["teacher_label"] == row["student_label"] == path.parent.name
            assert 0.5 < row["teacher_confidence"] <= 1
            assert row["teacher_sure"] is True


def test_datasets_maps_it_over_a_folder_and_over_parquet(
    photos: Path, toy_models: Path, tmp_path: Path
) -> None:
    (tmp_path / "models").symlink_to(toy_models)
    text = "import datasets\ndatasets.disable_progress_bars()\n" + example("load_dataset")
    # The same rows again, from a table with the files in it, by the function as it is and as a new one.
    again = """
        import json
        from datasets.fingerprint import Hasher
        import pathlib, pyarrow, pyarrow.parquet
        rows = [
            {"image": {"bytes": path.read_bytes(), "path": str(path)}, "weight_g": index}
            for index, path in enumerate(sorted(pathlib.Path("photos").rglob("*.png")))
        ]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), "photos.parquet")
        table = load_dataset("parquet", data_files="photos.parquet", split="train")
        table = table.map(PredictBatch("models"), batched=True, batch_size=1, num_proc=2)
        table.to_parquet("again.parquet")
        cached = photos.map(PredictBatch("models"), batched=True, batch_size=32, num_proc=2)
        print(json.dumps({
            "features": {name: str(kind) for name, kind in answers.features.items()},
            "hashes": [Hasher.hash(PredictBatch("models")) for _ in range(2)],
            "files": [[file["filename"] for file in one.cache_files] for one in (answers, cached)],
        }))
    """
    said = json.loads(run_script(text + textwrap.dedent(again), tmp_path))
    assert said["features"]["label"].startswith("ClassLabel(")
    assert said["features"]["teacher_confidence"] == "Value('float64')"
    assert said["features"]["problem"] == "Value('string')"
    assert said["hashes"][0] == said["hashes"][1]
    assert said["files"][0] == said["files"][1] != []  # the second time nothing is computed
    rows = parquet.read_table(tmp_path / "answers.parquet").to_pylist()
    assert list(rows[0]) == ["image.path", "label", *ANSWERS, "problem"]
    rows = [{"path": row.pop("image.path"), **row} for row in rows]
    paths = sorted(photos.rglob("*.png"))
    assert [LABELS[row["label"]] for row in rows] == [path.parent.name for path in paths]
    assert [Path(row["path"]).name for row in rows] == [path.name for path in paths]
    check_answers([row | {"path": path} for row, path in zip(rows, paths, strict=True)])
    rows = parquet.read_table(tmp_path / "again.parquet").to_pylist()
    assert [row["weight_g"] for row in rows] == list(range(len(paths)))
    check_answers([row | {"path": row["image"]["path"]} for row in rows])


def test_ray_maps_it_over_a_folder_as_over_a_bucket(
    photos: Path, toy_models: Path, tmp_path: Path
) -> None:
    text = example("import ray")
    assert len(text.strip().splitlines()) <= 12
    for bucket, folder in (
        ("s3://bucket/photos", photos),
        ("s3://bucket/answers", tmp_path / "answers"),
    ):
        assert text.count(bucket) == 1
        text = text.replace(bucket, str(folder))
    text = text.replace('"models"', repr(str(toy_models)))
    start = """
        import tempfile
        import ray
        from ray.data import DataContext
        folder = tempfile.TemporaryDirectory(prefix="ray")  # short, since a socket's path must be
        ray.init(
            num_cpus=2, object_store_memory=80 * 2**20, include_dashboard=False, log_to_driver=False,
            logging_level="error", _temp_dir=folder.name,
        )
        DataContext.get_current().enable_progress_bars = False
    """
    script = f"{textwrap.dedent(start)}{text}\nray.shutdown()\nfolder.cleanup()\n"
    run_script(script, tmp_path, RAY_USAGE_STATS_ENABLED="0")
    rows = parquet.read_table(tmp_path / "answers").to_pylist()
    assert list(rows[0]) == ["path", *ANSWERS, "problem"]
    assert sorted(row["path"] for row in rows) == sorted(map(str, photos.rglob("*.png")))
    check_answers(rows)
