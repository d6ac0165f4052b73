"""Many photos of one visitor, some of them in zips: what a batch may be, and the answers to it one by one."""

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

import anyio.to_thread

from trashlens.errors import ImageError, RequestError, TrashlensError
from trashlens.image import Archive, ImageLimits, check_bytes, encode_thumbnail, is_archive
from trashlens.server.desk import Desk
from trashlens.server.settings import Settings
from trashlens.table import Row

__all__ = ["Batch", "Seen", "answer_batch"]

GONE = "The photo waited too long and was deleted. Send it again."
FAILED = "The server failed at this photo. Try it in the Photo tab."


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A photo of a batch, done with."""

    row: Row
    thumbnail: bytes = b""
    """A small JPEG; empty where the photo cannot be read."""


@dataclass(frozen=True, kw_only=True)
class _Photo:
    name: str
    size_bytes: int
    """What it says it has; nothing of what is over the limit of a photo is read."""
    read: Callable[[], bytes]
    """Returns the file's content, or raises ImageError."""


class Batch:
    """The photos among uploaded files, zips opened; none is read yet.

    Raises:
        RequestError: they are more than a batch may have; one sentence.
    """

    def __init__(self, files: Sequence[tuple[str, Path]], settings: Settings) -> None:
        """List what is in `files`, each with the name that its visitor knows."""
        self._opened = contextlib.ExitStack()
        self.photos: list[_Photo] = []
        try:
            for name, path in files:
                self.photos += self._list(name, path, settings.photo)
                _check_count(len(self.photos), settings)
            _check_size(sum(photo.size_bytes for photo in self.photos), settings)
        except BaseException:
            self._opened.close()
            raise

    def __enter__(self) -> "Batch":
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._opened.close()

    def _list(self, name: str, path: Path, limits: ImageLimits) -> list[_Photo]:
        """Return the photos in one file: itself, or what is in the zip, or why that cannot be opened."""
        # It is not swept away while the batch is at work, however long it waited for its turn.
        with contextlib.suppress(OSError):
            os.utime(path)
        if not is_archive(path):
            size_bytes = path.stat().st_size if path.is_file() else 0
            return [_Photo(name=name, size_bytes=size_bytes, read=partial(_read_upload, path, limits))]
        try:
            archive = Archive(path)
        except ImageError as error:
            return [_Photo(name=name, size_bytes=0, read=partial(_refuse, error))]
        self._opened.callback(archive.close)
        if not archive.entries:
            empty = ImageError("The zip holds no photos. Put some into it.")
            return [_Photo(name=name, size_bytes=0, read=partial(_refuse, empty))]
        return [
            _Photo(
                name=entry.filename,
                size_bytes=entry.file_size if entry.file_size <= limits.max_bytes else 0,
                read=partial(archive.read, entry, limits),
            )
            for entry in archive.entries
        ]


async def answer_batch(desk: Desk, batch: Batch) -> AsyncGenerator[Seen]:
    """Yield the photos of a batch in its order, each with its answer or the sentence that it has instead.

    As many are in work as the desk answers at once. After the time of a batch those left get a sentence at once.
    """
    deadline = time.monotonic() + desk.settings.batch_s
    pending: deque[asyncio.Task[Seen]] = deque()
    try:
        for photo in batch.photos:
            pending.append(asyncio.create_task(_look(desk, photo, deadline)))
            if len(pending) == desk.settings.at_once:
                yield await pending.popleft()
        while pending:
            yield await pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        # What reads in a thread goes on to its end, and its zip must stay open until then.
        await asyncio.gather(*pending, return_exceptions=True)


async def _look(desk: Desk, photo: _Photo, deadline: float) -> Seen:
    if time.monotonic() > deadline:
        late = f"The {desk.settings.batch_s:g} seconds of the batch were over before its turn. Send it again."
        return Seen(row=Row(file=photo.name, problem=late))
    thumbnails: list[bytes] = []
    try:
        data = await anyio.to_thread.run_sync(photo.read)
        comparison = await desk.answer(
            data, way="batch", seen=lambda image: thumbnails.append(encode_thumbnail(image))
        )
    except TrashlensError as error:
        return Seen(row=Row(file=photo.name, problem=str(error)))
    except Exception:  # in the journal already; the other photos are not to pay for it
        return Seen(row=Row(file=photo.name, problem=FAILED))
    return Seen(row=Row(file=photo.name, answer=comparison), thumbnail=b"".join(thumbnails))


def _check_count(photos: int, settings: Settings) -> None:
    if photos > settings.batch_photos:
        raise RequestError(
            f"A batch may have {settings.batch_photos} photos, and this one has more. Send fewer at a time."
        )


def _check_size(size_bytes: int, settings: Settings) -> None:
    if size_bytes > settings.batch_mb * 2**20:
        raise RequestError(
            f"A batch may have {settings.batch_mb} MB, and unpacked this one has {size_bytes / 2**20:.0f}. "
            "Send fewer photos at a time."
        )


def _read_upload(path: Path, limits: ImageLimits) -> bytes:
    try:
        check_bytes(path.stat().st_size, limits)
        return path.read_bytes()
    except OSError as error:
        raise ImageError(GONE) from error


def _refuse(reason: ImageError) -> bytes:
    raise reason
