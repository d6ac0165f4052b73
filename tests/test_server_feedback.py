"""Feedback on the disk: pixels and labels alone, whole lines whatever happens, readable as an image folder."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import datasets
import pytest
from conftest import LABELS, coloured_photo, encode
from PIL import Image

from trashlens.classifier import Prediction
from trashlens.comparison import Comparison
from trashlens.errors import FeedbackError
from trashlens.given import NONE
from trashlens.image import decode_image
from trashlens.server import feedback as feedback_module
from trashlens.server.feedback import FAILED, FULL, Feedback, open_feedback
from trashlens.server.settings import Settings

MANY_BYTES = 2**30


def answer(*roles: str) -> Comparison:
    """Return what networks said that take everything for paper."""
    confidences = {label: 0.9 if label == "paper" else 0.02 for label in LABELS}
    said = Prediction(confidences=confidences, infer_ms=1.0, bundle="0123abcd", sure=False)
    return Comparison(decode_ms=1.0, preprocess_ms=1.0, predictions=dict.fromkeys(roles, said))


def lines_in(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(folder.rglob("metadata.jsonl"))
        for line in path.read_text().splitlines()
    ]


def test_a_line_says_what_the_networks_said_and_on_which_day(tmp_path: Path) -> None:
    feedback = Feedback(tmp_path, most_bytes=MANY_BYTES)
    name = feedback.keep(coloured_photo("glass"), label="glass", comparison=answer("teacher"))
    (line,) = lines_in(tmp_path)
    assert line["file_name"] == f"glass/{name}.jpg"
    assert line["label"] == "glass"
    assert line["day"] == time.strftime("%Y-%m-%d", time.gmtime())
    said = {"label": "paper", "confidence": 0.9, "sure": False, "bundle": "0123abcd"}
    assert line["said"] == [{"role": "teacher", **said}]
    assert line.keys() == {"file_name", "label", "day", "said"}


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_pixels_alone_are_kept_upright_and_small(tmp_path: Path, file_format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "MakerSecret"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    extra: dict[str, object] = {"exif": exif, "icc_profile": b"ProfileSecret"}
    if file_format == "JPEG":
        extra |= {"comment": b"CommentSecret", "xmp": b"XmpSecret"}
    photo = decode_image(encode(coloured_photo("metal", size=(1600, 800)), file_format, **extra))
    photo.info["comment"] = b"CommentSecret"
    feedback = Feedback(tmp_path, most_bytes=MANY_BYTES)
    name = feedback.keep(photo, label="metal", comparison=answer("student"))
    (path,) = tmp_path.rglob("*.jpg")
    assert path.stem == name
    assert b"Secret" not in path.read_bytes()
    with Image.open(path) as kept:
        assert kept.format == "JPEG"
        assert dict(kept.getexif()) == {}
        assert kept.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert kept.height > kept.width
        assert max(kept.size) <= 1024


def test_a_photo_counts_once_with_a_label_also_after_a_new_start(tmp_path: Path) -> None:
    photo = coloured_photo("glass")
    for _ in range(2):
        feedback = Feedback(tmp_path, most_bytes=MANY_BYTES)
        for _ in range(2):
            name = feedback.keep(photo, label="glass", comparison=answer("teacher"))
    assert [line["file_name"] for line in lines_in(tmp_path)] == [f"glass/{name}.jpg"]
    feedback.keep(photo, label=NONE, comparison=answer("teacher"))
    assert Counter(line["label"] for line in lines_in(tmp_path)) == {"glass": 1, NONE: 1}
    assert sorted(path.parent.name for path in tmp_path.rglob("*.jpg")) == ["glass", NONE]


def test_lines_of_many_threads_are_whole_and_each_has_its_photo(tmp_path: Path) -> None:
    feedback = Feedback(tmp_path, most_bytes=MANY_BYTES)

    def keep(number: int) -> None:
        label = LABELS[number % len(LABELS)]
        photo = coloured_photo(label, size=(32, 32), seed=number)
        feedback.keep(photo, label=label, comparison=answer("teacher", "student"))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(keep, range(200)))
    lines = lines_in(tmp_path)
    assert len({line["file_name"] for line in lines}) == len(lines) == 200
    (folder,) = tmp_path.iterdir()
    assert {line["file_name"] for line in lines} == {
        str(path.relative_to(folder)) for path in folder.rglob("*.jpg")
    }


KEEPS_ON = """
import sys, threading
from pathlib import Path
sys.path.insert(0, "tests")
from conftest import coloured_photo
from test_server_feedback import answer
from trashlens.server.feedback import Feedback

