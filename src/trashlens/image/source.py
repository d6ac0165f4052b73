"""A file in memory that a parser may read only so often."""

import io

from trashlens.errors import ImageError

__all__ = ["LOAD_READS", "ORDINARY", "Source"]

ORDINARY = "Save the photo as an ordinary JPEG and send that."
# A phone's JPEG takes 50 reads up to the picture, and a 30 MB PNG some 20,000 for its blocks of 8 kB.
OPEN_READS, LOAD_READS = 4_000, 200_000


class Source(io.BytesIO):
    """A file in memory that may be read so many times: Pillow's parsers walk it piece by piece, in Python."""

    def __init__(self, data: bytes) -> None:
        """Let a parser begin: `OPEN_READS`, and each byte a few times."""
        super().__init__(data)
        self.reads_left = OPEN_READS
        self.bytes_left = 4 * len(data) + 2**20

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes.

        Raises:
            ImageError: this is one read, or one byte, more than a photo takes.
        """
        piece = super().read(size)
        self.reads_left -= 1
        self.bytes_left -= len(piece)
        if min(self.reads_left, self.bytes_left) < 0:
            raise ImageError(f"The image is in far more pieces than a photo. {ORDINARY}")
        return piece
