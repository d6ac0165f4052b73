"""A file or folder is replaced whole or not at all, and nothing is left beside it."""

import os
import time
from pathlib import Path

import pytest

from trashlens.files import hash_file, replace_file, replace_folder


def fill(folder: Path, text: str) -> None:
    with replace_folder(folder) as staging:
        (staging / "file").write_text(text)


def test_a_folder_is_made_and_replaced(tmp_path: Path) -> None:
    for text in ("first", "second"):
        fill(tmp_path / "deep" / "folder", text)
        assert (tmp_path / "deep" / "folder" / "file").read_text() == text
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["folder"]
    assert (tmp_path / "deep" / "folder").stat().st_mode & 0o755 == 0o755


def test_a_failure_while_filling_leaves_the_earlier_folder(tmp_path: Path) -> None:
    fill(tmp_path / "folder", "first")

    def interrupted() -> None:
        with replace_folder(tmp_path / "folder") as staging:
            (staging / "file").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "folder" / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_failure_while_replacing_brings_the_earlier_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "folder", "first")
    rename = Path.rename

    def fail_once(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("disk gone")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(OSError, match="disk gone"):
        fill(tmp_path / "folder", "second")
    assert (tmp_path / "folder" / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_file_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    replace_file(path, b"first")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            replace_file(path, b"second")
    assert path.read_bytes() == b"first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert hash_file(path) == "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e"


def test_two_that_replace_one_file_at_once_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, replace = tmp_path / "file", Path.replace

    def race(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replace)
        replace_file(path, b"other")  # another process's, begun and ended before this one's
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", race)
    replace_file(path, b"own")
    assert path.read_bytes() == b"own"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_what_killed_writers_left_is_removed_once_it_is_stale(tmp_path: Path) -> None:
    stale = [".file[1].0123abcd.new", ".file[1].89abcdef.new"]
    others = [".file[1].fedcba98.new", ".file1.0123abcd.new", ".file[1].new", "file[1].0123abcd.new"]
    for name in stale + others:
        (tmp_path / name).write_bytes(b"half")
        if name != others[0]:  # which another process is writing
            os.utime(tmp_path / name, (time.time() - 7200,) * 2)
    replace_file(tmp_path / "file[1]", b"whole")
    assert {entry.name for entry in tmp_path.iterdir()} == {"file[1]", *others}


def test_a_replaced_file_may_be_read_by_whom_a_plain_one_may(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "file", b"text")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
