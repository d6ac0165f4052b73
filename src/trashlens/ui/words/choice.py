"""Which language a visitor reads: chosen by the server, from what the browser says with each request."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Protocol

from trashlens.ui.words.tables import ENGLISH, Words, load_words

__all__ = ["CHOSEN", "choose_language", "words_for"]

CHOSEN: ContextVar[str] = ContextVar("language", default=ENGLISH)
"""The language of the request that is being answered, where nothing is handed the request itself."""


class Request(Protocol):
    """A request of Starlette's or of Gradio's, by name of the header in small letters."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers."""
        ...


def choose_language(accepted: str) -> str:
    """Return the first language of an `Accept-Language` (RFC 9110, 12.5.4) that the page speaks, else English."""
    wishes = []
    for part in accepted.split(","):
        tag, _, quality = part.partition(";")
        wishes.append((_read_quality(quality), tag.strip().partition("-")[0].lower()))
    # Sorting keeps the order of those that are wished for alike.
    wishes.sort(key=lambda wish: -wish[0])
    return next((tag for quality, tag in wishes if quality > 0 and tag in load_words()), ENGLISH)


def words_for(request: Request) -> Words:
    """Return the words for who sent a request."""
    return load_words()[choose_language(request.headers.get("accept-language", ""))]


def _read_quality(parameter: str) -> float:
    """Return the number in `q=0.8`, 1 where none is given, 0 where it is none."""
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
