"""Webcams: who may stream and for how long, and the answers to their frames, one after the other.

A browser asks `POST /webcam` for a place, sends each frame as it is to `POST /webcam/PLACE`, and gives the place
back with `POST /webcam/PLACE/close`. It sends a frame when the one before is answered, so that nothing queues up.
"""

import dataclasses
import secrets
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from trashlens.comparison import Comparison
from trashlens.errors import RequestError, TrashlensError
from trashlens.image import ImageLimits
from trashlens.server.desk import Desk
from trashlens.server.refusals import is_foreign, refuse
from trashlens.server.settings import Settings

__all__ = ["FRAME_LIMITS", "Stream", "Streams", "stream_routes"]

FRAME_LIMITS = ImageLimits(max_bytes=2**20, max_pixels=2_100_000, max_memory_bytes=40_000_000)
"""What a frame may cost. The page sends a tenth of it; frames do not wait in the queue of the photos."""
WINDOW_S = 1.5
"""How far back a network's time is taken the median of, so that it can be read; seconds."""
SILENT_S = 10.0
"""A place whose viewer sends nothing for so long is free again; a frame may be on its way as long. Seconds."""


class Stream:
    """One webcam: since when, when it was last heard of, and the times of its last frames."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin now, by a clock of seconds."""
        self._clock = clock
        self.began_s = self.heard_s = clock()
        self.at_work = self.given_back = False
        self._frames: deque[tuple[float, Mapping[str, float]]] = deque()

    def smooth(self, comparison: Comparison) -> Comparison:
        """Take note of a frame's times; return it with each network's time as the median over the window."""
        infer_ms = {role: prediction.infer_ms for role, prediction in comparison.predictions.items()}
        self._frames.append((self._clock(), infer_ms))
        while self._frames[-1][0] - self._frames[0][0] > WINDOW_S:
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

    def __len__(self) -> int:
        return len(self._streams)

    def take(self) -> str:
        """Return the name of a new place.

        Raises:
            RequestError: all are taken.
        """
        for name, stream in list(self._streams.items()):
            silent = self._clock() - stream.heard_s > SILENT_S
            if not stream.at_work and (silent or self._is_over(stream)):
                del self._streams[name]
        if len(self._streams) >= self._settings.viewers:
            raise RequestError("All places for webcams are taken. Yours starts as soon as one is free.")
        name = secrets.token_hex(16)
        self._streams[name] = Stream(self._clock)
        return name

    def find(self, name: str) -> Stream | None:
        """Return the stream of a place, or None where it was given back or given away.

        Raises:
            RequestError: its time is over.
        """
        stream = self._streams.get(name)
        if stream is None or stream.given_back:
            return None
        if self._is_over(stream):
            self.give_back(name)
            raise RequestError(
                f"The webcam stopped after {_format_time(self._settings.stream_s)}, to make room for others. "
                "Start it again."
            )
        return stream

    @contextmanager
    def working(self, name: str, stream: Stream) -> Iterator[None]:
        """Keep the place taken while a frame of it is at work, even when it is given back meanwhile."""
        stream.at_work = True
        try:
            yield
        finally:
            stream.at_work = False
            stream.heard_s = self._clock()
            if stream.given_back:
                self.give_back(name)

    def give_back(self, name: str) -> None:
        """Free the place, if it is still held: at once, or when the frame at work is done."""
        stream = self._streams.get(name)
        if stream is not None:
            stream.given_back = True
            if not stream.at_work:
                del self._streams[name]

    def _is_over(self, stream: Stream) -> bool:
        return self._clock() - stream.began_s > self._settings.stream_s


def stream_routes(
    desk: Desk,
    *,
    render: Callable[[Comparison, Request], str],
    render_problem: Callable[[str, Request], str],
) -> list[Route]:
    """Return the routes of webcams; `render` and `render_problem` make HTML of an answer or of what was wrong.

    They are told the request, whose sender has a language.

    A frame's query names the networks that are asked, as `role`, again and again; without it, all are. It is
    answered with HTML, as 200, or 422 where it cannot be read; else with `detail`, as 404 for a place that is no
    longer held, 408 when it takes too long to come, 410 when the stream's time is over, 429 while the frame before
    is at work. A place is refused with 503, and to other sites' pages with 403.
    """
    streams = Streams(desk.settings)
    desk.journal.watch("webcams", "Webcams that hold a place.", lambda: len(streams))

    async def take(request: Request) -> Response:
        if is_foreign(request):
            return refuse(403, "Webcams stream from this server's own page only.")
        try:
            place = streams.take()
        except RequestError as error:
            desk.journal.write("frame", "refused", size_bytes=None, reason=str(error))
            return refuse(503, str(error), {"retry-after": "2"})
        await desk.live.open()
        return JSONResponse({"place": place}, 201)

    async def look(request: Request) -> Response:
        name = request.path_params["place"]
        try:
            with anyio.fail_after(SILENT_S):
                frame = await request.body()
            stream = streams.find(name)
        except TimeoutError:
            return refuse(408, "The frame took too long to come.")
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except RequestError as error:
            return refuse(410, str(error))
        if stream is None:
            return refuse(404, "This place for a webcam is no longer held.")
        if stream.at_work:
            return refuse(429, "The frame before is still at work.")
        roles = desk.classifiers.keys() & request.query_params.getlist("role") or None
        with streams.working(name, stream):
            try:
                comparison = await desk.answer(frame, way="frame", roles=roles, limits=FRAME_LIMITS)
                return HTMLResponse(render(stream.smooth(comparison), request))
            except TrashlensError as error:
                return HTMLResponse(render_problem(str(error), request), 422)

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
