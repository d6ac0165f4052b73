"""The way in for feedback: who may give, how many at a time, and what the journal says of it."""

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from conftest import coloured_photo
from starlette.applications import Starlette

from trashlens.comparison import Comparison
from trashlens.lineup import load_lineup
from trashlens.server.desk import Desk
from trashlens.server.feedback import FULL, Feedback
from trashlens.server.feedback_route import WAITING, feedback_routes
from trashlens.server.settings import Settings
from trashlens.server.uploads import Room


@pytest.fixture
def room(tmp_path: Path) -> Room:
    (tmp_path / "room").mkdir()
    coloured_photo("glass").save(tmp_path / "room" / "photo.jpg")
    return Room(tmp_path / "room")


def give(desk: Desk, room: Room, *, times: int = 1, **changes: Any) -> list[httpx.Response]:
    """Give the photo in the room so many times at once."""
    values = {"path": str(room.folder / "photo.jpg"), "label": "glass", "consent": True, **changes}
    answers: list[httpx.Response] = []

    async def give_all() -> None:
        transport = httpx.ASGITransport(Starlette(routes=feedback_routes(desk, room)))
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:

            async def give_one() -> None:
                answers.append(await client.post("/feedback", json=values))

            async with anyio.create_task_group() as group:
                for _ in range(times):
                    group.start_soon(give_one)

    anyio.run(give_all)
    return answers


def test_one_is_kept_at_a_time_and_too_many_are_told_to_try_again(
    toy_models: Path, tmp_path: Path, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(load_lineup(toy_models), Settings(), Feedback(tmp_path / "kept", most_bytes=2**30))
    answer, at_work = desk.answer, Counter[str]()

    async def watch(*arguments: Any, **options: Any) -> Comparison:
        at_work["now"] += 1
        at_work["most"] = max(at_work["most"], at_work["now"])
        await anyio.sleep(0.01)
        try:
            return await answer(*arguments, **options)
        finally:
            at_work["now"] -= 1

    monkeypatch.setattr(desk, "answer", watch)
    statuses = Counter(one.status_code for one in give(desk, room, times=WAITING + 6))
    assert statuses == {201: WAITING + 1, 503: 5}
    assert at_work["most"] == 1
    assert len(list((tmp_path / "kept").rglob("*.jpg"))) == 1


def test_a_full_folder_is_a_sentence_and_a_line(
    toy_models: Path, tmp_path: Path, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trashlens.requests")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "older").write_bytes(b"1234")
    desk = Desk(load_lineup(toy_models), Settings(), Feedback(tmp_path / "kept", most_bytes=4))
    (refused,) = give(desk, room)
    assert (refused.status_code, refused.json()) == (507, {"detail": FULL})
    (line,) = (json.loads(record.getMessage()) for record in caplog.records)
    assert (line["way"], line["verdict"]) == ("feedback", "refused")
    almost = Desk(load_lineup(toy_models), Settings(), Feedback(tmp_path / "kept", most_bytes=100))
    assert [one.status_code for one in give(almost, room)] == [507]
    assert not list((tmp_path / "kept").rglob("*.jpg"))


def test_the_journal_names_neither_the_photo_nor_the_answer(
    toy_models: Path, tmp_path: Path, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    desk = Desk(load_lineup(toy_models), Settings(), Feedback(tmp_path / "kept", most_bytes=2**30))
    (answer,) = give(desk, room, label="metal")
    said = "".join(record.getMessage() for record in caplog.records if record.name.startswith("trash"))
    assert '"way": "feedback"' in said
    assert answer.json()["name"][:12] not in said
    assert "metal" not in said
    assert "photo.jpg" not in said


def test_a_body_that_is_no_object_is_refused(toy_models: Path, tmp_path: Path, room: Room) -> None:
    desk = Desk(load_lineup(toy_models), Settings(), Feedback(tmp_path / "kept", most_bytes=2**30))
    for wrong in ("\0", "a\0b"):
        assert give(desk, room, path=wrong)[0].status_code == 422
    transport = httpx.ASGITransport(Starlette(routes=feedback_routes(desk, room)))

    async def send(content: bytes) -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            return await client.post("/feedback", content=content)

    for content in (b"", b"no JSON", b"\xff", b"null", b"[" * 100_000):
        refused = anyio.run(send, content)
        assert refused.status_code == 422, content[:10]
        assert refused.json()["detail"].endswith(".")
