"""Rounds of clients become requests a second and a share of the ceiling."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from trashlens.benchmark import client, load
from trashlens.benchmark.camera import _summarise
from trashlens.benchmark.config import BenchmarkConfig
from trashlens.benchmark.load import measure_load
from trashlens.benchmark.photos import RequestPhoto
from trashlens.errors import BenchmarkError

PHOTO = RequestPhoto(name="toy", data=b"photo", width_px=1, height_px=1)
CONFIG = BenchmarkConfig(repeats=3, seconds=1.0, clients=(1, 8))


class Children:
    """Answers for the processes that measure: each way has its rate."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, failing: str = "") -> None:
        self.calls: list[tuple[str, int, int]] = []
        self.failing = failing
        monkeypatch.setattr(load, "run_child", self)
        monkeypatch.setattr(load, "serve", lambda *_, **__: self)

    url = "http://127.0.0.1:1/"

    def __enter__(self) -> "Children":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def measure_mb(self) -> float:
        return 300.0

    def __call__(self, module: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        name = module.rpartition(".")[2]
        if name == "ceiling":
            key = ("ceiling", settings["callers"], settings["threads"])
            count = {(1, 4): 20, (2, 4): 24, (4, 1): 40}[key[1:]]
        else:
            key = ("client", settings["clients"], settings["ahead"])
            count = 10 if settings["clients"] == 1 else 30
        self.calls.append(key)
        if name == "ceiling":
            return {"requests": count, "elapsed_s": 1.0}
        if self.failing:
            return {"latencies_ms": [], "failures": {self.failing: 5}, "elapsed_s": 1.0, "cpu_s": 0.1}
        times = [50.0] * (count - 1) + [90.0]
        return {"latencies_ms": times, "failures": {"busy": 1}, "elapsed_s": 1.0, "cpu_s": 0.25}


def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(load, "count_cores", lambda: 4)
    monkeypatch.setattr(RequestPhoto, "file_name", "photo.jpeg")
    return measure_load(tmp_path / "app.py", tmp_path, PHOTO, CONFIG, say=lambda _: None)


def test_rates_and_the_share_of_the_fastest_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    children = Children(monkeypatch)
    result = measure(tmp_path, monkeypatch)
    assert (result.ceiling.way.callers, result.ceiling.way.threads) == (4, 1)
    assert [one.requests_per_s for one in result.bare] == [20, 24, 40]
    assert [one.requests_per_s for one in result.queued] == pytest.approx([10, 30, 30])
    assert [one.of_ceiling.median for one in result.queued] == pytest.approx([0.25, 0.75, 0.75])
    assert [(one.way.clients, one.way.uploads) for one in result.queued] == [
        (1, False),
        (8, False),
        (8, True),
    ]
    eight = result.queued[1]
    assert (eight.latency.p50_ms, eight.latency.runs, eight.failures) == (50, 90, {"busy": 3})
    assert (eight.clients_cores, result.app_mb) == (0.25, 300)
    # The bare function takes turns with the clients, after a first look at how many photos they may need.
    warm, *rounds = children.calls
    assert warm[0] == "ceiling"
    assert len(rounds) == 3 * 6
    assert [rounds[6], rounds[12]] == [rounds[1], rounds[2]]  # each round starts with the next one
    assert ("client", 1, 80 + 2) in rounds
    assert ("client", 8, 0) in rounds


def test_a_page_that_answers_nothing_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Children(monkeypatch, failing="HTTP 503")
    with pytest.raises(BenchmarkError, match="The page answered no request: HTTP 503"):
        measure(tmp_path, monkeypatch)


class Server:
    """The API as the clients see it; with `forgets` it deletes a photo once it is answered."""

    def __init__(self, *, forgets: bool = False, refuses: bool = False) -> None:
        self.forgets, self.refuses = forgets, refuses
        self.uploads: set[str] = set()
        self.asked: list[str] = []
        self.total = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        place = request.url.path.removeprefix("/gradio_api/")
        if place == "upload":
            self.total += 1
            path = f"path{hash(request.content.partition(b'pixels')[2][:8])}"
            self.uploads.add(path)
            return httpx.Response(200, json=[path])
        if place == "call/classify":
            path = request.read().decode().split('"path":"')[1].split('"')[0]
            self.asked.append(path)
            return httpx.Response(503) if self.refuses else httpx.Response(200, json={"event_id": path})
        path = place.removeprefix("call/classify/")
        if path not in self.uploads:
            return httpx.Response(200, text='event: error\ndata: {"error": "No photo arrived."}\n\n')
        if self.forgets:
            self.uploads.remove(path)
        return httpx.Response(200, text="event: complete\ndata: [{}]\n\n")


def ask(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Any:
    photo = tmp_path / "photo.jpeg"
    photo.write_bytes(b"pixels")
    real = httpx.AsyncClient
    transport = httpx.MockTransport(server)
    monkeypatch.setattr(
        client.httpx, "AsyncClient", lambda **options: real(**options, transport=transport)
    )
    asked = {"url": "http://page/", "photo": str(photo), "clients": 3, "seconds": 0.05, **settings}
    return asyncio.run(client._ask(**asked))


def test_clients_ask_about_photos_that_they_uploaded_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    answer = ask(server, tmp_path, monkeypatch, ahead=50)
    assert len(answer["latencies_ms"]) >= 3
    assert answer["failures"] == {}
    assert answer["elapsed_s"] >= 0.05
    assert server.total == len(server.uploads) == 3
    assert len(set(server.asked)) == 3


def test_where_photos_are_forgotten_each_request_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(forgets=True)
    ahead = 20_000
    answer = ask(server, tmp_path, monkeypatch, ahead=ahead, seconds=0.02)
    assert answer["failures"] == {}
    assert len(answer["latencies_ms"]) >= 3
    assert server.total > 1000


def test_each_request_can_upload_its_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(forgets=True)
    answer = ask(server, tmp_path, monkeypatch, ahead=0)
    assert answer["failures"] == {}
    assert server.total == len(answer["latencies_ms"]) + 3  # each client's first is to warm up


def test_what_is_refused_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ask(Server(refuses=True), tmp_path, monkeypatch, ahead=0)
    assert answer["latencies_ms"] == []
    assert answer["failures"]["HTTP 503"] >= 3


def test_a_cameras_numbers_by_hand() -> None:
    seen = [(1000.0, 40.0), (1020.0, 50.0), (1080.0, 45.0), (1100.0, 100.0)]
    result = _summarise(seen, "1.2", first_ms=700)
    assert result.results_per_s == pytest.approx(3 / 0.1)
    assert (result.latency_p50_ms, result.latency_p90_ms) == pytest.approx((47.5, 85))
    assert (result.longest_gap_ms, result.results, result.browser) == (60, 4, "Chromium 1.2")
    with pytest.raises(BenchmarkError, match="showed no results"):
        _summarise(seen[:1], "1.2", first_ms=700)
