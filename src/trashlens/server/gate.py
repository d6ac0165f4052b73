"""The gate before the page: lets through what the page and its API need, and no more of it than is allowed.

Gradio serves much that this page does not use: a monitor, a proxy, recordings, other ways around the queue. What
is not listed here does not exist for a visitor.
"""

import re
from pathlib import Path

import anyio
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trashlens.server.journal import Journal
from trashlens.server.refusals import SLOW, refuse, refuse_busy
from trashlens.server.settings import Settings, too_large
from trashlens.server.uploads import LEAST_BYTES, Room

__all__ = ["Gate"]

UPLOAD = "/gradio_api/upload"

MESSAGE_BYTES = 2**20
"""Largest request that is no upload; a frame of a webcam has a tenth of it."""
FORM_BYTES = 2**16
"""What a form adds to the file in it."""
MOST_PATH = 1024
"""Longest path, characters; a file's name has at most a quarter of it."""
BODY_PAUSE_S = 20.0
"""How long a body may pause, seconds."""
DISCARD_BYTES, DISCARD_S = 256 * 2**20, 5.0
"""How much of a refused request is read before it is answered, and for how long; who sends more may miss it."""
PUBLIC = re.compile(
    r"""/
    ( (config/? | theme\.css | favicon\.ico | manifest\.json | robots\.txt | health | metrics)?
    | (static | assets)/.+
    | webcam(/\w+(/close)?)?
    | feedback
    | device/\w+/[\w.-]+
    | examples/\w+/[^/]+
    | gradio_api/
      ( (info | startup-events | theme\.css | upload | upload_progress)/?
      | (queue/(join | data) | cancel | reset)/?
      | heartbeat/[\w-]+
      | call/classify(/\w+)?
      | file=(?P<file>/.+)
      )
    )""",
    re.VERBOSE,
)
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
"""Sent with every answer: what is uploaded is never run as something else, and no address is told to others."""