feedback = Feedback(Path(sys.argv[1]), most_bytes=2**30)

def keep(first):
    for number in range(first, 10**6, 4):
        photo = coloured_photo("glass", size=(16, 16), seed=number)
        feedback.keep(photo, label="glass", comparison=answer("teacher"))

for first in range(4):
    threading.Thread(target=keep, args=[first]).start()
"""


def test_a_kill_leaves_whole_lines_whose_photos_are_there(tmp_path: Path) -> None:
    for _ in range(3):
        before = len(lines_in(tmp_path))
        process = subprocess.Popen(
            [sys.executable, "-c", KEEPS_ON, str(tmp_path)], cwd=Path(__file__).parents[1]
        )
        while sum(path.read_bytes().count(b"\n") for path in tmp_path.rglob("*.jsonl")) < before + 20:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for table in tmp_path.rglob("metadata.jsonl"):
            assert table.read_bytes().endswith(b"\n")
            for line in table.read_text().splitlines():
                decode_image(table.parent / json.loads(line)["file_name"])


def test_a_disk_that_takes_a_part_of_a_line_keeps_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feedback = Feedback(tmp_path, most_bytes=MANY_BYTES)
    feedback.keep(coloured_photo("glass"), label="glass", comparison=answer("teacher"))
    write = feedback_module.os.write
    monkeypatch.setattr(feedback_module.os, "write", lambda file, data: write(file, data[:20]))
    with pytest.raises(FeedbackError, match=FAILED):
        feedback.keep(coloured_photo("metal"), label="metal", comparison=answer("teacher"))
    monkeypatch.undo()
    feedback.keep(coloured_photo("paper"), label="paper", comparison=answer("teacher"))
    assert [line["label"] for line in lines_in(tmp_path)] == ["glass", "paper"]


def test_beyond_the_limit_nothing_more_is_kept(tmp_path: Path) -> None:
    first = Feedback(tmp_path, most_bytes=MANY_BYTES)
    first.keep(coloured_photo("glass"), label="glass", comparison=answer("teacher"))
    taken = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    second = Feedback(tmp_path, most_bytes=taken + 100)
    assert not second.full
    with pytest.raises(FeedbackError, match=FULL):
        second.keep(coloured_photo("metal"), label="metal", comparison=answer("teacher"))
    assert len(list(tmp_path.rglob("*.jpg"))) == 1
    assert Feedback(tmp_path, most_bytes=taken).full


def test_it_reads_as_an_image_folder_with_its_labels(tmp_path: Path) -> None:
    given = {"glass": "glass", "metal": "metal", "paper": NONE}
    for roles in (
        ("teacher",),
        ("teacher", "baseline", "student"),
    ):  # two starts, networks missing in one
        feedback = Feedback(tmp_path, most_bytes=MANY_BYTES)
        for shown, label in given.items():
            photo = coloured_photo(shown, seed=len(roles))
            feedback.keep(photo, label=label, comparison=answer(*roles))
    read = datasets.load_dataset("imagefolder", data_dir=str(tmp_path), split="train")
    assert Counter(read["label"]) == dict.fromkeys(("glass", "metal", NONE), 2)
    assert sorted(len(said) for said in read["said"]) == [1, 1, 1, 3, 3, 3]
    for row in read:
        mean = row["image"].resize((1, 1)).getpixel((0, 0))
        assert (row["label"] == "glass") == (mean[1] > 150 and mean[0] < 100)


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    settings = Settings(feedback=tmp_path / "file")
    with (
        pytest.raises(FeedbackError, match=r"^Feedback cannot be kept in .*\.$"),
        open_feedback(settings),
    ):
        pass


def test_without_a_place_nothing_is_kept() -> None:
    with open_feedback(Settings()) as feedback:
        assert feedback is None
