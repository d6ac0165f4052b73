"""Webcams: who may stream and for how long, and the answers to their frames, one after the other.

A browser asks `POST /webcam` for a place, sends each frame as it is to `POST /webcam/PLACE`, and gives the place
back with `POST /webcam/PLACE/close`. It sends a frame when the one before is answered, so that nothing queues up.
"""

import dataclasses
import secrets
import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from trashlens.classifier import Comparison
from trashlens.errors import RequestError, TrashlensError
from trashlens.server.desk import Desk
from trashlens.server.settings import Settings

__all__ = ["Stream", "Streams", "stream_routes"]

WINDOW_S = 1.5
"""How far back a network's time is taken the median of, so that it can be read; seconds."""
SILENT_S = 10.0
"""A place whose viewer sends nothing for so long is free again, seconds."""


class Stream:
    """One webcam: since when, when it was last heard of, and the times of its last frames."""

    def __init__(self, now_s: float) -> None:
        """Begin at `now_s`, seconds of any clock."""
        self.began_s = self.heard_s = now_s
        self.at_work = False
        self._frames: deque[tuple[float, Mapping[str, float]]] = deque()

    def smooth(self, ready_s: float, comparison: Comparison) -> Comparison:
        """Return the comparison of a frame with each network's time replaced by its median over the window."""
        infer_ms = {role: prediction.infer_ms for role, prediction in comparison.predictions.items()}
        self._frames.append((ready_s, infer_ms))
        while ready_s - self._frames[0][0] > WINDOW_S:
            self._frames.popleft()
        predictions = {
            role: dataclasses.replace(
                prediction,
                infer_ms=statistics.median(times[role] for _, times in self._frames if role in times),
            )
            for role, prediction in comparison.predictions.items()
        }
        return dataclasses.replace(comparison, predictions=predictions)


class Streams:
    """The places for webcams, by a name that only its holder knows."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep as many places as the settings say, all of them free."""
        self._settings, self._clock = settings, clock
        self._streams: dict[str, Stream] = {}

    def take(self) -> str:
        """Return the name of a new place.

        Raises:
            RequestError: all are taken.
        """
        now_s = self._clock()
        for name, stream in list(self._streams.items()):
            if not stream.at_work and now_s - stream.heard_s > SILENT_S:
                del self._streams[name]
        if len(self._streams) >= self._settings.viewers:
            raise RequestError("All places for webcams are taken. Yours starts as soon as one is free.")
        name = secrets.token_hex(16)
        self._streams[name] = Stream(now_s)
        return name

    def find(self, name: str) -> Stream | None:
        """Return the stream of a place, or None where it was given back or given away.

        Raises:
            RequestError: its time is over.
        """
        stream = self._streams.get(name)
        if stream is None:
            return None
        stream.heard_s = self._clock()
        if stream.heard_s - stream.began_s > self._settings.stream_s:
            del self._streams[name]
            raise RequestError(
                f"The webcam stopped after {_format_time(self._settings.stream_s)}, to make room for others. "
                "Start it again."
            )
        return stream

    def give_back(self, name: str) -> None:
        """Free the place, if it is still held."""
        self._streams.pop(name, None)


def stream_routes(
    desk: Desk, *, render: Callable[[Comparison], str], render_problem: Callable[[str], str]
) -> list[Route]:
    """Return the routes of webcams; `render` and `render_problem` make HTML of an answer or of what was wrong.

    A frame's query names the networks that are asked, as `role`, again and again; without it, all are.
    A frame is answered with HTML, as 200, or 422 where it cannot be read; else with `detail`, as 404 for a place
    that is no longer held, 410 when its time is over, 429 while the frame before is at work. A place is refused
    with 503.
    """
    streams = Streams(desk.settings)

    async def take(_: Request) -> Response:
        try:
            return JSONResponse({"place": streams.take()}, 201)
        except RequestError as error:
            return JSONResponse({"detail": str(error)}, 503, {"retry-after": "2"})

    async def look(request: Request) -> Response:
        try:
            stream = streams.find(request.path_params["place"])
        except RequestError as error:
            return JSONResponse({"detail": str(error)}, 410)
        if stream is None:
            return JSONResponse({"detail": "This place for a webcam is no longer held."}, 404)
        if stream.at_work:
            return JSONResponse({"detail": "The frame before is still at work."}, 429)
        stream.at_work = True
        try:
            frame = await request.body()
            roles = desk.classifiers.keys() & request.query_params.getlist("role") or None
            comparison = await desk.answer(frame, way="frame", roles=roles)
            return HTMLResponse(render(stream.smooth(time.monotonic(), comparison)))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except TrashlensError as error:
            return HTMLResponse(render_problem(str(error)), 422)
        finally:
            stream.at_work = False

    async def give_back(request: Request) -> Response:
        streams.give_back(request.path_params["place"])
        return Response(status_code=204)

    return [
        Route("/webcam", take, methods=["POST"]),
        Route("/webcam/{place}", look, methods=["POST"]),
        Route("/webcam/{place}/close", give_back, methods=["POST"]),
    ]


def _format_time(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 120 else f"{seconds:g} seconds"
