"""A batch: limits in a sentence, each fault one row, in order, in time."""

import zipfile
from pathlib import Path

import anyio
import pytest
from conftest import coloured_photo, encode
from PIL import Image

from trashlens.classifier import Classifier
from trashlens.errors import RequestError
from trashlens.image import ImageLimits
from trashlens.lineup import load_lineup
from trashlens.server.batches import Batch, Seen, answer_batch
from trashlens.server.desk import Desk
from trashlens.server.settings import Settings

LIMITS = ImageLimits(max_bytes=2**20)


def ask(models: Path, files: list[Path], **settings: object) -> list[Seen]:
    desk = Desk(load_lineup(models), Settings(photo=LIMITS, **settings))

    async def answer() -> list[Seen]:
        with Batch([(path.name, path) for path in files], desk.settings) as batch:
            return [one async for one in answer_batch(desk, batch)]

    return anyio.run(answer)


def labels(seen: list[Seen]) -> list[str]:
    return [one.row.answer.predictions["teacher"].label if one.row.answer else "" for one in seen]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two photos, a text, and a zip of a photo and two things that are none."""
    for label in ("glass", "metal"):
        (tmp_path / f"{label}.jpg").write_bytes(encode(coloured_photo(label)))
    (tmp_path / "notes.txt").write_text("no photo")
    with zipfile.ZipFile(tmp_path / "more.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(100 * 2**20))
        archive.writestr("in/paper.jpg", encode(coloured_photo("paper")))
        archive.writestr("../trash.jpg", encode(coloured_photo("trash")))
    return [tmp_path / name for name in ("glass.jpg", "notes.txt", "more.zip", "metal.jpg")]


@pytest.mark.parametrize("at_once", [1, 4])
def test_each_photo_has_its_row_in_order(toy_models: Path, files: list[Path], at_once: int) -> None:
    before = sorted(files[0].parent.rglob("*"))
    seen = ask(toy_models, files, at_once=at_once, batch_mb=1)
    names = [one.row.file for one in seen]
    assert names == ["glass.jpg", "notes.txt", "bomb.png", "in/paper.jpg", "../trash.jpg", "metal.jpg"]
    assert labels(seen) == ["glass", "", "", "paper", "", "metal"]
    problems = [one.row.problem for one in seen]
    for problem, part in zip(
        problems, ["", "not an image", "limit is 1 MB", "", "leads out", ""], strict=True
    ):
        assert part in problem
        assert bool(problem) == bool(part)
    assert [bool(one.thumbnail) for one in seen] == [not problem for problem in problems]
    assert sorted(files[0].parent.rglob("*")) == before  # nothing is unpacked to disk


def test_a_thumbnail_is_a_small_square_jpeg(toy_models: Path, files: list[Path], tmp_path: Path) -> None:
    (seen,) = ask(toy_models, files[:1])
    (tmp_path / "thumbnail").write_bytes(seen.thumbnail)
    with Image.open(tmp_path / "thumbnail") as image:
        assert (image.format, image.size) == ("JPEG", (144, 144))
    assert len(seen.thumbnail) < 20_000


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"batch_photos": 5}, "A batch may have 5 photos, and this one has more."),
        ({"batch_photos": 6, "batch_mb": 1}, "A batch may have 1 MB, and unpacked this one has 2."),
    ],
)
def test_too_large_a_batch_is_one_sentence(
    toy_models: Path, files: list[Path], settings: dict[str, int], sentence: str
) -> None:
    files[1].write_bytes(bytes(2**20))
    files[3].write_bytes(bytes(2**20))
    with pytest.raises(RequestError, match=sentence):
        ask(toy_models, files, **settings)


def test_a_zip_that_cannot_be_opened_or_is_empty_is_one_row(toy_models: Path, files: list[Path]) -> None:
    broken, empty = files[0].with_name("broken.zip"), files[0].with_name("empty.zip")
    broken.write_bytes(b"PK\3\4")
    zipfile.ZipFile(empty, "w").close()
    seen = ask(toy_models, [broken, empty, files[0]])
    assert [one.row.file for one in seen] == ["broken.zip", "empty.zip", "glass.jpg"]
    assert "damaged" in seen[0].row.problem
    assert "holds no photos" in seen[1].row.problem
    assert labels(seen)[2] == "glass"


def test_a_photo_that_is_gone_is_one_row(toy_models: Path, files: list[Path]) -> None:
    seen = ask(toy_models, [files[0].with_name("gone.jpg"), files[0]])
    assert seen[0].row.problem == "The photo waited too long and was deleted. Send it again."
    assert labels(seen) == ["", "glass"]


def test_after_its_time_the_rest_is_told(toy_models: Path, files: list[Path]) -> None:
    seen = ask(toy_models, [files[0]] * 3, batch_s=1e-9)
    assert [one.row.problem.partition(" were over")[0] for one in seen] == [
        "The 1e-09 seconds of the batch"
    ] * 3


def test_our_own_fault_costs_a_row(
    toy_models: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = Classifier.predict, []

    def fail_once(self: Classifier, images: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("no memory")
        return original(self, images, **options)

    monkeypatch.setattr(Classifier, "predict", fail_once)
    seen = ask(toy_models, [files[0], files[3]], at_once=1)
    assert seen[0].row.problem == "The server failed at this photo. Try it in the Photo tab."
    assert labels(seen) == ["", "metal"]


def test_who_leaves_stops_the_work(toy_models: Path, files: list[Path]) -> None:
    desk = Desk(load_lineup(toy_models), Settings(photo=LIMITS, at_once=2))

    async def leave() -> Batch:
        with Batch([(path.name, path) for path in files * 5], desk.settings) as batch:
            answers = answer_batch(desk, batch)
            async for _ in answers:
                break
            await answers.aclose()
        return batch

    batch = anyio.run(leave)
    assert len(batch.photos) == 30
    assert b'verdict="answered",way="batch"} 3' not in desk.journal.to_prometheus()
    assert b'way="batch"' in desk.journal.to_prometheus()
