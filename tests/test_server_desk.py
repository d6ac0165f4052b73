"""The desk answers in time and leaves one line a request, without the photo."""

import io
import json
import logging
import os
import time
from functools import partial
from pathlib import Path

import anyio
import pytest
from conftest import coloured_photo

from trashlens import comparison
from trashlens.bundle import ROLES
from trashlens.comparison import Comparison
from trashlens.errors import ImageError, RequestError
from trashlens.image import ImageLimits
from trashlens.lineup import Lineup, load_lineup
from trashlens.server.desk import Desk
from trashlens.server.journal import Way
from trashlens.server.settings import Settings


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """What the journal wrote, line by line; filled as it writes."""
    caplog.set_level(logging.INFO, "trashlens.requests")
    written: list[dict[str, object]] = []

    class Reader(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(json.loads(record.getMessage()))

    handler = Reader()
    logging.getLogger("trashlens.requests").addHandler(handler)
    yield written
    logging.getLogger("trashlens.requests").removeHandler(handler)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "my holidays.jpg"
    coloured_photo("metal").save(path)
    return path


def ask(
    desk: Desk, source: str | bytes, *, way: Way = "api", roles: list[str] | None = None
) -> Comparison:
    async def answer() -> Comparison:
        return await desk.answer(source, way=way, roles=roles)

    return anyio.run(answer)


def test_an_answer_leaves_sizes_times_and_labels(toy_models: Path, photo: Path, lines: list) -> None:
    desk = Desk(load_lineup(toy_models), Settings())
    comparison = ask(desk, str(photo))
    (line,) = lines
    assert set(line) == {"time", "id", "way", "verdict", "bytes", "decoded", "ms", "label"}
    assert (line["way"], line["verdict"], line["bytes"]) == ("api", "answered", photo.stat().st_size)
    assert line["decoded"] == [320, 240]
    assert line["label"] == dict.fromkeys(ROLES, "metal")
    assert line["ms"] == pytest.approx(comparison.steps_ms, abs=0.01)
    assert "holidays" not in json.dumps(line)


def test_a_network_that_is_not_sure_leaves_no_label(toy_models: Path, lines: list) -> None:
    desk = Desk(load_lineup(toy_models), Settings())
    object.__setattr__(desk.classifiers["student"].bundle, "threshold", 1.0)
    buffer = io.BytesIO()
    coloured_photo("paper").resize((9, 9)).save(buffer, "PNG")
    ask(desk, buffer.getvalue())
    assert lines[0]["label"]["student"] is None
    assert lines[0]["label"]["teacher"] == "paper"


def test_a_refusal_leaves_its_reason_but_no_name(toy_models: Path, tmp_path: Path, lines: list) -> None:
    desk = Desk(load_lineup(toy_models), Settings(photo=ImageLimits(max_bytes=100)))
    with pytest.raises(ImageError, match="not an image"):
        ask(desk, b"text")
    secret = tmp_path / "secret.jpg"
    with pytest.raises(ImageError):
        ask(desk, str(secret))
    with pytest.raises(ImageError, match="empty"):
        ask(desk, b"")
    secret.write_bytes(bytes(101))
    with pytest.raises(ImageError, match="the limit"):
        ask(desk, str(secret))
    assert [(line["verdict"], line["bytes"]) for line in lines] == [
        ("refused", 4),
        ("refused", None),
        ("refused", 0),
        ("refused", 101),
    ]
    assert lines[2]["reason"].startswith("The file is empty.")
    assert all("secret" not in json.dumps(line) and os.sep not in line["reason"] for line in lines)


def test_what_takes_too_long_gets_a_sentence_in_time(
    toy_models: Path, monkeypatch: pytest.MonkeyPatch, lines: list
) -> None:
    monkeypatch.setattr(comparison, "decode_image", lambda *_, **__: time.sleep(1))
    desk = Desk(load_lineup(toy_models), Settings(request_s=0.1))

    async def answer() -> float:
        start = time.perf_counter()
        with pytest.raises(RequestError, match=r"longer than 0\.1 seconds\. Try again"):
            await desk.answer(b"photo", way="photo")
        return time.perf_counter() - start

    assert anyio.run(answer) < 0.8
    assert lines[0]["verdict"] == "late"


def test_our_own_fault_is_counted_and_raised(
    toy_models: Path, monkeypatch: pytest.MonkeyPatch, lines: list
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(comparison, "decode_image", fail)
    with pytest.raises(ZeroDivisionError):
        ask(Desk(load_lineup(toy_models), Settings()), b"photo")
    assert (lines[0]["verdict"], lines[0]["reason"]) == ("failed", "ZeroDivisionError")


@pytest.mark.parametrize(
    ("log", "ways"), [("all", ["photo", "api", "frame"]), ("photos", ["photo", "api"]), ("none", [])]
)
def test_which_requests_leave_a_line_is_a_setting(
    toy_models: Path, photo: Path, lines: list, log: str, ways: list[str]
) -> None:
    desk = Desk(load_lineup(toy_models), Settings(log=log))
    for way in ("photo", "api", "frame"):
        ask(desk, str(photo), way=way, roles=["student"])
    assert [line["way"] for line in lines] == ways
    assert all(list(line["label"]) == ["student"] for line in lines)
    counts = desk.journal.to_prometheus().decode()
    for way in ("photo", "api", "frame"):
        assert f'trashlens_requests_total{{verdict="answered",way="{way}"}} 1.0' in counts
    assert 'trashlens_step_seconds_count{step="infer, student"} 3.0' in counts


def test_with_a_damaged_bundle_the_others_answer(toy_models: Path, photo: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    for role in ("teacher", "student"):
        (models / role).mkdir(parents=True)
        for file in (toy_models / role).iterdir():
            (models / role / file.name).write_bytes(file.read_bytes())
    desk = Desk(load_lineup(models), Settings())
    assert list(desk.lineup) == list(ROLES)
    assert list(ask(desk, str(photo)).predictions) == ["teacher", "student"]


def test_while_a_photo_is_at_work_the_next_is_answered_by_the_crowd_s_networks(
    toy_models: Path, photo: Path
) -> None:
    ordinary, crowd = load_lineup(toy_models), load_lineup(toy_models)
    asked: list[str] = []
    for name, lineup in (("ordinary", ordinary), ("crowd", crowd)):
        for one in lineup.values():
            predict = one.predict
            one.predict = lambda *a, n=name, p=predict, **o: (asked.append(n), p(*a, **o))[1]
    loads: list[int] = []

    def load() -> Lineup:
        loads.append(1)
        return crowd

    desk = Desk(ordinary, Settings(), load_crowd=load)

    async def come(number: int) -> set[str]:
        asked.clear()
        async with anyio.create_task_group() as group:
            for _ in range(number):
                group.start_soon(partial(desk.answer, str(photo), way="api"))
        return set(asked)

    assert anyio.run(come, 1) == {"ordinary"}
    assert loads == []
    assert anyio.run(come, 3) == {"ordinary", "crowd"}
    assert anyio.run(come, 1) == {"ordinary"}
    assert loads == [1]
