"""The gate: what a stranger may ask for, and how much of it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from trashlens.image import ImageLimits
from trashlens.server.gate import FORM_BYTES, MESSAGE_BYTES, Gate
from trashlens.server.journal import Journal
from trashlens.server.refusals import BUSY
from trashlens.server.settings import Settings
from trashlens.server.uploads import LEAST_BYTES, Room

MAX_BYTES = 2**20
UPLOAD = "/gradio_api/upload"


async def echo(_: Scope, receive: Receive, send: Send) -> None:
    """Answer 200 with the length of the body."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


def ask(
    uploads: Path,
    path: str,
    *,
    method: str = "GET",
    content: bytes | AsyncIterator[bytes] | None = None,
    **settings: int,
) -> httpx.Response:
    """Send one request through a gate with nothing but `echo` behind it."""
    photo = ImageLimits(max_bytes=MAX_BYTES)
    room = Room(uploads)
    room.sweep(60)
    chosen = Settings(photo=photo, batch_mb=1, **settings)
    gate = Gate(echo, settings=chosen, room=room, journal=Journal(chosen))

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(gate)
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            return await client.request(method, path, content=content)

    return anyio.run(send)


def test_what_was_announced_and_never_came_takes_no_room(tmp_path: Path) -> None:
    chosen = Settings(photo=ImageLimits(max_bytes=MAX_BYTES), batch_mb=1, uploads_mb=4)
    room = Room(tmp_path)
    gate = Gate(echo, settings=chosen, room=room, journal=Journal(chosen))

    async def few_bytes() -> AsyncIterator[bytes]:
        yield b"few"

    async def send() -> list[int]:
        transport = httpx.ASGITransport(gate)
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            answers = [await client.post(UPLOAD, content=few_bytes()) for _ in range(20)]
        return [answer.status_code for answer in answers]

    assert anyio.run(send) == [200] * 20
    assert room.taken_bytes == 20 * LEAST_BYTES  # as many files, were each one kept


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/config",
        "/theme.css?v=1",
        "/health",
        "/static/js/a.js",
        "/assets/index-1.js",
        "/gradio_api/info",
        "/gradio_api/upload_progress?upload_id=1",
        "/gradio_api/call/classify/0a1b",
        "/gradio_api/heartbeat/0a1b",
        "/gradio_api/heartbeat/e7f0f0e8-2c1e-4f7e-9b1e-0a1b2c3d4e5f",
        "/gradio_api/queue/data?session_hash=0a1b",
        "/webcam",
        "/webcam/0a1b",
        "/webcam/0a1b/close",
        "/feedback",
    ],
)
def test_what_the_page_needs_passes(tmp_path: Path, path: str) -> None:
    answer = ask(tmp_path, path)
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/monitoring",
        "/monitoring/summary",
        "/docs",
        "/openapi.json",
        "/healthy",
        "/static/",
        "/gradio_api/run/classify",
        "/gradio_api/api/classify",
        "/gradio_api/proxy=http://127.0.0.1/",
        "/gradio_api/process_recording",
        "/gradio_api/stream/0a1b",
        "/gradio_api/stream/a/b/c/playlist.m3u8",
        "/webcam/a/b",
        "/feedback/a",
        "/gradio_api/file=http://127.0.0.1/",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=/tmp/a%00b",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/vibe-code",
        "/gradio_api/dev/reload",
        "/gradio_api/run-history/records",
    ],
)
def test_what_it_does_not_need_is_not_there(tmp_path: Path, path: str) -> None:
    answer = ask(tmp_path, path)
    assert answer.status_code == 404
    assert answer.json() == {"detail": "Not found."}


