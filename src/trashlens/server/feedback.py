"""Photos whose right class visitors told, kept with their consent: an image folder with JSON lines.

Every start of a server keeps in a folder of its own and touches no older one, so that several may share a place::

    FOLDER/2026-11-22-3f9c2a1b/metadata.jsonl
    FOLDER/2026-11-22-3f9c2a1b/glass/0c9f5e….jpg

A line has `file_name` and `label` (a class, or `none`), the `day`, and what the networks `said`: a list of `role`,
`label`, `confidence`, `sure` and `bundle`. That is what `datasets.load_dataset("imagefolder")` reads. A photo is
named by its content: sent again with the same label it counts once, with another label it lies in both folders,
and `trashlens data --add` leaves it out.
"""

import datetime
import io
import json
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image

from trashlens.comparison import Comparison
from trashlens.errors import FeedbackError
from trashlens.files import replace_file
from trashlens.given import METADATA_FILE
from trashlens.server.settings import Settings

__all__ = ["FULL", "Feedback", "encode_photo", "open_feedback"]

SIDE_PX = 1024
"""Longest side of a photo that is kept; training sees a quarter of that."""
QUALITY = 90
NAME_LENGTH = 32
FULL = "This server keeps as many photos as it may already. Thank you all the same."
FAILED = "This server cannot write what you sent, so nothing was kept. Try again later."

logger = logging.getLogger(__name__)


class Feedback:
    """The photos and labels that visitors gave; safe to use from several threads.

    Raises:
        FeedbackError: the folder cannot be made or written to.
    """

    def __init__(
        self, folder: Path, *, most_bytes: int, dataset: str | None = None, public: bool = False
    ) -> None:
        """Keep below `folder`, at most `most_bytes` with what is there; `dataset` is where it is pushed to."""
        self.folder, self.most_bytes = folder, most_bytes
        self.dataset, self.public = dataset, public
        self.lock = threading.Lock()
        """Held while files are written; whoever copies the folder holds it while listing them."""
        self._own: Path | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._known = set(_read_names(folder))
            self._kept_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        except OSError as error:
            raise FeedbackError(f"Feedback cannot be kept in {folder}: {error.strerror}.") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise FeedbackError(f"Feedback cannot be kept in {folder}: it may not be written to.")

    @property
    def full(self) -> bool:
        """Whether nothing more is kept."""
        return self._kept_bytes >= self.most_bytes

    def keep(self, image: Image.Image, *, label: str, comparison: Comparison) -> str:
        """Keep an upright RGB photo and its label; return the name by which it can be found and deleted.

        Raises:
            FeedbackError: there is no more room, or the disk refuses.
        """
        photo = encode_photo(image)
        name = sha256(photo).hexdigest()[:NAME_LENGTH]
        with self.lock:
            if (name, label) not in self._known:
                self._write(photo, name, label, comparison)
                self._known.add((name, label))
        return name

    def _write(self, photo: bytes, name: str, label: str, comparison: Comparison) -> None:
        file_name = f"{label}/{name}.jpg"
        day = datetime.datetime.now(datetime.UTC).date()
        line = json.dumps(_describe(file_name, label, day, comparison)).encode() + b"\n"
        if self._kept_bytes + len(photo) + len(line) > self.most_bytes:
            raise FeedbackError(FULL)
        try:
            own = self._open_folder(day)
            (own / label).mkdir(mode=0o700, exist_ok=True)
            # The photo first: a photo without a line is overlooked, a line without its photo is a fault.
            replace_file(own / file_name, photo)
            _append(own / METADATA_FILE, line)
        except OSError as error:
            logger.warning("Feedback could not be kept in %s: %s", self.folder, error.strerror)
            raise FeedbackError(FAILED) from error
        self._kept_bytes += len(photo) + len(line)

    def _open_folder(self, day: datetime.date) -> Path:
        if self._own is None:
            own = self.folder / f"{day.isoformat()}-{secrets.token_hex(4)}"
            own.mkdir(mode=0o700)
            self._own = own
        return self._own


@contextmanager
def open_feedback(settings: Settings) -> Iterator[Feedback | None]:
    """Yield what keeps feedback as the settings say, or None where none is asked for.

    Raises:
        FeedbackError: it cannot be kept there; one sentence.
    """
    most_bytes = settings.feedback_mb * 2**20
    if settings.feedback_repo is not None:
        # The Hub's client takes long to load.
        from trashlens.server.dataset import open_dataset

        with open_dataset(settings.feedback_repo, settings.feedback, most_bytes) as feedback:
            yield feedback
    elif settings.feedback is not None:
        yield Feedback(settings.feedback, most_bytes=most_bytes)
    else:
        yield None


def encode_photo(image: Image.Image) -> bytes:
    """Return an upright RGB photo as a JPEG of its pixels alone, at most `SIDE_PX` long: no EXIF, no place."""
    bare = image.convert("RGB")
    bare.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
    bare.info = {}  # a JPEG's comment would be written again
    buffer = io.BytesIO()
    bare.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _describe(file_name: str, label: str, day: datetime.date, comparison: Comparison) -> dict[str, Any]:
    """Return a line; what is said is a list, so that all lines are of one type whichever networks ran."""
    said = [
        {
            "role": role,
            "label": prediction.label,
            "confidence": round(prediction.confidence, 4),
            "sure": prediction.sure,
            "bundle": prediction.bundle,
        }
        for role, prediction in comparison.predictions.items()
    ]
    return {"file_name": file_name, "label": label, "day": day.isoformat(), "said": said}


def _append(path: Path, line: bytes) -> None:
    """Add a line in one write, or, where the disk takes only a part of it, nothing."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        before = os.fstat(descriptor).st_size
        written = os.write(descriptor, line)
        if written < len(line):
            os.ftruncate(descriptor, before)
            raise OSError(0, "no space is left")
    finally:
        os.close(descriptor)


def _read_names(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield name and label of what is kept already; lines that are damaged are passed over."""
    for path in folder.glob(f"*/{METADATA_FILE}"):
        for line in path.read_bytes().splitlines():
            try:
                record = json.loads(line)
                yield Path(record["file_name"]).stem, str(record["label"])
            except (ValueError, KeyError, TypeError):
                continue
