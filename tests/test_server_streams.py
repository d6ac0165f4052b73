"""Webcams: their places, their times, and the answers to their frames."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anyio
import httpx
import pytest
from conftest import coloured_photo, encode, huge_png, toy_bundle, toy_model
from starlette.applications import Starlette

from trashlens import comparison
from trashlens.classifier import Classifier, Prediction
from trashlens.comparison import Comparison
from trashlens.errors import ProviderError, RequestError
from trashlens.lineup import Lineup, available, load_lineup
from trashlens.server import desk, streams
from trashlens.server.desk import Desk
from trashlens.server.settings import Settings
from trashlens.server.streams import SILENT_S, WINDOW_S, Stream, Streams, stream_routes


class Clock:
    """A clock that stands until it is set."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def frame(infer_ms: float, role: str = "student") -> Comparison:
    prediction = Prediction(
        confidences={"glass": 0.75, "metal": 0.25}, infer_ms=infer_ms, bundle="0" * 12
    )
    return Comparison(decode_ms=1.0, preprocess_ms=2.0, predictions={role: prediction})


def test_times_are_medians_and_answers_stay_as_they_are() -> None:
    stream = Stream(Clock())
    for infer_ms in (4.0, 50.0, 5.0):
        latest = frame(infer_ms)
        smooth = stream.smooth(latest)
    assert smooth.predictions["student"].infer_ms == 5.0
    assert smooth.predictions["student"].confidences == latest.predictions["student"].confidences


def test_a_network_chosen_later_is_measured_from_then_on() -> None:
    stream = Stream(Clock())
    stream.smooth(frame(1.0, "teacher"))
    assert stream.smooth(frame(7.0, "student")).predictions["student"].infer_ms == 7.0


def test_times_before_a_pause_are_forgotten() -> None:
    clock = Clock()
    stream = Stream(clock)
    stream.smooth(frame(1.0))
    clock.now_s = 0.1 + WINDOW_S
    assert stream.smooth(frame(9.0)).predictions["student"].infer_ms == 9.0


def test_places_are_few_and_come_back() -> None:
    clock = Clock()
    places = Streams(Settings(viewers=2), clock=clock)
    first, second = places.take(), places.take()
    with pytest.raises(RequestError, match="All places for webcams are taken"):
        places.take()
    places.give_back(first)
    places.give_back(first)  # as a page does that was closed twice
    third = places.take()
    assert len({first, second, third}) == 3
    assert places.find(first) is None
    clock.now_s = SILENT_S
    stream = places.find(second)
    assert stream is not None
    with places.working(second, stream):
        clock.now_s += 1
        places.take()  # the third was silent
        with pytest.raises(RequestError):
            places.take()  # the second is at work
    assert places.find(third) is None
    assert places.find(second) is not None


def test_a_place_given_back_amid_work_stays_taken_until_that_is_done() -> None:
    places = Streams(Settings(viewers=1))
    place = places.take()
    stream = places.find(place)
    assert stream is not None
    with places.working(place, stream):
        places.give_back(place)
        assert places.find(place) is None
        with pytest.raises(RequestError):
            places.take()
    places.take()


def test_a_stream_ends_when_its_time_is_over() -> None:
    clock = Clock()
    places = Streams(Settings(viewers=1, stream_s=300), clock=clock)
    place = places.take()
    for clock.now_s in range(0, 301, 5):
        assert places.find(place) is not None
    clock.now_s = 301
    with pytest.raises(RequestError, match=r"The webcam stopped after 5 minutes, .* Start it again\."):
        places.find(place)
    assert places.find(place) is None
    places.take()
    clock.now_s += 301
    places.take()  # the other need not notice that its time is over


def say_labels(comparison: Comparison) -> str:
    return "; ".join(f"{role} {one.label}" for role, one in comparison.predictions.items())


def visit(
    models: Path,
    visitor: Callable[[httpx.AsyncClient], Awaitable[None]],
    *,
    desk: Desk | None = None,
    render: Callable[[Comparison], str] = say_labels,
    **settings: float,
) -> None:
    """Let the visitor send requests to the routes of webcams alone."""
    desk = desk or Desk(load_lineup(models), Settings(**settings))
    routes = stream_routes(
        desk,
        render=lambda comparison, _: render(comparison),
        render_problem=lambda sentence, _: f"problem: {sentence}",
    )

    async def come() -> None:
        transport = httpx.ASGITransport(Starlette(routes=routes))
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            await visitor(client)

    anyio.run(come)


