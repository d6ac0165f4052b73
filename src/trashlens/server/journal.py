"""What the server tells about its requests: one line of JSON each, and counts for Prometheus; never the photo."""

import json
import logging
import math
import re
import time
import traceback
import uuid
from collections import Counter as Tally
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from trashlens.comparison import Comparison
from trashlens.errors import first_line
from trashlens.server.settings import Settings

__all__ = ["Journal", "Verdict", "Way"]

Way = Literal["photo", "api", "batch", "frame", "feedback"]
"""How a request came: the Photo tab, the API, as one photo of a batch, a frame of a webcam, or given as
feedback."""
Verdict = Literal["answered", "refused", "late", "failed"]
"""`refused`: no photo that can be read; `late`: over the time a request may take; `failed`: our own fault."""

STEPS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

QUIET_S = 1.0
"""Between two lines about refusals or failures of one kind, seconds."""


class Journal:
    """The log and the counters of one server."""

    def __init__(self, settings: Settings) -> None:
        """Count from zero."""
        photos = ("photo", "api", "batch", "feedback")
        self._ways = {"all": (*photos, "frame"), "photos": photos, "none": ()}[settings.log]
        self._logger = logging.getLogger("trashlens.requests")
        self._untold: Tally[str] = Tally()
        self._told_s: dict[str, float] = {}
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "trashlens_requests",
            "Requests by way and verdict.",
            ["way", "verdict"],
            registry=self._registry,
        )
        self._refusals = Counter(
            "trashlens_refusals",
            "Requests that were answered with an error, by HTTP status.",
            ["status"],
            registry=self._registry,
        )
        self._steps = Histogram(
            "trashlens_step_seconds",
            "Time of each step.",
            ["step"],
            buckets=STEPS_S,
            registry=self._registry,
        )

    def write(
        self,
        way: Way,
        verdict: Verdict,
        *,
        size_bytes: int | None,
        comparison: Comparison | None = None,
        reason: str = "",
    ) -> None:
        """Record one request: its sizes and times, and what was answered or why not."""
        self._requests.labels(way, verdict).inc()
        steps_ms = comparison.steps_ms if comparison else {}
        for step, ms in steps_ms.items():
            self._steps.labels(step).observe(ms / 1e3)
        if way not in self._ways:
            return
        line: dict[str, Any] = {
            "id": uuid.uuid4().hex[:12],
            "way": way,
            "verdict": verdict,
            "bytes": size_bytes,
        }
        if comparison:
            line["decoded"] = comparison.size_px
            line["ms"] = {step: round(ms, 2) for step, ms in steps_ms.items()}
            line["label"] = {
                role: one.label if one.sure else None for role, one in comparison.predictions.items()
            }
        else:
            line["reason"] = reason
        self._log(line)

    def note_refusal(self, status: int, path: str) -> None:
        """Count a request that was answered with an error; those of a rush share a line."""
        self._refusals.labels(status).inc()
        if status == 404 or not self._ways:
            return  # what strangers try is no news
        if times := self._count(str(status)):
            self._log({"refused": status, "path": _hide(path), "times": times})

    def note_failure(self, path: str, error: Exception) -> None:
        """Tell of an error that is ours, or of a library that met what it did not expect, and where it arose."""
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        at = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
        if times := self._count(f"{type(error).__name__} {at}"):
            reason = first_line(error)[:80]
            self._log(
                {
                    "failed": type(error).__name__,
                    "path": _hide(path),
                    "reason": reason,
                    "at": at,
                    "times": times,
                }
            )

    def _count(self, kind: str) -> int:
        """Return how many of a kind came since the last line about it, or 0 while there was one just now."""
        self._untold[kind] += 1
        if time.monotonic() - self._told_s.get(kind, -math.inf) < QUIET_S:
            return 0
        self._told_s[kind] = time.monotonic()
        return self._untold.pop(kind)

    def watch(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Have `read` called for a gauge whenever the counters are asked for."""
        gauge = Gauge(f"trashlens_{name}", documentation, registry=self._registry)
        gauge.set_function(read)

    def _log(self, line: dict[str, Any]) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._logger.info(json.dumps({"time": now, **line}))

    def to_prometheus(self) -> bytes:
        """Return all counts and times as Prometheus reads them."""
        return generate_latest(self._registry)


def _hide(path: str) -> str:
    """Return a request's path without what only its sender may know: a file's name, a session, a place."""
    return re.sub(r"(file=|heartbeat/|webcam/|call/classify/).+", r"\1…", path)[:100]
