"""Images come whole or not at all, in spite of servers that fail, and nothing is fetched twice."""

import dataclasses
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import coloured_photo, encode
from filelock import FileLock
from taco_server import TacoServer, serve_taco

from trashlens.errors import DataError
from trashlens.training.data.taco.annotations import Scene
from trashlens.training.data.taco.config import TacoConfig
from trashlens.training.data.taco.download import LOCK_FILE, Downloader

PHOTOS = [encode(coloured_photo("glass", noise=60, seed=seed)) for seed in range(4)]


@pytest.fixture
def server() -> Iterator[TacoServer]:
    with serve_taco() as server:
        server.files = {f"/{index}.jpg": photo for index, photo in enumerate(PHOTOS)}
        yield server


def scenes_of(server: TacoServer, *, count: int = 1, small: str | None = None) -> list[Scene]:
    return [
        Scene(
            id=index,
            path=f"batch_1/{index}.jpg",
            size=(320, 240),
            address=f"{server.address}/{index}.jpg",
            small_address=small,
            boxes=(),
            sha256="",
        )
        for index in range(count)
    ]


def fetch(folder: Path, scenes: list[Scene], **settings: object) -> dict[str, str]:
    config = TacoConfig(**{"wait_s": 0.01, "timeout_s": 5, "retries": 3, **settings})
    return Downloader(folder, config).fetch_images(scenes)


def test_whole_images_arrive_and_are_not_asked_for_again(server: TacoServer, tmp_path: Path) -> None:
    scenes = scenes_of(server, count=4)
    assert fetch(tmp_path, scenes) == {}
    assert [(tmp_path / scene.path).read_bytes() for scene in scenes] == PHOTOS
    assert len(server.requests) == 4
    (tmp_path / scenes[2].path).unlink()
    assert fetch(tmp_path, scenes) == {}
    assert server.requests[4:] == [("/2.jpg", None)]
    assert sorted(path.name for path in (tmp_path / "batch_1").iterdir()) == [
        f"{index}.jpg" for index in range(4)
    ]


def test_a_server_that_fails_is_asked_again(server: TacoServer, tmp_path: Path) -> None:
    server.faults["/0.jpg"] = ["503", "500", "502"]
    (scene,) = scenes_of(server)
    assert fetch(tmp_path, [scene]) == {}
    assert (tmp_path / scene.path).read_bytes() == PHOTOS[0]
    assert len(server.requests) == 4


def test_a_dead_line_is_continued_from_where_it_broke(server: TacoServer, tmp_path: Path) -> None:
    server.faults["/0.jpg"] = ["cut", "cut"]
    (scene,) = scenes_of(server)
    assert fetch(tmp_path, [scene]) == {}
    assert (tmp_path / scene.path).read_bytes() == PHOTOS[0]
    half = len(PHOTOS[0]) // 2
    quarter = half + (len(PHOTOS[0]) - half) // 2
    assert [asked for _, asked in server.requests] == [None, f"bytes={half}-", f"bytes={quarter}-"]


def test_a_later_run_continues_what_an_earlier_one_began(server: TacoServer, tmp_path: Path) -> None:
    server.faults["/0.jpg"] = ["cut"]
    (scene,) = scenes_of(server)
    with pytest.raises(DataError, match=r"0 of 1 images .* 1 could not be fetched.*Run it again"):
        fetch(tmp_path, [scene], retries=0)
    assert not (tmp_path / scene.path).exists()
    assert fetch(tmp_path, [scene], retries=0) == {}
    assert (tmp_path / scene.path).read_bytes() == PHOTOS[0]
    assert server.requests[1] == ("/0.jpg", f"bytes={len(PHOTOS[0]) // 2}-")
    assert [path.name for path in (tmp_path / "batch_1").iterdir()] == ["0.jpg"]


@pytest.mark.parametrize("fault", ["", "deaf"])
def test_a_later_run_starts_anew_where_the_file_changed_meanwhile(
    server: TacoServer, tmp_path: Path, fault: str
) -> None:
    server.faults["/0.jpg"] = ["cut"]
    (scene,) = scenes_of(server)
    with pytest.raises(DataError, match="could not be fetched"):
        fetch(tmp_path, [scene], retries=0)
    server.files["/0.jpg"] = PHOTOS[1]
    server.faults["/0.jpg"] = [fault]
    assert fetch(tmp_path, [scene]) == {}
    assert (tmp_path / scene.path).read_bytes() == PHOTOS[1]
    assert [path.name for path in (tmp_path / "batch_1").iterdir()] == ["0.jpg"]


