"""How many requests a second the queued API answers, next to the bare function on the same cores."""

import math
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from trashlens.benchmark.children import run_child
from trashlens.benchmark.config import BenchmarkConfig
from trashlens.benchmark.photos import RequestPhoto
from trashlens.benchmark.servers import Server, app_command, serve
from trashlens.benchmark.timing import Ratio, Summary, Times, interleave, summarise
from trashlens.errors import BenchmarkError
from trashlens.machine import count_cores

__all__ = ["Bare", "BareResult", "LoadResult", "Queued", "QueuedResult", "measure_load"]

UPLOADING = 8
"""Clients of the measurement in which each request uploads its photo."""
SPARE = 2
"""Photos that may be uploaded ahead, as a multiple of what the bare function answers in the time at first."""


@dataclass(frozen=True, kw_only=True)
class Bare:
    """A way to call the bare function with all cores."""

    callers: int
    """Threads that call at the same time."""
    threads: int
    """Threads of each network."""


@dataclass(frozen=True, kw_only=True)
class Queued:
    """A way to ask the queued API."""

    clients: int
    uploads: bool
    """Whether each request uploads its photo, or names one that was uploaded before."""


@dataclass(frozen=True, kw_only=True)
class BareResult:
    """What the bare function answers."""

    way: Bare
    requests_per_s: float
    """Median over the rounds."""


@dataclass(frozen=True, kw_only=True)
class QueuedResult:
    """What the queued API answers."""

    way: Queued
    requests_per_s: float
    """Median over the rounds."""
    latency: Summary | None
    """From asking to the whole answer, all rounds together; None where no request was answered."""
    of_ceiling: Ratio
    """Requests a second as a share of the ceiling's in the same round."""
    failures: Mapping[str, int]
    """Requests without an answer, by reason."""
    clients_cores: float
    """Cores that the clients themselves kept busy, which the server did not have."""


@dataclass(frozen=True, kw_only=True)
class LoadResult:
    """The API under load, and the bare function beside it."""

    photo: str
    bare: tuple[BareResult, ...]
    ceiling: BareResult
    """The fastest of them."""
    queued: tuple[QueuedResult, ...]
    app_mb: float
    """Resident memory after all, 10⁶ bytes."""


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """What several rounds of one way gave."""

    per_request_ms: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    clients_cores: list[float] = field(default_factory=list)

    def add(self, answered: int, child: Mapping[str, Any]) -> None:
        """Add a round, in which `answered` requests were."""
        # A round without an answer still needs a time to be compared: it stands for none a second.
        self.per_request_ms.append(1e3 * child["elapsed_s"] / answered if answered else math.inf)
        self.latencies_ms.extend(child.get("latencies_ms", ()))
        self.failures.update(child.get("failures", {}))
        self.clients_cores.append(child.get("cpu_s", 0.0) / child["elapsed_s"])

    @property
    def requests_per_s(self) -> float:
        """Median over the rounds."""
        return median(1e3 / ms for ms in self.per_request_ms)


def measure_load(
    app: Path, models: Path, photo: RequestPhoto, config: BenchmarkConfig, *, say: Callable[[str], None]
) -> LoadResult:
    """Let clients loose on the page's API, in turn with the bare function.

    Raises:
        BenchmarkError: the page does not start, or a process that measures does not end well.
    """
    cores = count_cores()
    bare = [Bare(callers=1, threads=cores), Bare(callers=2, threads=cores)]
    bare += [Bare(callers=cores, threads=1)] if cores > 1 else []
    queued = [Queued(clients=clients, uploads=False) for clients in config.clients]
    queued.append(Queued(clients=min(UPLOADING, max(config.clients)), uploads=True))
    ways: list[Bare | Queued] = [*bare, *queued]
    answers = {way: _Answers() for way in ways}
    with tempfile.TemporaryDirectory() as folder, serve(app_command(app), models=models) as server:
        path = Path(folder) / photo.file_name
        path.write_bytes(photo.data)
        settings = {"photo": str(path), "seconds": config.seconds}
        ahead = SPARE * _call_bare(bare[-1], models, settings)["requests"]
        for turn, order in enumerate(interleave(ways, config.repeats), 1):
            say(f"page: requests under load, round {turn} of {config.repeats}")
            for way in order:
                if isinstance(way, Bare):
                    child = _call_bare(way, models, settings)
                    answers[way].add(child["requests"], child)
                else:
                    child = _ask_queued(way, server, settings, ahead=ahead)
                    answers[way].add(len(child["latencies_ms"]), child)
        return _summarise(photo, answers, bare, queued, app_mb=server.measure_mb())


def _call_bare(way: Bare, models: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    threads = {"callers": way.callers, "threads": way.threads}
    return run_child(
        "trashlens.benchmark.ceiling", {**settings, **threads, "models": str(models.resolve())}
    )


def _ask_queued(
    way: Queued, server: Server, settings: Mapping[str, Any], *, ahead: int
) -> dict[str, Any]:
    # Each client asks once before the clock starts, and once more after it has run out.
    ahead = 0 if way.uploads else ahead + 2 * way.clients
    asked = {**settings, "url": server.url, "clients": way.clients, "ahead": ahead}
    return run_child("trashlens.benchmark.client", asked)


def _summarise(
    photo: RequestPhoto,
    answers: Mapping[Bare | Queued, _Answers],
    bare: Sequence[Bare],
    queued: Sequence[Queued],
    *,
    app_mb: float,
) -> LoadResult:
    results = [BareResult(way=way, requests_per_s=answers[way].requests_per_s) for way in bare]
    ceiling = max(results, key=lambda result: result.requests_per_s)
    if not any(answers[way].latencies_ms for way in queued):
        reasons = sum((answers[way].failures for way in queued), Counter[str]()).most_common(1)
        raise BenchmarkError(f"The page answered no request: {reasons[0][0] if reasons else 'silence'}")
    times = Times(ms={way: one.per_request_ms for way, one in answers.items()})
    return LoadResult(
        photo=photo.name,
        bare=tuple(results),
        ceiling=ceiling,
        queued=tuple(
            QueuedResult(
                way=way,
                requests_per_s=answers[way].requests_per_s,
                latency=summarise(answers[way].latencies_ms) if answers[way].latencies_ms else None,
                of_ceiling=times.ratio(ceiling.way, way),
                failures=dict(answers[way].failures),
                clients_cores=median(answers[way].clients_cores),
            )
            for way in queued
        ),
        app_mb=app_mb,
    )