class Gate:
    """An ASGI middleware that answers 404, 408, 413 or 503 to what may not pass, and 500 where the page fails."""

    def __init__(self, app: ASGIApp, *, settings: Settings, room: Room, journal: Journal) -> None:
        """Stand before `app`, which keeps what it is sent in `room`."""
        self._app, self._settings, self._room, self._journal = app, settings, room, journal
        self._open = self._coming_bytes = 0
        journal.watch("open_requests", "Requests that are being answered.", lambda: self._open)
        journal.watch("uploads_bytes", "Size of the uploads that are kept.", lambda: room.taken_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no WebSocket is part of the page
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self._refuse(scope)
        reserved_bytes = self._find_size(scope) if refusal is None and _is_upload(scope) else 0
        body = _Body(receive, self._most_bytes(scope), self._settings.upload_s)
        sender = _Sender(send)
        self._open += 1
        self._coming_bytes += reserved_bytes
        try:
            if refusal is None:
                await self._pass(scope, body, sender)
            else:
                await _discard(scope, receive)
                await refusal(scope, receive, sender)
        finally:
            self._open -= 1
            self._coming_bytes -= reserved_bytes
            if reserved_bytes:  # what came counts until it is measured, not what was announced
                self._room.taken_bytes += max(body.received_bytes, LEAST_BYTES)
            if sender.status >= 400:
                self._journal.note_refusal(sender.status, scope["path"])

    async def _pass(self, scope: Scope, body: "_Body", sender: "_Sender") -> None:
        """Hand the request on; whatever goes wrong beyond ends here, in an answer without its inner words."""
        told = False
        try:
            await self._app(scope, body, sender)
            return
        except _TooLongError:
            refusal = self._refuse_size(scope)
        except _TooSlowError:
            refusal = refuse(408, SLOW)
        except Exception as error:
            # What Gradio refuses amid an answer, it has said in it; any other one stays visibly broken off.
            told = isinstance(error.__cause__, HTTPException)
            if not told:
                self._journal.note_failure(scope["path"], error)
            refusal = refuse(500, "The request cannot be answered.")
        if not sender.status:
            await refusal(scope, body, sender)
        elif told and not sender.ended:
            await sender({"type": "http.response.body"})

    def _refuse(self, scope: Scope) -> JSONResponse | None:
        """Return the answer to a request that may not pass, judged by its head."""
        known = PUBLIC.fullmatch(scope["path"])
        if (
            not known
            or len(scope["path"]) > MOST_PATH
            or not _may_ask(scope["method"], scope["path"])
            or not self._may_read(known["file"])
        ):
            return refuse(404, "Not found.")
        if scope["path"] == "/health":
            return None  # a probe is answered when nobody else is
        if self._find_size(scope) > self._most_bytes(scope):
            return self._refuse_size(scope)
        full = self._room.taken_bytes + self._coming_bytes > self._settings.uploads_mb * 2**20
        if self._open >= self._settings.connections or (full and _is_upload(scope)):
            return refuse_busy()
        return None

    def _may_read(self, file: str | None) -> bool:
        """Return whether no file is asked for, or one that was uploaded; its folder's name is a secret hash."""
        try:
            return file is None or Path(file).resolve().is_relative_to(self._room.folder)
        except (OSError, ValueError):  # a name that cannot be one
            return False

    def _find_size(self, scope: Scope) -> int:
        """Return the bytes that the head announces, or as many as may come where it does not."""
        length = dict(scope["headers"]).get(b"content-length", b"")
        return int(length) if length.isdigit() else self._most_bytes(scope)

    def _most_bytes(self, scope: Scope) -> int:
        return self._settings.upload_bytes + FORM_BYTES if _is_upload(scope) else MESSAGE_BYTES

    def _refuse_size(self, scope: Scope) -> JSONResponse:
        sentence = (
            too_large(self._settings)
            if _is_upload(scope)
            else f"The request has more than {MESSAGE_BYTES / 2**20:.3g} MB. Upload the photo and send its path."
        )
        return refuse(413, sentence)


class _TooLongError(Exception):
    """A body went beyond its limit, whatever its head said."""


class _TooSlowError(Exception):
    """A body took longer than it may."""


class _Sender:
    """What an answer is sent through: adds `HEADERS`, and knows how far it is: its status is 0 at first."""

    def __init__(self, send: Send) -> None:
        self._send, self.status, self.ended = send, 0, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", []), *HEADERS]
        elif not message.get("more_body", False):
            self.ended = True
        await self._send(message)


class _Body:
    """What a request's body is received through, with bounds.

    It raises `_TooLongError` once more than `most_bytes` have come, `_TooSlowError` when they pause for
    `BODY_PAUSE_S` or take `most_s` in all.
    """

    def __init__(self, receive: Receive, most_bytes: int, most_s: float) -> None:
        self._receive, self._most_bytes, self._most_s = receive, most_bytes, most_s
        self._deadline_s: float | None = None
        self._whole = False
        self.received_bytes = 0

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()  # waits for the visitor to leave
        now_s = anyio.current_time()
        self._deadline_s = self._deadline_s or now_s + self._most_s
        message = None
        with anyio.move_on_after(min(BODY_PAUSE_S, max(0.0, self._deadline_s - now_s))):
            message = await self._receive()
        if message is None:
            raise _TooSlowError
        self.received_bytes += len(message.get("body", b""))
        if self.received_bytes > self._most_bytes:
            raise _TooLongError
        self._whole = not message.get("more_body", False)
        return message


def _may_ask(method: str, path: str) -> bool:
    """Return whether a path is asked for in a way that is answered; OPTIONS is how other sites' pages begin."""
    return method in ("GET", "HEAD", "POST") or (method == "OPTIONS" and path.startswith("/gradio_api/"))


def _is_upload(scope: Scope) -> bool:
    return bool(scope["path"].rstrip("/") == UPLOAD and scope["method"] == "POST")


async def _discard(scope: Scope, receive: Receive) -> None:
    """Read what comes with a refused request: a client that still sends would take the answer for a lost line."""
    if b"expect" in dict(scope["headers"]):
        return  # it waits to be asked
    discarded_bytes = 0
    with anyio.move_on_after(DISCARD_S):
        while discarded_bytes < DISCARD_BYTES:
            message = await receive()
            discarded_bytes += len(message.get("body", b""))
            if not message.get("more_body", False):
                return
