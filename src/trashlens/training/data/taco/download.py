"""Fetch TACO's images from where they lie: several at a time, with retries; what is there stays.

An image comes under its own name once it is whole; until then it grows in a `.part` file of its address, from
whose end a later attempt, or a later run, goes on if the server's file is still that of the `.version` beside it.
One process at a time fetches into a folder.
"""

import hashlib
import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import httpx
from filelock import FileLock, Timeout
from PIL import Image
from tqdm import tqdm

from trashlens.errors import DataError, first_line
from trashlens.training.data.taco.annotations import Scene
from trashlens.training.data.taco.config import TacoConfig

__all__ = ["FORMATS", "Downloader"]

FORMATS = ("JPEG", "PNG")
"""What an image may be; the JPEG of phones that holds several pictures is among them."""
GONE = (401, 403, 404, 410)
"""Answers after which asking again is in vain; storage says 403 of what is not there."""
UNAVAILABLE = "photo_unavailable"
"""In the address of the picture that Flickr leads to instead of a photo that was deleted."""
LONGEST_WAIT_S = 60.0
LOCK_FILE = ".lock"

logger = logging.getLogger(__name__)


class _GoneError(Exception):
    """The server says that there is no such image."""


class _FailedError(Exception):
    """It did not work this time; `wait_s` is what the server asks for before the next."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Downloader:
    """Fetches files over HTTP into a folder."""

    def __init__(self, folder: Path, config: TacoConfig) -> None:
        """Fetch into `folder`; nothing is asked for yet."""
        self.folder, self.config = folder, config
        self.stop = threading.Event()
        self.client = httpx.Client(
            follow_redirects=True,
            timeout=config.timeout_s,
            limits=httpx.Limits(max_connections=config.connections),
            # As it lies there: half of a compressed answer could not be continued.
            headers={"User-Agent": "trashlens", "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        """Close the connections that are left."""
        self.client.close()

    def fetch_file(self, address: str, name: str) -> Path:
        """Return the file `name`, fetched if it is not there yet.

        Raises:
            DataError: it cannot be fetched.
        """
        path = self.folder / name
        try:
            if not path.is_file():
                with self._alone():
                    self._fetch(address, path, image=False)
        except (_GoneError, _FailedError) as error:
            raise DataError(
                f"{address} could not be fetched ({error}). Check the connection, or give a local file."
            ) from error
        return path

    def fetch_images(self, scenes: Sequence[Scene]) -> dict[str, str]:
        """Fetch what is not there yet; return why, by path, of those that no server has any more.

        Raises:
            DataError: a server gave no answer, or no image, in spite of all attempts; what has come stays.
        """
        if all((self.folder / scene.path).is_file() for scene in scenes):
            return {}
        with self._alone():
            return self._fetch_missing(scenes)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until no other process fetches into the folder, and keep others waiting."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / LOCK_FILE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.warning("Another process fetches into %s: waiting until it is done.", self.folder)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _fetch_missing(self, scenes: Sequence[Scene]) -> dict[str, str]:
        wanted = [scene for scene in scenes if not (self.folder / scene.path).is_file()]
        gone: dict[str, str] = {}
        failed: dict[str, str] = {}
        in_vain = 0
        pool = ThreadPoolExecutor(self.config.connections)
        try:
            tasks = {pool.submit(self._fetch_scene, scene): scene for scene in wanted}
            for task in tqdm(as_completed(tasks), "images", total=len(tasks), unit="image"):
                path, error = tasks[task].path, task.exception()
                in_vain = in_vain + 1 if isinstance(error, _FailedError) else 0
                if isinstance(error, _GoneError):
                    gone[path] = str(error)
                elif isinstance(error, _FailedError):
                    failed[path] = str(error)
                elif error is not None:
                    raise error
                if in_vain >= 3 * self.config.connections:
                    break  # without a connection there is no use in trying a thousand more
        finally:
            self.stop.set()
            pool.shutdown(cancel_futures=True)
        if failed:
            path, reason = next(iter(failed.items()))
            have = sum((self.folder / scene.path).is_file() for scene in scenes)
            raise DataError(
                f"{have:,} of {len(scenes):,} images are in {self.folder}; {len(failed)} could not be fetched, "
                f"first {path} ({reason}). Run it again, which goes on from here, or do with what is there: "
                "--taco.fetch false."
            )
        return gone

    def _fetch_scene(self, scene: Scene) -> None:
        """Fetch an image; where the original is gone, its small copy."""
        path = self.folder / scene.path
        try:
            self._fetch(scene.address, path)
        except _GoneError:
            if not scene.small_address:
                raise
            self._fetch(scene.small_address, path)

    def _fetch(self, address: str, path: Path, *, image: bool = True) -> None:
        if path.is_file():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(self.config.retries + 1):
            try:
                self._fetch_once(address, path, image=image)
                return
            except _FailedError as error:
                wait_s = max(error.wait_s, self.config.wait_s * 2**attempt)
                if attempt == self.config.retries or self.stop.wait(min(wait_s, LONGEST_WAIT_S)):
                    raise

    def _fetch_once(self, address: str, path: Path, *, image: bool) -> None:
        mark = hashlib.sha256(address.encode()).hexdigest()[:8]
        part = path.with_name(f"{path.name}.{mark}.part")
        version = _version_file(part)
        known = version.read_text(encoding="utf-8") if version.is_file() else ""
        start = part.stat().st_size if known and part.is_file() else 0
        headers = {"Range": f"bytes={start}-", "If-Range": known} if start else {}
        try:
            with self.client.stream("GET", address, headers=headers) as answer:
                _check_status(answer, part)
                goes_on = answer.status_code == 206
                if goes_on and not _is_rest(answer, start, known):
                    _drop(part)
                    raise _FailedError("the answer is not the rest of what has come")
                with part.open("ab" if goes_on else "wb") as file:
                    # Once the part is empty: what came of another version must not pass for this one.
                    if not goes_on:
                        version.write_text(_version_of(answer), encoding="utf-8")
                    for chunk in answer.iter_raw():
                        file.write(chunk)
                        if self.stop.is_set():
                            raise _FailedError("stopped")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _FailedError(f"{type(error).__name__}: {first_line(error)}") from error
        # Of an answer of unknown length httpx cannot tell whether it broke off.
        measured = not {"content-length", "transfer-encoding"}.isdisjoint(answer.headers)
        if image and not _is_image(part, whole=measured):
            _drop(part)
            raise _FailedError("the answer is not an image, or not a whole one")
        part.replace(path)
        version.unlink(missing_ok=True)


def _version_file(part: Path) -> Path:
    """Return where it is kept what the server calls the version that a part is of."""
    return part.with_suffix(".version")


def _version_of(answer: httpx.Response) -> str:
    """Return a strong validator, fit for `If-Range`; empty if there is none."""
    tag = answer.headers.get("ETag", "")
    version = answer.headers.get("Last-Modified", "") if tag[:2] in ("", "W/") else tag
    return version if version.isascii() else ""


def _is_rest(answer: httpx.Response, start: int, known: str) -> bool:
    """Return whether a partial answer goes on at `start` and, as far as it says, is of the known version."""
    begins = answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    return begins and _version_of(answer) in ("", known)


def _drop(part: Path) -> None:
    """Remove what has come of a file."""
    part.unlink(missing_ok=True)
    _version_file(part).unlink(missing_ok=True)


def _check_status(answer: httpx.Response, part: Path) -> None:
    """Raise unless the answer brings the file, or the rest of it."""
    status = answer.status_code
    if status in GONE or UNAVAILABLE in answer.url.path:
        _drop(part)
        raise _GoneError(f"HTTP {status}" if status in GONE else "photo unavailable")
    if status == 416:  # longer than the whole: of another file
        _drop(part)
    if status not in (200, 206):
        asked = answer.headers.get("Retry-After", "")
        raise _FailedError(f"HTTP {status}", float(asked) if asked.isdigit() else 0.0)


def _is_image(path: Path, *, whole: bool) -> bool:
    """Return whether a file begins like an image and, unless it is known to be `whole`, ends like one."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if not whole:
                image.load()
            return min(image.size) > 0
    except Exception:  # whatever Pillow says of bytes that are none
        return False
