"""HTTP requests that try again and, when nothing helps, fail in a sentence without address, header or key."""

import time
from typing import Any
from urllib.parse import urlsplit

import httpx

from trashlens.errors import TrackingError

__all__ = ["send"]

ATTEMPTS = 4
FIRST_PAUSE_SEC = 0.5
TIMEOUT_SEC = 10


def send(method: str, url: str, **options: Any) -> httpx.Response:
    """Return the server's answer, whether it agrees or refuses; `options` are httpx's.

    Raises:
        TrackingError: it failed or did not answer, again and again.
    """
    problem = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(FIRST_PAUSE_SEC * 2 ** (attempt - 1))
        try:
            response = httpx.request(method, url, timeout=TIMEOUT_SEC, follow_redirects=True, **options)
        except Exception as error:  # its message may quote the request, and with it a token
            problem = type(error).__name__
            continue
        if response.status_code < 500 and response.status_code != httpx.codes.TOO_MANY_REQUESTS:
            return response
        problem = f"HTTP {response.status_code}"
    raise TrackingError(f"{urlsplit(url).hostname} does not answer ({problem}).")
