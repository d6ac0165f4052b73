"""The folder of uploads is this process's own, and what dead servers left goes."""

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

from trashlens.server.uploads import LEAST_BYTES, Room, make_room


def test_a_room_is_closed_to_others_and_new_each_time(tmp_path: Path) -> None:
    first, second = make_room(tmp_path), make_room(tmp_path)
    assert first != second
    for room in (first, second):
        assert room.parent == tmp_path
        assert str(os.getpid()) in room.name
        assert stat.S_IMODE(room.stat().st_mode) == 0o700


def test_what_dead_servers_left_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    script = (
        f"from pathlib import Path; from trashlens.server.uploads import make_room; "
        f"room = make_room(Path({str(tmp_path)!r})); (room / 'photo.jpg').write_bytes(b'photo'); print(room)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    dead = Path(done.stdout.strip())
    assert (dead / "photo.jpg").is_file()
    other = tmp_path / "trashlens-uploads-notes"
    other.mkdir()
    living = make_room(tmp_path)
    assert not dead.exists()
    assert other.is_dir()
    assert living.is_dir()
    make_room(tmp_path)
    assert living.is_dir()


def test_a_process_of_the_same_number_that_started_earlier_is_dead(tmp_path: Path) -> None:
    old = tmp_path / f"trashlens-uploads-{os.getpid()}-1234567890123-abc"
    old.mkdir()
    make_room(tmp_path)
    assert not old.exists()


def test_a_sweep_deletes_what_is_old_and_measures_the_rest(tmp_path: Path) -> None:
    for name, age_s, size in (("0a/old.jpg", 90, 10), ("1b/new.jpg", 0, 10), ("2c/large.jpg", 0, 2**20)):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_bytes(bytes(size))
        os.utime(path, (time.time() - age_s,) * 2)
    broken_off = tmp_path / "tmpxyz"
    broken_off.write_bytes(b"half")
    os.utime(broken_off, (time.time() - 90,) * 2)
    (tmp_path / "3d").mkdir()
    room = Room(tmp_path)
    room.sweep(60)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        *("1b", "1b/new.jpg", "2c", "2c/large.jpg")
    ]
    assert room.taken_bytes == LEAST_BYTES + 2**20


def test_a_sweep_amid_uploads_loses_none_and_goes_on(tmp_path: Path) -> None:
    room = Room(tmp_path)
    kept: list[Path] = []

    def upload() -> None:
        while len(kept) < 300:
            path = tmp_path / f"{len(kept):04}" / "photo.jpg"
            path.parent.mkdir(exist_ok=True)
            try:
                path.write_bytes(b"photo")
            except FileNotFoundError:
                continue  # its folder was still empty: as Gradio does, it is made anew
            kept.append(path)

    thread = threading.Thread(target=upload)
    thread.start()
    while thread.is_alive():
        room.sweep(60)
    thread.join()
    assert len(kept) == 300
    assert all(path.is_file() for path in kept)
