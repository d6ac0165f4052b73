"""Where the server listens: its address, how many connections it holds, and how long one may be silent."""

import asyncio
import contextlib
import logging
import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from trashlens.errors import AddressError
from trashlens.machine import raise_open_files

__all__ = ["allot_connections", "serve"]

SILENT_S = 10.0
"""A connection over which no request has come for so long is closed, seconds."""
STALLED_S = 60.0
"""Who takes nothing of an answer for so long is gone, seconds."""
STOP_S = 3
"""How long requests may still take when the server is stopped, seconds."""
QUEUE = 1024
"""Connections that the kernel keeps for us while we are busy."""
OWN_FILES = 64
"""Open files that are neither a connection nor an upload: libraries, the log, the event loop."""

logger = logging.getLogger(__name__)


def serve(app: ASGIApp, *, host: str, port: int, connections: int) -> None:
    """Answer at the address until the process is told to stop, over at most so many connections.

    Raises:
        AddressError: nothing can listen there.
    """
    listening = _listen(host, port)
    config = uvicorn.Config(
        app,
        http=type("Bounded", (_Bounded,), {"most": connections}),
        ws="none",
        lifespan="on",
        log_level="warning",
        server_header=False,
        # asyncio accepts so many at once, four times before the first is known here and can be closed. It is also
        # what the kernel keeps, until `_Server` says otherwise.
        backlog=max(1, connections // 8),
        timeout_graceful_shutdown=STOP_S,
    )
    # uvicorn raises the signal again that it has been stopped by.
    with listening, contextlib.suppress(KeyboardInterrupt):
        _Server(config, _format_url(host, port)).run(sockets=[listening])


def allot_connections(requests: int) -> tuple[int, int]:
    """Return how many open requests and how many connections this process can have, for so many wanted requests.

    Each request may have a connection and an upload's file; as many connections again may be silent, and as many
    just accepted.
    """
    files = raise_open_files(4 * requests + OWN_FILES) - OWN_FILES
    possible = max(1, min(requests, files // 4))
    if possible < requests:
        logger.warning(
            "This process may have %d files open, enough for %d open requests instead of %d. "
            "Raise it with ulimit -n.",
            files + OWN_FILES,
            possible,
            requests,
        )
    return possible, 2 * possible


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at the address."""
    try:
        # Of what the name stands for, the first is what the system prefers.
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Only of a socket that names its protocol does asyncio take Nagle's delay away; with it, an answer's body
        # waits 40 ms for the visitor's system to confirm its head.
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise AddressError(
            f"{host!r} is no address of this machine. Give --host, such as 127.0.0.1."
        ) from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        raise AddressError(
            f"The page cannot be served at {host}, port {port}: {error.strerror}. Give another --host or --port."
        ) from error
    return listening


def _format_url(host: str, port: int) -> str:
    """Return the address at which a browser on this machine finds the page."""
    if host in ("0.0.0.0", "::"):  # noqa: S104  (all networks, this machine among them)
        host = "localhost"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class _Server(uvicorn.Server):
    """Says where the page is once it is there."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or []:
            listening.listen(QUEUE)
        print(f"Trashlens is at {self._url}", flush=True)


class _Bounded(H11Protocol):
    """uvicorn's protocol, bounded: of more than `most` connections, the one that is silent for longest is closed.

    uvicorn by itself waits for ever for a request, the rest of it, and a reader of its answer.
    """

    most = 0
    silent_since_s: float | None = None
    closing: asyncio.TimerHandle | None = None
    stalling: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look()
        held = [
            one
            for one in self.connections
            if isinstance(one, _Bounded) and not one.transport.is_closing()
        ]
        if len(held) > self.most:
            min(held, key=_Bounded.worth).transport.abort()

    def worth(self) -> tuple[bool, bool, float]:
        """Return by what connections are compared: a request, an earlier one, how late it fell silent."""
        silent = self.silent_since_s is not None
        return not silent, self.cycle is not None, self.silent_since_s or 0.0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stalling = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._cancel(self.stalling)
        super().resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._cancel(self.closing)
        self._cancel(self.stalling)
        super().connection_lost(error)

    def _look(self) -> None:
        """Begin to wait where no request is being answered, and stop where one is."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._cancel(self.closing)
            self.silent_since_s = None
        elif self.silent_since_s is None:
            self.silent_since_s = self.loop.time()
            self.closing = self.loop.call_later(SILENT_S, self.transport.close)

    @staticmethod
    def _cancel(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
