"""Reach the Hub: the token from the environment, patience where its client has none, sentences for failures."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from typing import TypeVar

from httpx2 import TransportError
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined] # lacks `as`

from trashlens.errors import HubError, TrashlensError, first_line
from trashlens.hub_token import hide_token, read_token

__all__ = ["connect", "explain", "retry"]

TRIES = 4
MAX_WAIT_S = 301.0
"""The Hub counts requests in windows of five minutes; a second more, since it rounds what is left."""
TRANSIENT = (408, 429, 500, 502, 503, 504)
"""Answers after which the same request may succeed."""

ReturnT = TypeVar("ReturnT")
logger = logging.getLogger(__name__)


def connect(*, anonymous: bool = False) -> HfApi:
    """Return the Hub's client with the token in HF_TOKEN; `anonymous` allows that there is none.

    Raises:
        HubError: there is no token, or it has characters that no token has.
    """
    try:
        token = read_token()
    except ValueError as error:
        raise HubError(str(error)) from error
    if not token and not anonymous:
        raise HubError(
            "There is no token in the environment. Create one that may write at "
            "https://huggingface.co/settings/tokens and set HF_TOKEN to it."
        )
    # False, not None: None would look for the token of an earlier login on this machine.
    return HfApi(token=token or False, library_name="trashlens")


def retry(call: Callable[[], ReturnT], *, after: tuple[int, ...] = TRANSIENT) -> ReturnT:
    """Return what `call` returns; where the Hub is busy or does not answer, try up to four times in all.

    The Hub's client does this for file transfers itself, but not for repositories, commits and Spaces.
    Status codes in `after` are tried again, and so are lost connections unless `after` leaves out 500: then
    the call must not happen twice.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return call()
        except (HfHubHTTPError, TransportError, JSONDecodeError) as error:
            status = error.response.status_code if isinstance(error, HfHubHTTPError) else 500
            if attempt == TRIES or status not in after:
                raise
            wait_s = _ask_for_patience(error) or 2.0 ** (attempt - 1)
            logger.info("The Hub is busy or does not answer; trying again in %.0f s.", wait_s)
            time.sleep(wait_s)
    raise AssertionError("the last attempt returns or raises")


def _ask_for_patience(error: Exception) -> float:
    """Return how long the Hub asked to wait, seconds; 0 where it did not say."""
    if not isinstance(error, HfHubHTTPError):
        return 0.0
    headers = error.response.headers
    # Other answers name the limit too, with requests left.
    limit = parse_ratelimit_headers(headers) if error.response.status_code == 429 else None
    if limit:
        return min(limit.reset_in_seconds + 1.0, MAX_WAIT_S)
    asked = headers.get("Retry-After", "")
    return min(float(asked), MAX_WAIT_S) if asked.isdigit() else 0.0


@contextmanager
def explain(action: str) -> Iterator[None]:
    """Turn whatever the Hub's client raises in the block into one sentence: what could not be done, and why.

    Raises:
        HubError: the block failed.
    """
    try:
        yield
    except TrashlensError:
        raise
    except Exception as error:  # HTTP, connection, offline mode, upload threads: the same to the user
        # The client wraps what broke an upload; the cause says more.
        cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
        raise HubError(f"The Hub could not {action}: {_reason(cause)}.") from error


def _reason(error: BaseException) -> str:
    """Return why a call failed, without the token, should the Hub or a library have repeated it."""
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        said = hide_token(error.server_message or error.response.reason_phrase or "").splitlines()
        reason = f"{status} {said[0][:200] if said else ''}".rstrip(" .")
        if status in (401, 403):
            reason += "; check that HF_TOKEN is right and may write there"
    elif isinstance(error, TransportError):
        reason = f"no connection ({type(error).__name__})"
    else:
        reason = first_line(error, hide=hide_token).rstrip(".")
    return reason