def test_a_file_is_read_among_the_uploads_only(tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    assert ask(uploads, f"/gradio_api/file={uploads}/0a1b/photo.jpg").status_code == 200
    assert ask(uploads, f"/gradio_api/file={uploads}/../secret").status_code == 404
    assert ask(uploads, f"/gradio_api/file={tmp_path}/secret").status_code == 404
    (uploads / "link").symlink_to(tmp_path)
    assert ask(uploads, f"/gradio_api/file={uploads}/link/secret").status_code == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_not_there(tmp_path: Path, method: str) -> None:
    assert ask(tmp_path, "/", method=method).status_code == 404


@pytest.mark.parametrize(
    ("path", "most", "sentence"),
    [
        (
            UPLOAD,
            MAX_BYTES + FORM_BYTES,
            "The upload has more than 1 MB. Send a smaller file, or fewer.",
        ),
        (
            "/gradio_api/queue/join",
            MESSAGE_BYTES,
            "The request has more than 1 MB. Upload the photo and send its path.",
        ),
    ],
)
def test_a_body_over_its_limit_is_refused(tmp_path: Path, path: str, most: int, sentence: str) -> None:
    async def pour(size: int) -> AsyncIterator[bytes]:
        for start in range(0, size, 2**18):
            yield bytes(min(2**18, size - start))

    assert ask(tmp_path, path, method="POST", content=bytes(most)).text == str(most)
    assert ask(tmp_path, path, method="POST", content=pour(most)).text == str(most)
    for content in (bytes(most + 1), pour(most + 1)):  # the second does not say how long it is
        refusal = ask(tmp_path, path, method="POST", content=content)
        assert refusal.status_code == 413
        assert refusal.json() == {"detail": sentence}


def test_uploads_wait_for_room(tmp_path: Path) -> None:
    (tmp_path / "0a1b").mkdir()
    (tmp_path / "0a1b" / "photo.jpg").write_bytes(bytes(2**20 + 1))
    refusal = ask(tmp_path, UPLOAD, method="POST", content=b"photo", uploads_mb=1)
    assert refusal.status_code == 503
    assert refusal.json() == {"detail": BUSY}
    assert refusal.headers["retry-after"] == "5"
    assert ask(tmp_path, "/", uploads_mb=1).status_code == 200
    assert ask(tmp_path, UPLOAD, method="POST", content=b"photo", uploads_mb=2).status_code == 200


def visit(
    gate: Callable[[ASGIApp], Gate], visitor: Callable[[httpx.AsyncClient], Awaitable[None]]
) -> None:
    """Let the visitor send requests through a gate before a server that takes its time."""

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.sleep(0.2)
        await echo(scope, receive, send)

    async def come() -> None:
        transport = httpx.ASGITransport(gate(wait))
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            await visitor(client)

    anyio.run(come)


def test_uploads_on_their_way_count_before_they_have_come(tmp_path: Path) -> None:
    room = Room(tmp_path)
    settings = Settings(photo=ImageLimits(max_bytes=MAX_BYTES), batch_mb=1, uploads_mb=2)
    codes: list[int] = []

    async def visitor(client: httpx.AsyncClient) -> None:
        async def send() -> None:
            codes.append((await client.post(UPLOAD, content=bytes(MAX_BYTES))).status_code)

        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(send)
        await send()
        room.sweep(60)  # nothing was kept after all
        await send()

    visit(partial(Gate, settings=settings, room=room, journal=Journal(settings)), visitor)
    assert sorted(codes[:6]) == [200, 200, 200, 503, 503, 503]
    assert codes[6:] == [503, 200]


def test_more_open_requests_than_allowed_are_told_to_come_back(tmp_path: Path) -> None:
    codes: list[int] = []

    async def visitor(client: httpx.AsyncClient) -> None:
        async def send(path: str) -> None:
            codes.append((await client.get(path)).status_code)

        async with anyio.create_task_group() as group:
            for path in ("/", "/", "/", "/health"):
                group.start_soon(send, path)
        await send("/")

    settings = Settings(connections=2)
    visit(partial(Gate, settings=settings, room=Room(tmp_path), journal=Journal(settings)), visitor)
    assert sorted(codes[:-1]) == [200, 200, 200, 503]
    assert codes[-1] == 200


def test_what_fails_beyond_or_never_comes_is_answered_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("trashlens.server.gate.BODY_PAUSE_S", 0.3)
    caplog.set_level("INFO", "trashlens.requests")
    settings = Settings()
    journal = Journal(settings)

    async def fail(scope: Scope, receive: Receive, _: Send) -> None:
        if scope["method"] == "POST":
            await receive()
        raise ValueError("what only the log may know")

    async def never() -> AsyncIterator[bytes]:
        await anyio.sleep(5)
        yield b"late"

    async def come() -> list[httpx.Response]:
        gate = Gate(fail, settings=settings, room=Room(tmp_path), journal=journal)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(gate), base_url="http://page"
        ) as client:
            broken = [await client.get("/") for _ in range(5)]
            return [*broken, await client.post("/webcam", content=never())]

    *broken, late = anyio.run(come)
    for answer in broken:
        assert (answer.status_code, answer.json()) == (
            500,
            {"detail": "The request cannot be answered."},
        )
    assert late.status_code == 408
    lines = [json.loads(message) for message in caplog.messages]
    told = [line for line in lines if "failed" in line]
    # Those of a rush share a line; counted is each.
    assert [(line["failed"], line["times"]) for line in told] == [("ValueError", 1)]
    assert told[0]["at"][-1].startswith("test_server_gate.py:")
    assert told[0]["reason"] == "what only the log may know"
    assert [(line["refused"], line["times"]) for line in lines if "refused" in line] == [
        (500, 1),
        (408, 1),
    ]
    counted = journal.to_prometheus().decode()
    assert 'trashlens_refusals_total{status="500"} 5.0' in counted
    assert "trashlens_open_requests 0.0" in counted