def test_each_part_is_known_by_its_own_version(server: TacoServer, tmp_path: Path) -> None:
    server.files["/0.jpg.new"] = PHOTOS[1]
    server.faults["/0.jpg"] = ["cut", "new cut", ""]
    (scene,) = scenes_of(server)
    assert fetch(tmp_path, [scene]) == {}
    assert (tmp_path / scene.path).read_bytes() == PHOTOS[1]
    assert server.requests[2] == ("/0.jpg", f"bytes={len(PHOTOS[1]) // 2}-")
    assert len(set(server.conditions)) == 3


def test_a_part_of_no_known_version_is_not_continued(server: TacoServer, tmp_path: Path) -> None:
    server.faults["/0.jpg"] = ["cut"]
    (scene,) = scenes_of(server)
    with pytest.raises(DataError, match="could not be fetched"):
        fetch(tmp_path, [scene], retries=0)
    (version,) = (tmp_path / "batch_1").glob("*.version")
    version.unlink()
    assert fetch(tmp_path, [scene], retries=0) == {}
    assert (tmp_path / scene.path).read_bytes() == PHOTOS[0]
    assert server.requests[1] == ("/0.jpg", None)


@pytest.mark.parametrize("date", ["", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_weak_tag_does_not_tell_whether_the_rest_is_of_the_same_file(
    server: TacoServer, tmp_path: Path, date: str
) -> None:
    server.weak, server.date = True, date
    server.faults["/0.jpg"] = ["cut"]
    (scene,) = scenes_of(server)
    assert fetch(tmp_path, [scene]) == {}
    assert (tmp_path / scene.path).read_bytes() == PHOTOS[0]
    assert server.conditions == [None, date or None]
    assert [asked is not None for _, asked in server.requests] == [False, bool(date)]


@pytest.mark.parametrize("fault", ["whole", "416"])
def test_a_server_that_cannot_continue_starts_anew(
    server: TacoServer, tmp_path: Path, fault: str
) -> None:
    server.faults["/0.jpg"] = ["cut", fault]
    (scene,) = scenes_of(server)
    assert fetch(tmp_path, [scene]) == {}
    assert (tmp_path / scene.path).read_bytes() == PHOTOS[0]


@pytest.mark.parametrize("status", ["403", "404", "410"])
def test_what_is_gone_is_asked_for_once_and_reported(
    server: TacoServer, tmp_path: Path, status: str
) -> None:
    server.faults["/1.jpg"] = [status]
    assert fetch(tmp_path, scenes_of(server, count=3)) == {"batch_1/1.jpg": f"HTTP {status}"}
    assert len(server.requests) == 3


def test_the_small_copy_stands_in_for_an_original_that_is_gone(
    server: TacoServer, tmp_path: Path
) -> None:
    server.faults["/0.jpg"] = ["404"]
    (scene,) = scenes_of(server, small=f"{server.address}/3.jpg")
    assert fetch(tmp_path, [scene]) == {}
    assert (tmp_path / scene.path).read_bytes() == PHOTOS[3]


def test_the_small_copy_is_not_appended_to_half_of_the_original(
    server: TacoServer, tmp_path: Path
) -> None:
    server.faults["/0.jpg"] = ["cut", "404"]
    (scene,) = scenes_of(server, small=f"{server.address}/3.jpg")
    assert fetch(tmp_path, [scene]) == {}
    assert (tmp_path / scene.path).read_bytes() == PHOTOS[3]
    assert server.requests[-1] == ("/3.jpg", None)
    assert [path.name for path in (tmp_path / "batch_1").iterdir()] == ["0.jpg"]


def test_half_of_another_address_is_not_continued(server: TacoServer, tmp_path: Path) -> None:
    server.faults["/0.jpg"] = ["cut"]
    (scene,) = scenes_of(server)
    with pytest.raises(DataError, match="could not be fetched"):
        fetch(tmp_path, [scene], retries=0)
    moved = dataclasses.replace(scene, address=f"{server.address}/1.jpg")
    assert fetch(tmp_path, [moved], retries=0) == {}
    assert (tmp_path / scene.path).read_bytes() == PHOTOS[1]


def test_a_file_that_changed_meanwhile_starts_anew(server: TacoServer, tmp_path: Path) -> None:
    server.files["/0.jpg.new"] = PHOTOS[1]
    server.faults["/0.jpg"] = ["cut", "new"]
    (scene,) = scenes_of(server)
    assert fetch(tmp_path, [scene]) == {}
    assert (tmp_path / scene.path).read_bytes() == PHOTOS[1]


def test_half_an_image_of_unknown_length_is_not_taken_for_whole(
    server: TacoServer, tmp_path: Path
) -> None:
    server.faults["/0.jpg"] = ["unmeasured", "unmeasured"]
    (scene,) = scenes_of(server)
    assert fetch(tmp_path, [scene]) == {}
    assert (tmp_path / scene.path).read_bytes() == PHOTOS[0]
    assert len(server.requests) == 3


def test_the_picture_that_stands_for_a_deleted_photo_is_not_the_photo(
    server: TacoServer, tmp_path: Path
) -> None:
    server.files["/images/photo_unavailable_l.png"] = encode(coloured_photo("paper"), "PNG")
    server.moved = {"/0.jpg": "/images/photo_unavailable_l.png", "/1.jpg": "/2.jpg"}
    scenes = scenes_of(server, count=2)
    assert fetch(tmp_path, scenes) == {"batch_1/0.jpg": "photo unavailable"}
    assert not (tmp_path / scenes[0].path).exists()
    assert (tmp_path / scenes[1].path).read_bytes() == PHOTOS[2]
    small = scenes_of(server, small=f"{server.address}/3.jpg")
    assert fetch(tmp_path, small) == {}
    assert (tmp_path / scenes[0].path).read_bytes() == PHOTOS[3]


def test_a_second_process_waits_for_the_first(
    server: TacoServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (scene,) = scenes_of(server)
    second = threading.Thread(target=fetch, args=(tmp_path, [scene]))
    with caplog.at_level(logging.WARNING), FileLock(tmp_path / LOCK_FILE):
        second.start()
        while "waiting until it is done" not in caplog.text and second.is_alive():
            time.sleep(0.01)
        assert second.is_alive()
        assert server.requests == []
    second.join()
    assert (tmp_path / scene.path).read_bytes() == PHOTOS[0]


def test_a_page_instead_of_an_image_is_no_image(server: TacoServer, tmp_path: Path) -> None:
    server.faults["/0.jpg"] = ["page"] * 4
    (scene,) = scenes_of(server)
    with pytest.raises(DataError, match="the answer is not an image"):
        fetch(tmp_path, [scene])
    assert list((tmp_path / "batch_1").iterdir()) == []


def test_what_came_stays_when_others_fail(server: TacoServer, tmp_path: Path) -> None:
    server.faults["/1.jpg"] = ["503"] * 9
    scenes = scenes_of(server, count=4)
    with pytest.raises(
        DataError, match=r"3 of 4 images are in .*; 1 could .* batch_1/1\.jpg \(HTTP 503"
    ):
        fetch(tmp_path, scenes)
    assert [(tmp_path / scene.path).is_file() for scene in scenes] == [True, False, True, True]


def test_without_a_server_it_gives_up_early(tmp_path: Path) -> None:
    with serve_taco() as server:
        scenes = scenes_of(server, count=200)
    asked: list[str] = []
    downloader = Downloader(tmp_path, TacoConfig(wait_s=0.001, retries=1, connections=2))
    fetch_scene = downloader._fetch_scene
    downloader._fetch_scene = lambda scene: (asked.append(scene.path), fetch_scene(scene))  # type: ignore
    with pytest.raises(DataError, match=r"0 of 200 images .*ConnectError"):
        downloader.fetch_images(scenes)
    assert len(asked) < 100


def test_each_wait_is_twice_the_last_or_what_the_server_asks_for(
    server: TacoServer, tmp_path: Path
) -> None:
    server.faults["/0.jpg"] = ["503", "429", "503"]
    waits: list[float] = []
    downloader = Downloader(tmp_path, TacoConfig(wait_s=2.0))

    class Patient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            return False

    downloader.stop = Patient()
    downloader.fetch_images(scenes_of(server))
    assert waits == [2.0, 7.0, 8.0]
