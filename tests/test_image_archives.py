"""Zips, honest and hostile: each fault costs its entry, and none more memory than a photo."""

import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import coloured_photo, encode

from trashlens.errors import ImageError
from trashlens.image import Archive, ImageLimits, is_archive

LIMITS = ImageLimits(max_bytes=2**20)
PHOTO = encode(coloured_photo("glass"))


def pack(path: Path, *entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def read_only(path: Path) -> bytes:
    """Return the content of the zip's one entry."""
    archive = Archive(path)
    try:
        (entry,) = archive.entries
        return archive.read(entry, LIMITS)
    finally:
        archive.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "photos.zip"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_photos_come_as_they_were_put_in(target: Path, method: int) -> None:
    pack(target, ("a/one.jpg", PHOTO), ("zwei ü.jpg", b"text"), method=method)
    archive = Archive(target)
    assert [entry.filename for entry in archive.entries] == ["a/one.jpg", "zwei ü.jpg"]
    assert [archive.read(entry, LIMITS) for entry in archive.entries] == [PHOTO, b"text"]
    archive.close()


def test_folders_and_what_systems_add_are_passed_over(target: Path) -> None:
    clutter = ["__MACOSX/a/._b.jpg", "a/._b.jpg", "._c.jpg", "a/.DS_Store", "Thumbs.db", "a/desktop.ini"]
    pack(target, ("a/", b""), *((name, b"x") for name in clutter), ("a/b.jpg", PHOTO))
    archive = Archive(target)
    assert [entry.filename for entry in archive.entries] == ["a/b.jpg"]
    archive.close()


@pytest.mark.parametrize(
    "name", ["/etc/a.jpg", "../a.jpg", "a/../../b.jpg", "..", "C:\\a.jpg", "\\a.jpg", "a\\..\\b.jpg"]
)
def test_a_name_that_leads_out_is_refused(target: Path, name: str) -> None:
    with pytest.raises(ImageError, match=r"^The name leads out of the zip\. Pack"):
        read_only(pack(target, (name, PHOTO)))


def test_a_name_with_dots_is_a_name(target: Path) -> None:
    assert read_only(pack(target, ("a..b/..c..jpg", PHOTO))) == PHOTO


def test_a_zip_in_the_zip_is_not_opened(target: Path) -> None:
    inner = pack(target.with_name("inner.zip"), ("a.jpg", PHOTO)).read_bytes()
    with pytest.raises(ImageError, match="a zip within the zip"):
        read_only(pack(target, ("innocent.jpg", inner)))


def test_a_bomb_that_says_so_is_not_unpacked(target: Path) -> None:
    pack(target, ("bomb.jpg", bytes(200 * 2**20)))
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"The file has 200\.0 MB; the limit is 1 MB"):
        read_only(target)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_bomb_that_lies_yields_no_more_than_it_says(target: Path) -> None:
    pack(target, ("bomb.jpg", bytes(200 * 2**20)))
    data = target.read_bytes()
    # In the list and before the entry itself.
    target.write_bytes(data.replace(struct.pack("<L", 200 * 2**20), struct.pack("<L", 1000)))
    assert target.read_bytes() != data
    tracemalloc.start()
    with pytest.raises(ImageError, match="The entry is damaged or cut off"):
        read_only(target)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_an_encrypted_entry_is_refused(target: Path) -> None:
    data = bytearray(pack(target, ("a.jpg", PHOTO)).read_bytes())
    for signature, offset in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        data[data.index(signature) + offset] |= 1
    target.write_bytes(data)
    with pytest.raises(ImageError, match="without a password"):
        read_only(target)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_unusual_method_is_refused(target: Path, method: int) -> None:
    with pytest.raises(ImageError, match="packed in an unusual way"):
        read_only(pack(target, ("a.jpg", PHOTO), method=method))


def test_a_damaged_entry_costs_itself_alone(target: Path) -> None:
    pack(target, ("a.jpg", PHOTO), ("b.jpg", PHOTO), method=zipfile.ZIP_STORED)
    data = bytearray(target.read_bytes())
    data[200] ^= 255
    target.write_bytes(data)
    archive = Archive(target)
    with pytest.raises(ImageError, match="The entry is damaged or cut off"):
        archive.read(archive.entries[0], LIMITS)
    assert archive.read(archive.entries[1], LIMITS) == PHOTO
    archive.close()


def test_a_huge_list_is_not_read(target: Path) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(25_000):
            archive.writestr(f"{number}", b"")
    tracemalloc.start()
    with pytest.raises(ImageError, match="far more files than a batch has"):
        Archive(target)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:0],
        lambda data: data[:4],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-22] + data[-22:].replace(b"PK\5\6", b"PK\5\7"),
        lambda data: data.replace(b"PK\1\2", b"PK\1\3"),
        lambda data: data[:-10] + b"\xff\xff\xff\x7f" + data[-6:],
    ],
)
def test_what_cannot_be_opened_is_a_sentence(target: Path, spoil: Callable[[bytes], bytes]) -> None:
    target.write_bytes(spoil(pack(target, ("a.jpg", PHOTO)).read_bytes()))
    with pytest.raises(ImageError, match=r"^The zip (is damaged or cut off|lists far more files)"):
        Archive(target)


def test_a_zip_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="Send it again"):
        Archive(tmp_path / "gone.zip")
    assert not is_archive(tmp_path / "gone.zip")


def test_a_zip_is_known_by_its_content_or_its_name(target: Path, tmp_path: Path) -> None:
    pack(target, ("a.jpg", PHOTO))
    renamed = target.rename(tmp_path / "photos.jpg")
    assert is_archive(renamed)
    (tmp_path / "no.ZIP").write_bytes(b"text")
    assert is_archive(tmp_path / "no.ZIP")
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    assert not is_archive(tmp_path / "photo.jpg")
