"""What the server answers beside the page: its health, its counters, and that it is busy."""

from pathlib import Path
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from trashlens.classifier import Classifier
from trashlens.server.desk import Desk
from trashlens.server.gate import BUSY, Gate

__all__ = ["front_options"]


def front_options(desk: Desk, uploads: Path) -> dict[str, Any]:
    """Return what FastAPI is made with: the gate, `/health`, `/metrics`, and the answer of a full queue.

    `uploads` is the folder that uploads are kept in.
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

    async def busy(_: Request, __: Exception) -> Response:
        return JSONResponse({"detail": BUSY}, 503, {"retry-after": "5"})

    routes = [Route("/health", health)]
    if desk.settings.metrics:
        routes.append(Route("/metrics", metrics))
    return {
        "routes": routes,
        "middleware": [Middleware(Gate, settings=desk.settings, uploads=uploads)],
        "exception_handlers": {503: busy},  # Gradio's own names the length of its queue
    }
