"""The gate before the page: lets through what the page and its API need, and no more of it than is allowed.

Gradio serves much that this page does not use: a monitor, a proxy, recordings, other ways around the queue. What
is not listed here does not exist for a visitor.
"""

import re
from pathlib import Path

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trashlens.server.settings import Settings

__all__ = ["BUSY", "Gate"]

BUSY = "The server is busy. Try again in a moment."
UPLOAD = "/gradio_api/upload"

MESSAGE_BYTES = 4 * 2**20
"""Largest request that is no upload: a frame of a webcam, base64, has a tenth of it."""
FORM_BYTES = 2**16
"""What a form adds to the file in it."""
DISCARD_BYTES = 256 * 2**20
"""What of a refused request is read before it is answered; who sends more may miss the answer."""
PUBLIC = re.compile(
    r"""/
    ( (config/? | theme\.css | favicon\.ico | manifest\.json | robots\.txt | health | metrics)?
    | (static | assets)/.+
    | gradio_api/
      ( (info | startup-events | theme\.css | upload | upload_progress)/?
      | (queue/(join | data) | cancel | reset)/?
      | heartbeat/\w+
      | call/\w+(/\w+)?
      | stream/\w+(/close)?
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
    """An ASGI middleware that answers 404, 413 or 503 to what may not pass."""

    def __init__(self, app: ASGIApp, *, settings: Settings, uploads: Path) -> None:
        """Stand before `app`, which keeps what it is sent in the folder `uploads`."""
        self._app, self._settings, self._uploads = app, settings, uploads.resolve()
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        if scope["type"] != "http":
            return  # no WebSocket is part of the page
        send = _add_headers(send)
        refusal = self._refuse(scope)
        if refusal is not None:
            await _discard(receive)
            await refusal(scope, receive, send)
            return
        self._open += 1
        try:
            await self._app(scope, _limit(receive, self._most_bytes(scope["path"])), send)
        finally:
            self._open -= 1

    def _refuse(self, scope: Scope) -> JSONResponse | None:
        """Return the answer to a request that may not pass, judged by its head."""
        path = scope["path"]
        known = PUBLIC.fullmatch(path)
        if (
            not known
            or scope["method"] not in ("GET", "HEAD", "POST")
            or not self._may_read(known["file"])
        ):
            return JSONResponse({"detail": "Not found."}, 404)
        if path == "/health":
            return None  # a probe is answered when nobody else is
        length = dict(scope["headers"]).get(b"content-length", b"0")
        most = self._most_bytes(path)
        if not length.isdigit() or int(length) > most:
            return JSONResponse({"detail": _describe_limit(most)}, 413)
        if self._open >= self._settings.connections or (path.startswith(UPLOAD) and self._is_full()):
            return JSONResponse({"detail": BUSY}, 503, {"retry-after": "5"})
        return None

    def _may_read(self, file: str | None) -> bool:
        """Return whether no file is asked for, or one that was uploaded; its folder's name is a secret hash."""
        return file is None or Path(file).resolve().is_relative_to(self._uploads)

    def _most_bytes(self, path: str) -> int:
        return self._settings.photo.max_bytes + FORM_BYTES if path.startswith(UPLOAD) else MESSAGE_BYTES

    def _is_full(self) -> bool:
        """Return whether the uploads take all the room they may."""
        taken = sum(path.stat().st_size for path in self._uploads.glob("*/*") if path.is_file())
        return taken > self._settings.uploads_mb * 2**20


def _describe_limit(most_bytes: int) -> str:
    return f"This is more than {most_bytes // 2**20} MB. Send a smaller copy of the photo."


async def _discard(receive: Receive) -> None:
    """Read what comes with a refused request: a client that still sends would take the answer for a lost line."""
    discarded_bytes = 0
    while discarded_bytes < DISCARD_BYTES:
        message = await receive()
        discarded_bytes += len(message.get("body", b""))
        if not message.get("more_body", False):
            return


def _limit(receive: Receive, most_bytes: int) -> Receive:
    """Return `receive`, ending the request when its body is longer than it may be, whatever its head said."""
    received_bytes = 0

    async def receive_counted() -> Message:
        nonlocal received_bytes
        message = await receive()
        received_bytes += len(message.get("body", b""))
        return {"type": "http.disconnect"} if received_bytes > most_bytes else message

    return receive_counted


def _add_headers(send: Send) -> Send:
    """Return `send`, adding `HEADERS` to the answer's own."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *HEADERS]
        await send(message)

    return send_with_headers
