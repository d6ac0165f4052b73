"""Where the server listens: its connections, as strangers may open and leave them."""

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from trashlens.errors import AddressError
from trashlens.machine import find_free_port
from trashlens.server import listening
from trashlens.server.listening import allot_connections, serve

CONNECTIONS = 20
SERVER = """
import sys
from trashlens.server import listening
from test_server_listening import answer
listening.IDLE_S, listening.STALLED_S = map(float, sys.argv[2:])
listening.serve(answer, host="127.0.0.1", port=int(sys.argv[1]), connections=20)
"""


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a word, or with 100 MB, as fast as they are taken."""
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    with contextlib.suppress(Exception):  # as the gate does it
        await say(scope, receive, send)


async def say(scope: Scope, receive: Receive, send: Send) -> None:
    while scope["path"] == "/endless" and (await receive())["type"] != "http.disconnect":
        pass
    parts = 100 if scope["path"] == "/large" else 1
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for part in range(parts):
        body = bytes(10**6) if parts > 1 else b"here"
        await send({"type": "http.response.body", "body": body, "more_body": part < parts - 1})


@contextlib.contextmanager
def run_server(tmp_path: Path, *, silent_s: float = 60, stalled_s: float = 60) -> Iterator[int]:
    """Run a server with room for 20 connections; yield its port. What it says on stderr must be nothing."""
    port = find_free_port()
    with (tmp_path / "errors.txt").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *map(str, (port, silent_s, stalled_s))],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"Trashlens is at http://127.0.0.1:{port}/\n"
            yield port
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    assert (tmp_path / "errors.txt").read_text() == ""


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def is_answered(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as reply:
        return bool(reply.read() == b"here")


def wait_until_closed(connection: socket.socket) -> float:
    """Return after how many seconds the server closed it."""
    start = time.monotonic()
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(65536):
            pass
    return time.monotonic() - start


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: here\r\nX-Slow: "])
def test_with_more_silent_connections_than_it_holds_it_answers(tmp_path: Path, begun: bytes) -> None:
    with run_server(tmp_path) as port, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connect(port)) for _ in range(5 * CONNECTIONS)]
        for connection in silent:
            with contextlib.suppress(ConnectionError):
                connection.sendall(begun)
        start = time.monotonic()
        assert is_answered(port)
        assert time.monotonic() - start < 5
        # The oldest went, the youngest are held.
        assert wait_until_closed(silent[0]) < 5
        silent[-1].settimeout(0.5)
        with pytest.raises(TimeoutError):
            silent[-1].recv(1)


def test_who_says_nothing_or_not_all_of_it_is_left(tmp_path: Path) -> None:
    with run_server(tmp_path, silent_s=1) as port, connect(port) as nothing, connect(port) as half:
        half.sendall(b"GET / HTTP/1.1\r\n")
        ended = threading.Event()

        def trickle() -> None:
            with contextlib.suppress(OSError):
                while not ended.wait(0.2):
                    half.sendall(b"X: y\r\n")

        thread = threading.Thread(target=trickle)
        thread.start()
        assert wait_until_closed(nothing) < 10
        assert wait_until_closed(half) < 10
        ended.set()
        thread.join()
        assert is_answered(port)


def test_one_that_asks_again_is_kept_meanwhile(tmp_path: Path) -> None:
    with run_server(tmp_path, silent_s=6) as port, connect(port) as connection:
        for _ in range(6):  # 9 seconds in all, never 6 in silence
            connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            received = b""
            while not received.endswith(b"\r\n0\r\n\r\n"):
                part = connection.recv(1000)
                assert part, "the server closed it"
                received += part
            time.sleep(1.5)


def test_who_takes_nothing_of_an_answer_is_left(tmp_path: Path) -> None:
    with run_server(tmp_path, stalled_s=1) as port, connect(port) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
        time.sleep(3)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(10**6):
                received += len(part)
        assert received < 100 * 10**6
        assert is_answered(port)


def test_those_who_ask_again_and_again_keep_no_newcomer_out(tmp_path: Path) -> None:
    with run_server(tmp_path) as port, contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(connect(port))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        for _ in range(5):
            assert is_answered(port)


def test_what_is_left_in_the_buffer_of_a_closed_connection_is_not_kept(tmp_path: Path) -> None:
    with run_server(tmp_path, stalled_s=1) as port, connect(port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        time.sleep(3)
        with connect(port) as other:
            other.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
            assert other.recv(1000)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: here\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_nonsense_is_answered_or_left_without_a_word(tmp_path: Path, nonsense: bytes) -> None:
    with run_server(tmp_path) as port:  # which looks at what is said
        with connect(port) as connection:
            connection.sendall(nonsense)
            time.sleep(0.5)
            with contextlib.suppress(OSError):
                connection.sendall(nonsense)
                connection.recv(1000)
        assert is_answered(port)


def test_who_is_still_there_at_the_end_is_left_without_a_word(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(run_server(tmp_path))
        waiting = socket.create_connection(("127.0.0.1", port), timeout=20)
        waiting.sendall(b"GET /endless HTTP/1.1\r\nHost: here\r\n\r\n")
        time.sleep(0.5)
        start = time.monotonic()
        stack.pop_all().close()
        assert time.monotonic() - start < 20
        waiting.close()


def test_what_files_allow_is_shared_between_requests_and_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listening, "raise_open_files", lambda wanted: wanted)
    assert allot_connections(512) == (512, 1024)
    assert not caplog.messages
    monkeypatch.setattr(listening, "raise_open_files", lambda _: 1024)
    assert allot_connections(512) == (240, 480)
    (sentence,) = caplog.messages
    assert sentence.startswith(
        "This process may have 1024 files open, enough for 240 open requests instead of 512."
    )


def test_the_soft_limit_of_open_files_is_raised_as_far_as_it_goes() -> None:
    script = "from trashlens.machine import raise_open_files as r; print(r(300), r(10**6))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 500)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["300", "500"]


def test_an_address_that_is_taken_or_elsewhere_is_refused() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(AddressError, match="Address already in use"),
    ):
        serve(answer, host="127.0.0.1", port=taken.getsockname()[1], connections=1)
    with pytest.raises(AddressError, match="no address of this machine"):
        serve(answer, host="no.such.host.invalid", port=1, connections=1)


def test_under_a_low_limit_of_files_the_page_stays_reachable(toy_models: Path, tmp_path: Path) -> None:
    """As a container with `ulimit -n 256` meets 1,000 connections that say nothing."""
    port = find_free_port()
    with (tmp_path / "errors.txt").open("w") as errors:
        process = subprocess.Popen(
            [
                "sh",
                "-c",
                f"ulimit -n 256; exec {sys.executable} app.py --port {port} --models {toy_models}",
            ],
            cwd=Path(__file__).parent.parent,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    with process, contextlib.ExitStack() as stack:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("Trashlens is at ")
            for _ in range(1000):
                stack.enter_context(connect(port))
            for _ in range(3):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=20) as reply:
                    assert json.load(reply)["status"] == "ok"
        finally:
            process.send_signal(signal.SIGTERM)
    said = (tmp_path / "errors.txt").read_text()
    assert "Too many open files" not in said
    assert said.startswith("This process may have 256 files open")


def test_answers_do_not_wait_for_the_visitors_system_to_confirm_their_head() -> None:
    accepted: list[int] = []

    class Look(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            connection = transport.get_extra_info("socket")
            accepted.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    async def visit() -> None:
        (own,) = listening._listen("127.0.0.1", find_free_port())
        async with await asyncio.get_running_loop().create_server(Look, sock=own):
            reader, writer = await asyncio.open_connection(*own.getsockname())
            assert await reader.read() == b""
            writer.close()

    asyncio.run(visit())
    assert accepted == [1]
