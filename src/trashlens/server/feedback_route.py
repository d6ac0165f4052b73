"""Where feedback comes in: `POST /feedback` with an uploaded photo's path, its right class, and consent."""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from PIL import Image
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from trashlens.errors import FeedbackError, RequestError, TrashlensError
from trashlens.given import NONE
from trashlens.server.desk import Desk
from trashlens.server.feedback import FULL, Feedback
from trashlens.server.refusals import is_foreign, refuse, refuse_busy
from trashlens.server.uploads import Room

__all__ = ["feedback_routes", "list_labels"]

WAITING = 16
"""Who may wait for the one that is being kept; the next one is told to try again."""
NO_CONSENT = "Nothing is kept without consent. Agree first, with `consent` true."
NO_CLASS = "Name the right class: one of {labels}."
NO_PHOTO = "Name the photo by the path that its upload was answered with."
GONE = "The photo was deleted from the server meanwhile. Send it again."


@dataclass(frozen=True, kw_only=True)
class _Gift:
    path: Path
    label: str


def list_labels(desk: Desk) -> tuple[str, ...]:
    """Return the labels that may be given: the classes that the networks know, and `none`."""
    labels = dict.fromkeys(label for one in desk.classifiers.values() for label in one.bundle.labels)
    return (*labels, NONE)


def feedback_routes(desk: Desk, room: Room) -> list[Route]:
    """Return the route by which the page's visitors give a photo of `room`; none where nothing is kept.

    It takes a JSON object of `path`, `label` and `consent`, and answers 201 with the `name` of what is kept. Else
    the answer has a sentence as `detail`: 403 for other sites' pages, 410 when the photo was swept, 422 when
    something is missing or no photo, 503 when too many wait, 507 when no more is kept.
    """
    if desk.feedback is None:
        return []
    feedback, turn = desk.feedback, anyio.Lock()

    async def give(request: Request) -> Response:
        if is_foreign(request):
            return refuse(403, "Feedback is taken from this server's own page only.")
        try:
            asked = await request.json()
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except (ValueError, RecursionError):
            asked = None
        try:
            gift = _read(asked, desk)
        except ValueError as error:
            return refuse(422, str(error))
        if turn.statistics().tasks_waiting >= WAITING:
            return refuse_busy()
        async with turn:
            return await _keep(desk, feedback, room, gift)

    return [Route("/feedback", give, methods=["POST"])]


async def _keep(desk: Desk, feedback: Feedback, room: Room, gift: _Gift) -> Response:
    """Ask the networks once more, so that what they said is not the sender's to say, and keep it."""
    if feedback.full:
        desk.journal.write("feedback", "refused", size_bytes=None, reason=FULL)
        return refuse(507, FULL)
    # What was never here may have been: before the server started again it had another folder.
    if not gift.path.is_relative_to(room.folder):
        return refuse(410, GONE)
    try:
        os.utime(gift.path)  # not swept while it is read
    except OSError:
        return refuse(410, GONE)
    photos: list[Image.Image] = []
    try:
        comparison = await desk.answer(str(gift.path), way="feedback", seen=photos.append)
        keep = partial(feedback.keep, photos[0], label=gift.label, comparison=comparison)
        return JSONResponse({"name": await anyio.to_thread.run_sync(keep)}, 201)
    except FeedbackError as error:
        return refuse(507, str(error))
    except RequestError as error:
        return refuse(503, str(error))
    except TrashlensError as error:
        return refuse(422, str(error).replace(str(gift.path), "the photo"))


def _read(asked: Any, desk: Desk) -> _Gift:
    """Return what is given.

    Raises:
        ValueError: there is no consent, no class or no path; one sentence.
    """
    if not isinstance(asked, dict) or asked.get("consent") is not True:
        raise ValueError(NO_CONSENT)
    labels, label, path = list_labels(desk), asked.get("label"), asked.get("path")
    if label not in labels:
        raise ValueError(NO_CLASS.format(labels=", ".join(labels)))
    if not isinstance(path, str):
        raise ValueError(NO_PHOTO)
    try:
        upload = Path(path).resolve()
    except (OSError, ValueError) as error:  # a name that cannot be one
        raise ValueError(NO_PHOTO) from error
    return _Gift(path=upload, label=label)
