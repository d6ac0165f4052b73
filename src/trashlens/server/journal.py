"""What the server tells about its requests: one line of JSON each, and counts for Prometheus; never the photo."""

import json
import logging
import math
import time
import uuid
from collections import Counter as Tally
from collections.abc import Callable
from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from trashlens.classifier import Comparison
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
"""Between two lines about refusals of one status, seconds."""


class Journal:
    """The log and the counters of one server."""

    def __init__(self, settings: Settings) -> None:
        """Count from zero."""
        photos = ("photo", "api", "batch", "feedback")
        self._ways = {"all": (*photos, "frame"), "photos": photos, "none": ()}[settings.log]
        self._logger = logging.getLogger("trashlens.requests")
        self._untold: Tally[int] = Tally()
        self._told_s: dict[int, float] = {}
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
        self._untold[status] += 1
        if time.monotonic() - self._told_s.get(status, -math.inf) >= QUIET_S:
            self._told_s[status] = time.monotonic()
            self._log({"refused": status, "path": path[:200], "times": self._untold.pop(status)})

    def note_failure(self, path: str, error: Exception) -> None:
        """Tell of an error that is ours, or of a library that met what it did not expect."""
        self._log({"failed": type(error).__name__, "path": path[:200], "reason": first_line(error)})

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
