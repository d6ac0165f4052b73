"""The photos in a zip, one at a time and in memory; nothing is ever unpacked to disk.

A zip may lie about everything; each rule here names what it holds off.
"""

import io
import re
import zipfile
from pathlib import Path

from trashlens.errors import ImageError
from trashlens.image.limits import ImageLimits, check_bytes

__all__ = ["Archive", "is_archive"]

REPACK = "Pack the photos anew, as an ordinary zip."
SIGNATURES = (b"PK\3\4", b"PK\5\6")
"""How a zip begins, and how an empty one does."""
LIST_BYTES = 2**20
"""Longest list of entries; Python needs ten times as much. 7,000 real ones fit, or 22,000 of the shortest."""
PIECE_BYTES = 2**16
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What phones and desktops write; the others are decoders of their own, and slow ones."""
LEADS_OUT = re.compile(r"[/\\]|[A-Za-z]:|(.*[/\\])?\.\.([/\\]|$)", re.DOTALL)
"""How a name begins that starts at the root or a drive, or climbs."""
CLUTTER = re.compile(
    r"(.*/)?(__MACOSX/.*|\._[^/]*|\.DS_Store|Thumbs\.db|desktop\.ini)", re.IGNORECASE | re.DOTALL
)
"""What macOS and Windows put beside photos."""


class Archive:
    """An open zip of photos; safe to read from several threads.

    Raises:
        ImageError: it cannot be opened; one sentence.
    """

    def __init__(self, path: Path) -> None:
        """Open the zip at `path` and read its list."""
        try:
            self._file = _BoundedFile(path)
        except OSError as error:
            raise ImageError("The zip is no longer there. Send it again.") from error
        try:
            self._zip = zipfile.ZipFile(self._file)
        except ImageError:
            self._file.close()
            raise
        except Exception as error:  # about a hostile list: struct.error, UnicodeDecodeError, ...
            self._file.close()
            raise ImageError(f"The zip is damaged or cut off. {REPACK}") from error
        self.entries = [
            entry
            for entry in self._zip.infolist()
            if not entry.is_dir() and not CLUTTER.fullmatch(entry.filename)
        ]
        """What may be photos, in the order of the list; no more of one is read than the zip says it has."""

    def read(self, entry: zipfile.ZipInfo, limits: ImageLimits) -> bytes:
        """Return the content of an entry, which takes no more memory than the largest photo.

        Raises:
            ImageError: it is encrypted, too large, a zip itself, damaged, or named like no photo; one sentence.
        """
        if LEADS_OUT.match(entry.filename):
            raise ImageError(f"The name leads out of the zip. {REPACK}")
        if entry.flag_bits & 1:
            raise ImageError("The entry is encrypted. Pack the photos anew, without a password.")
        if entry.compress_type not in METHODS:
            raise ImageError(f"The entry is packed in an unusual way. {REPACK}")
        check_bytes(entry.file_size, limits)
        content = io.BytesIO()
        try:
            with self._zip.open(entry) as stream:
                # In pieces, since `zipfile` reads as many packed bytes as it is asked for unpacked ones.
                while piece := stream.read(PIECE_BYTES):
                    content.write(piece)
        except Exception as error:  # of `zipfile` and `zlib`, about damaged bytes
            raise ImageError(f"The entry is damaged or cut off. {REPACK}") from error
        data = content.getvalue()
        if data.startswith(SIGNATURES):
            raise ImageError("This is a zip within the zip. Put the photos themselves into one.")
        return data

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
        self._file.close()


def is_archive(path: Path) -> bool:
    """Return whether a file is a zip, or called one."""
    try:
        with path.open("rb") as file:
            return file.read(4) in SIGNATURES or path.suffix.lower() == ".zip"
    except OSError:
        return False


class _BoundedFile(io.FileIO):
    """A file of which at most `LIST_BYTES` are read at a time: `zipfile` reads a list at once, of any length."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes.

        Raises:
            ImageError: this is more than the list of entries may have.
        """
        if size is None or size < 0:
            here = self.tell()
            size = self.seek(0, io.SEEK_END) - here
            self.seek(here)
        if size > LIST_BYTES:
            raise ImageError(
                "The zip lists far more files than a batch has. Send fewer photos at a time."
            )
        return super().read(size) or b""
