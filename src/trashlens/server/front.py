"""What stands around the page: the gate, the answers beside it, and the sweeping of what was uploaded."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from trashlens.classifier import Classifier
from trashlens.errors import BundleError
from trashlens.machine import return_memory
from trashlens.server.desk import Desk
from trashlens.server.gate import Gate
from trashlens.server.journal import Journal
from trashlens.server.refusals import refuse, refuse_busy
from trashlens.server.uploads import Room

__all__ = ["answers", "build_front"]

CLEAN_EVERY_S = 30.0


def build_front(
    desk: Desk, room: Room, forget: Callable[[], None], more: Sequence[Route] = ()
) -> FastAPI:
    """Return an app with `/health`, `/metrics` and the routes `more`, behind the gate; the page is mounted in it.

    `room` is where uploads are kept; `forget` is called when some of them may be gone.
    """

    async def health(_: Request) -> Response:
        """Say which networks are at work; an orchestrator restarts what does not answer 200."""
        roles = {
            role: "ready" if isinstance(one, Classifier) else "unavailable"
            for role, one in desk.lineup.items()
        }
        status = "ok" if len(desk.classifiers) == len(roles) else "degraded"
        reasons = {
            role: str(error) for role, error in desk.lineup.items() if isinstance(error, BundleError)
        }
        return JSONResponse(
            {"status": status, "roles": roles, **({"reasons": reasons} if reasons else {})}
        )

    async def metrics(_: Request) -> Response:
        return Response(
            desk.journal.to_prometheus(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    @asynccontextmanager
    async def clean(_: object) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(_clean, room, desk.settings.keep_s, forget)
            yield
            group.cancel_scope.cancel()

    routes: list[BaseRoute] = [Route("/health", health), *more]
    if desk.settings.metrics:
        routes.append(Route("/metrics", metrics))
    middleware = [Middleware(Gate, settings=desk.settings, room=room, journal=desk.journal)]
    return FastAPI(
        routes=routes,
        middleware=middleware,
        lifespan=clean,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )


async def _clean(room: Room, keep_s: int, forget: Callable[[], None]) -> None:
    """Sweep the uploads and give back freed memory, again and again; decoding leaves much of it scattered."""
    while True:
        await anyio.sleep(min(CLEAN_EVERY_S, keep_s))
        await anyio.to_thread.run_sync(room.sweep, keep_s)
        forget()
        await anyio.to_thread.run_sync(return_memory)


def answers(journal: Journal) -> dict[Any, Callable[[Request, Exception], Awaitable[Response]]]:
    """Return how the page answers what Gradio gives up on, by status or kind of error.

    Its own words for a full queue name the length, and what it reads from a request without a check fails as
    KeyError, TypeError or ValueError.
    """

    async def refuse_when_full(_: Request, __: Exception) -> Response:
        return refuse_busy()

    async def refuse_malformed(request: Request, error: Exception) -> Response:
        journal.note_failure(request.url.path, error)
        return refuse(400, "The request is malformed.")

    return {
        503: refuse_when_full,
        KeyError: refuse_malformed,
        TypeError: refuse_malformed,
        ValueError: refuse_malformed,
    }
