"""What the server answers beside the page: its health, its counters, and that it is busy."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from trashlens.classifier import Classifier
from trashlens.machine import return_memory
from trashlens.server.desk import Desk
from trashlens.server.gate import Gate, refuse_busy
from trashlens.server.uploads import Room

__all__ = ["front_options"]

CLEAN_EVERY_S = 30.0


def front_options(
    desk: Desk, room: Room, forget: Callable[[], None], more: Sequence[Route] = ()
) -> dict[str, Any]:
    """Return what FastAPI is made with: the gate, `/health`, `/metrics`, the answer of a full queue, the sweeping.

    `room` is where uploads are kept; `forget` is called when some of them may be gone. `more` are further routes.
    """

    async def health(_: Request) -> Response:
        """Say which networks are at work; an orchestrator restarts what does not answer 200."""
        roles = {
            role: "ready" if isinstance(one, Classifier) else "unavailable"
            for role, one in desk.lineup.items()
        }
        status = "ok" if len(desk.classifiers) == len(roles) else "degraded"
        return JSONResponse({"status": status, "roles": roles})

    async def metrics(_: Request) -> Response:
        return Response(
            desk.journal.to_prometheus(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    async def refuse(_: Request, __: Exception) -> Response:
        return refuse_busy()

    @asynccontextmanager
    async def clean(_: object) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(_clean, room, desk.settings.keep_s, forget)
            yield
            group.cancel_scope.cancel()

    routes = [Route("/health", health), *more]
    if desk.settings.metrics:
        routes.append(Route("/metrics", metrics))
    return {
        "lifespan": clean,
        "routes": routes,
        "middleware": [Middleware(Gate, settings=desk.settings, room=room)],
        "exception_handlers": {503: refuse},  # Gradio's own names the length of its queue
    }


async def _clean(room: Room, keep_s: int, forget: Callable[[], None]) -> None:
    """Sweep the uploads and give back freed memory, again and again; decoding leaves much of it scattered."""
    while True:
        await anyio.sleep(min(CLEAN_EVERY_S, keep_s))
        await anyio.to_thread.run_sync(room.sweep, keep_s)
        forget()
        await anyio.to_thread.run_sync(return_memory)
