"""Where the server listens: its address, how many connections it holds, and how long one may be silent."""

import asyncio
import contextlib
import errno
import logging
import os
import socket

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from trashlens.errors import AddressError
from trashlens.machine import raise_open_files

__all__ = ["allot_connections", "serve"]

IDLE_S = 10.0
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
        http=_bound(connections),
        ws="none",
        lifespan="on",
        log_level="error",  # its warnings are about what strangers send amiss
        server_header=False,
        # asyncio accepts so many at once, four times before the first is known here and can be closed. It is also
        # what the kernel keeps, until `_Server` says otherwise.
        backlog=max(1, connections // 8),
        # Beyond it uvicorn cancels, with a traceback each; `_Server` hangs up before.
        timeout_graceful_shutdown=2 * STOP_S,
    )
    # Who sends nonsense amid an answer is told so, and the answer ends there: the gate tells what is our fault.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "ASGI callable" not in str(record.msg))
    # uvicorn raises the signal again that it has been stopped by.
    with contextlib.ExitStack() as stack, contextlib.suppress(KeyboardInterrupt):
        for one in listening:
            stack.enter_context(one)
        _Server(config, _format_url(host, port)).run(sockets=listening)


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


def _listen(host: str, port: int) -> list[socket.socket]:
    """Return the sockets that listen at the address: a name such as `localhost` may stand for several."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise AddressError(
            f"{host!r} is no address of this machine. Give --host, such as 127.0.0.1."
        ) from error
    with contextlib.ExitStack() as stack:
        bound, refusal = [], None
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                # Only of a socket that names its protocol does asyncio take Nagle's delay away; with it, an
                # answer's body waits 40 ms for the visitor's system to confirm its head.
                one = stack.enter_context(socket.socket(family, kind, protocol))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind(address)
                bound.append(one)
            except OSError as error:
                # A family that this machine lacks is no fault of the other's, a taken port is.
                refusal = error
                if error.errno == errno.EADDRINUSE:
                    break
        if refusal and (not bound or refusal.errno == errno.EADDRINUSE):
            raise AddressError(
                f"The page cannot be served at {host}, port {port}: {os.strerror(refusal.errno or 0)}. "
                "Give another --host or --port."
            ) from refusal
        stack.pop_all()
    return bound


def _format_url(host: str, port: int) -> str:
    """Return the address at which a browser on this machine finds the page."""
    if host in ("0.0.0.0", "::"):  # noqa: S104  (all networks, this machine among them)
        host = "localhost"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class _Server(uvicorn.Server):
    """Says where the page is once it is there, and ends in order."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or []:
            listening.listen(QUEUE)
        print(f"Trashlens is at {self._url}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        timer = asyncio.get_running_loop().call_later(STOP_S, self._hang_up)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        """Leave who is still there: each open page waits for events without end."""
        for one in list(self.server_state.connections):
            one.transport.abort()


def _bound(connections: int) -> type[H11Protocol]:
    """Return the protocol that holds at most so many connections."""

    class Bounded(_Bounded):
        most = connections

    return Bounded


class _Bounded(H11Protocol):
    """uvicorn's protocol, bounded: of more than `most` connections, the one that is silent for longest is left.

    uvicorn by itself waits for ever for a request, the rest of it, and a reader of its answer.
    """

    most = 0
    silent_since_s: float | None = None
    closing: asyncio.TimerHandle | None = None
    stalling: asyncio.TimerHandle | None = None
    left = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look()
        held = [one for one in self.connections if isinstance(one, _Bounded) and not one.left]
        if len(held) > self.most:
            min(held, key=_Bounded.worth).leave()

    def worth(self) -> tuple[bool, float]:
        """Return by what connections are compared: whether a request is at work, and how late it fell silent."""
        busy = self.silent_since_s is None and not self.transport.is_closing()
        return busy, self.silent_since_s or 0.0

    def leave(self) -> None:
        """Close at once, whatever is still to be sent."""
        self.left = True
        if self.cycle is not None:
            self.cycle.disconnected = True  # or what answers would be said to have failed
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except h11.LocalProtocolError:  # nonsense after an answer, to which none can be given
            self.leave()
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()
        if self.transport.is_closing():  # once what is buffered is taken, which may be never
            self._stall()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall()

    def resume_writing(self) -> None:
        if not self.transport.is_closing():
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
            self.closing = self.loop.call_later(IDLE_S, self.leave)

    def _stall(self) -> None:
        self._cancel(self.stalling)
        self.stalling = self.loop.call_later(STALLED_S, self.leave)

    @staticmethod
    def _cancel(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