def test_a_frame_asks_its_networks_at_once(toy_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(desk, "compare", lambda *_, **options: asked.append(options) or frame(1.0))

    async def visitor(client: httpx.AsyncClient) -> None:
        address = f"/webcam/{(await client.post('/webcam')).json()['place']}"
        assert (await client.post(address, content=b"photo")).status_code == 200

    visit(toy_models, visitor)
    assert [one["at_once"] for one in asked] == [True]


def test_frames_are_answered_by_the_chosen_networks(toy_models: Path) -> None:
    async def visitor(client: httpx.AsyncClient) -> None:
        taken = await client.post("/webcam")
        assert taken.status_code == 201
        address = f"/webcam/{taken.json()['place']}"
        photo = encode(coloured_photo("metal"))
        answer = await client.post(address, content=photo)
        assert (answer.status_code, answer.text) == (200, "teacher metal; baseline metal; student metal")
        answer = await client.post(f"{address}?role=student&role=nobody", content=photo)
        assert answer.text == "student metal"
        answer = await client.post(f"{address}?role=nobody", content=photo)
        assert answer.text.count("metal") == 3
        for content in (b"", b"text", photo[:200]):
            answer = await client.post(address, content=content)
            assert answer.status_code == 422
            assert answer.text.startswith("problem: Th")
        assert (await client.post(address, content=photo)).status_code == 200
        assert (await client.post(f"{address}/close")).status_code == 204
        assert (await client.post(address, content=photo)).status_code == 404

    visit(toy_models, visitor)


def test_one_viewer_more_is_told_to_wait_and_a_late_one_that_it_is_over(toy_models: Path) -> None:
    async def visitor(client: httpx.AsyncClient) -> None:
        place = (await client.post("/webcam")).json()["place"]
        refusal = await client.post("/webcam")
        assert refusal.status_code == 503
        assert refusal.json() == {
            "detail": "All places for webcams are taken. Yours starts as soon as one is free."
        }
        assert "retry-after" in refusal.headers
        await anyio.sleep(0.3)
        over = await client.post(f"/webcam/{place}", content=encode(coloured_photo("metal")))
        assert over.status_code == 410
        assert over.json()["detail"].startswith("The webcam stopped after 0.2 seconds")
        assert (await client.post("/webcam")).status_code == 201

    visit(toy_models, visitor, viewers=1, stream_s=0.2)


def test_one_frame_of_a_viewer_is_at_work_at_a_time(
    toy_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode_image, began, go_on = comparison.decode_image, threading.Event(), threading.Event()

    def wait(*args: object, **options: object) -> object:
        began.set()
        assert go_on.wait(10)
        return decode_image(*args, **options)

    monkeypatch.setattr(comparison, "decode_image", wait)

    async def visitor(client: httpx.AsyncClient) -> None:
        address = f"/webcam/{(await client.post('/webcam')).json()['place']}"
        photo = encode(coloured_photo("metal"))
        codes: list[int] = []

        async def send() -> None:
            codes.append((await client.post(address, content=photo)).status_code)

        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await anyio.to_thread.run_sync(began.wait)
            await send()
            go_on.set()
        assert codes == [429, 200]

    visit(toy_models, visitor)


def test_a_frame_costs_no_more_than_one_may(toy_models: Path) -> None:
    async def visitor(client: httpx.AsyncClient) -> None:
        address = f"/webcam/{(await client.post('/webcam')).json()['place']}"
        answer = await client.post(address, content=huge_png(3000, 1000))
        assert answer.status_code == 422
        assert "3 megapixels; the limit is 2" in answer.text

    visit(toy_models, visitor)


def test_a_body_that_does_not_come_holds_nothing(
    toy_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SILENT_S", 0.2)

    async def trickle() -> AsyncIterator[bytes]:
        yield b"\xff\xd8"
        await anyio.sleep(5)
        yield b"never read"

    async def visitor(client: httpx.AsyncClient) -> None:
        address = f"/webcam/{(await client.post('/webcam')).json()['place']}"
        assert (await client.post(address, content=trickle())).status_code == 408
        assert (await client.post("/webcam")).status_code == 201

    visit(toy_models, visitor, viewers=1)


def test_other_sites_pages_take_no_place(toy_models: Path) -> None:
    async def visitor(client: httpx.AsyncClient) -> None:
        foreign = await client.post("/webcam", headers={"Sec-Fetch-Site": "cross-site"})
        assert foreign.status_code == 403
        assert (
            await client.post("/webcam", headers={"Sec-Fetch-Site": "same-origin"})
        ).status_code == 201

    visit(toy_models, visitor, viewers=1)


def test_the_first_viewer_has_the_live_networks_opened_once_and_photos_keep_theirs(
    toy_models: Path,
) -> None:
    lineup = load_lineup(toy_models)
    copy = Classifier(toy_bundle("teacher", toy_model(sharpness=20.0)))
    opened: list[str] = []

    def load() -> Lineup:
        opened.append(threading.current_thread().name)
        return {**lineup, "teacher": copy}

    desk = Desk(lineup, Settings(), load_live=load)
    asked: list[Comparison] = []

    def remember(comparison: Comparison) -> str:
        asked.append(comparison)
        return say_labels(comparison)

    photo = encode(coloured_photo("metal"))

    async def visitor(client: httpx.AsyncClient) -> None:
        assert opened == []
        async with anyio.create_task_group() as group:  # two at once
            group.start_soon(client.post, "/webcam")
            group.start_soon(client.post, "/webcam")
        assert len(opened) == 1
        assert opened != [threading.main_thread().name]
        place = (await client.post("/webcam")).json()["place"]
        assert (await client.post(f"/webcam/{place}", content=photo)).status_code == 200
        asked.append(await desk.answer(photo, way="photo"))

    visit(toy_models, visitor, desk=desk, render=remember)
    assert len(opened) == 1
    ids = [{role: one.bundle for role, one in comparison.predictions.items()} for comparison in asked]
    ordinary = {role: one.bundle.short_id for role, one in available(lineup).items()}
    assert ids == [{**ordinary, "teacher": copy.bundle.short_id}, ordinary]


def test_where_the_live_networks_fail_the_ordinary_ones_answer(
    toy_models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def load() -> Lineup:
        raise ProviderError("It cannot compute here.")

    desk = Desk(load_lineup(toy_models), Settings(), load_live=load)

    async def visitor(client: httpx.AsyncClient) -> None:
        place = (await client.post("/webcam")).json()["place"]
        answer = await client.post(f"/webcam/{place}", content=encode(coloured_photo("metal")))
        assert answer.text.count("metal") == 3
        assert (await client.post("/webcam")).status_code == 201

    visit(toy_models, visitor, desk=desk)
    assert caplog.messages.count("The ordinary networks answer instead: It cannot compute here.") == 1
