"""The folder of uploads is this process's own, and what dead servers left goes."""

import os
import stat
import subprocess
import sys
from pathlib import Path

from trashlens.server.uploads import make_room


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
