"""How a request is refused: a status, and a sentence in the form of Gradio's own."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse

__all__ = ["BUSY", "SLOW", "is_foreign", "refuse", "refuse_busy"]

BUSY = "The server is busy. Try again in a moment."
SLOW = "The request took too long to come. Try again."


def refuse_busy() -> JSONResponse:
    """Return the answer to who comes while there is no room."""
    return refuse(503, BUSY, {"retry-after": "5"})


def refuse(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an answer that says what is wrong, in the form of Gradio's own."""
    return JSONResponse({"detail": sentence}, status, headers)


def is_foreign(request: Request) -> bool:
    """Return whether a browser says that another site's page asks, one that someone here happens to look at."""
    return request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
