"""A corpus of files that strangers may send, made from a seed: `python tests/hostile.py FOLDER` writes it.

Beside the files, `expected.json` says by name what must come of each: `photo`, `refused`, or `either`.
"""

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hostile_bombs import bombs
from hostile_metadata import metadata
from PIL import Image

__all__ = ["Item", "corpus", "write_corpus"]

SUFFIXES = {"JPEG": "jpg", "JPEG2000": "jp2", "TIFF": "tif", "SPIDER": "spi"}
ACCEPTED = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
STUBS = ("BUFR", "GRIB", "HDF5", "WMF")
"""Formats that Pillow only writes with a handler of someone else's."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One file and what must come of it."""

    name: str
    data: bytes
    expected: str
    """`photo`: it is answered; `refused`: an `ImageError`; `either`: one of the two."""


def corpus(seed: int = 0) -> Iterator[Item]:
    """Yield every file, one at a time, since some have tens of megabytes."""
    generator = np.random.default_rng(seed)
    for part in (
        formats(generator),
        modes(generator),
        strangers(generator),
        metadata(),
        bombs(generator),
    ):
        for name, data, expected in part:
            yield Item(name=name, data=data, expected=expected)


def write_corpus(folder: Path, *, seed: int = 0) -> dict[str, str]:
    """Write every file to `folder`, and `expected.json`; return what that says."""
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for item in corpus(seed):
        assert item.name not in expected, item.name
        (folder / item.name).write_bytes(item.data)
        expected[item.name] = item.expected
    (folder / "expected.json").write_text(json.dumps(expected, indent=1))
    return expected


def picture(generator: np.random.Generator, width: int = 96, height: int = 64) -> Image.Image:
    """Return a small RGB image with an edge, a gradient and noise."""
    x, y = np.meshgrid(np.linspace(0, 200, width), np.linspace(0, 200, height))
    pixels = np.stack([x, y, np.where(x > y, 180, 40)], axis=-1)
    return Image.fromarray((pixels + generator.integers(0, 40, pixels.shape)).astype(np.uint8))


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def formats(generator: np.random.Generator) -> Iterator[tuple[str, bytes, str]]:
    """Yield every format that Pillow writes: whole, cut off, with flipped bits, under a wrong name."""
    Image.init()
    image = picture(generator)
    for file_format in sorted(set(Image.SAVE) - set(STUBS)):
        name, suffix = file_format.lower(), SUFFIXES.get(file_format, file_format.lower())
        data = _encode_somehow(image, file_format)
        whole = "photo" if file_format in ACCEPTED else "refused"
        yield f"{name}-whole.{suffix}", data, whole
        yield f"{name}-named-wrongly.{'png' if suffix == 'jpg' else 'jpg'}", data, whole
        yield f"{name}-with-a-tail.{suffix}", data + generator.bytes(2000), whole
        # What is missing in the last bytes may be what no decoder asks for.
        for share in (0.02, 0.1, 0.5, 0.9, 0.99):
            expected = "either" if file_format in ACCEPTED and share > 0.5 else "refused"
            yield f"{name}-cut-{share:.0%}.{suffix}".replace("%", ""), data[
                : int(len(data) * share)
            ], expected
        for flips in (1, 3, 10, 100):
            damaged = bytearray(data)
            # Half of them in the header, where they matter.
            for position in generator.integers(0, (len(data), 200)[flips % 2], flips):
                damaged[position % len(data)] ^= 1 << int(generator.integers(8))
            yield f"{name}-{flips}-bits-flipped.{suffix}", bytes(damaged), "either"


def _encode_somehow(image: Image.Image, file_format: str) -> bytes:
    """Return the image in a format, in the first mode that the format knows."""
    for mode in ("RGB", "L", "P", "1"):
        try:
            return encode(image.convert(mode), file_format)
        except (OSError, ValueError, KeyError):
            continue
    return encode(image.convert("F"), file_format)


def modes(generator: np.random.Generator) -> Iterator[tuple[str, bytes, str]]:
    """Yield every mode that an accepted format can hold, animations, strips, and the smallest images."""
    image = picture(generator)
    transparent = image.convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(image.size))
    deep = Image.fromarray(generator.integers(0, 2**16, (64, 96), np.uint16))
    for mode, file_formats in {
        "1": ("PNG", "TIFF", "BMP", "GIF"),
        "L": ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"),
        "LA": ("PNG", "WEBP", "TIFF", "GIF", "AVIF"),
        "P": ("PNG", "GIF", "BMP", "TIFF", "WEBP"),
        "PA": ("TIFF", "WEBP"),
        "RGBA": ("PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"),
        "CMYK": ("JPEG", "TIFF"),
        "YCbCr": ("JPEG",),
        "I;16": ("PNG", "TIFF"),
        "I;16B": ("TIFF",),
        "I": ("TIFF",),
        "F": ("TIFF",),
        "LAB": ("TIFF",),
    }.items():
        for file_format in file_formats:
            source = deep if mode.startswith("I") else transparent if mode.endswith("A") else image
            held = _convert(source, mode)
            try:
                data = encode(held, file_format)
            except (OSError, KeyError, ValueError):
                continue
            suffix = SUFFIXES.get(file_format, file_format.lower())
            yield f"mode-{mode.replace(';', '-').lower()}-{file_format.lower()}.{suffix}", data, "photo"
    yield "mode-ycck.jpg", _ycck(image), "photo"
    yield "mode-palette-transparent.png", encode(image.convert("P"), "PNG", transparency=7), "photo"
    yield "mode-grey-transparent.png", encode(image.convert("L"), "PNG", transparency=7), "photo"
    yield "mode-rgb-transparent.png", encode(image, "PNG", transparency=(1, 2, 3)), "photo"
    for compression in ("packbits", "tiff_lzw", "tiff_adobe_deflate"):
        yield f"tiff-{compression}.tif", encode(image, "TIFF", compression=compression), "photo"
    for compression in ("jpeg", "group4"):
        data = encode(
            image.convert("1" if compression == "group4" else "RGB"), "TIFF", compression=compression
        )
        yield f"tiff-{compression}.tif", data, "refused"
    frames = [picture(generator) for _ in range(4)]
    for file_format in ("GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"):
        data = encode(frames[0], file_format, save_all=True, append_images=frames[1:])
        yield f"frames.{SUFFIXES.get(file_format, file_format.lower())}", data, "photo"
    for size in ((1, 1), (1, 65_500), (65_500, 1), (65_500, 3), (2, 2000)):
        for file_format, extra in (("JPEG", 0), ("PNG", 35), ("GIF", 35), ("TIFF", 35), ("BMP", 35)):
            width, height = (side + extra if side == 65_500 else side for side in size)
            name = f"strip-{width}x{height}.{SUFFIXES.get(file_format, file_format.lower())}"
            yield name, encode(Image.new("RGB", (width, height), "red"), file_format), "photo"
    yield "strip-70000x2.png", encode(Image.new("RGB", (70_000, 2)), "PNG"), "refused"
    yield "strip-16383x1.webp", encode(Image.new("RGB", (16_383, 1)), "WEBP"), "photo"
    yield "progressive.jpg", encode(image, "JPEG", progressive=True), "photo"
    yield "interlaced.gif", encode(image, "GIF", interlace=1), "photo"


def _convert(image: Image.Image, mode: str) -> Image.Image:
    if mode == "LAB":
        return Image.frombytes("LAB", image.size, image.convert("RGB").tobytes())
    if mode == "PA":
        return image.convert("P").convert("PA")
    if mode == "I;16B":
        return Image.frombytes("I;16B", image.size, np.asarray(image).astype(">u2").tobytes())
    return image if image.mode == mode else image.convert(mode)


def _ycck(image: Image.Image) -> bytes:
    """Return a CMYK JPEG whose Adobe segment says that it is YCCK."""
    data = bytearray(encode(image.convert("CMYK"), "JPEG"))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def strangers(generator: np.random.Generator) -> Iterator[tuple[str, bytes, str]]:
    """Yield what is no image, what is two things at once, and what only begins like an image."""
    image = picture(generator)
    jpeg, png, gif = (encode(image, file_format) for file_format in ("JPEG", "PNG", "GIF"))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    yield "empty.jpg", b"", "refused"
    yield "text.jpg", b"Not a photo, only text. " * 40, "refused"
    yield "page.png", b"<!doctype html><script>alert(1)</script>", "refused"
    yield "drawing.svg", svg, "refused"
    yield "postscript.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "refused"
    yield "archive.jpg", b"PK\3\4" + generator.bytes(500), "refused"
    yield "zeros.png", bytes(100_000), "refused"
    for length in (1, 2, 10, 1000, 100_000):
        yield f"random-{length}.jpg", generator.bytes(length), "refused"
    for name, magic in {
        "jpg": b"\xff\xd8\xff",
        "png": b"\x89PNG\r\n\x1a\n",
        "gif": b"GIF89a",
        "webp": b"RIFF\x10\0\0\0WEBPVP8 ",
        "bmp": b"BM",
        "tif": b"II*\0\x08\0\0\0",
        "avif": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1",
    }.items():
        yield f"magic-only.{name}", magic, "refused"
        yield f"magic-and-zeros.{name}", magic + bytes(5000), "refused"
        for number in range(4):
            yield f"magic-and-noise-{number}.{name}", magic + generator.bytes(5000), "either"
    yield "jpeg-and-zip.jpg", jpeg + b"PK\3\4" + generator.bytes(3000) + b"PK\5\6" + bytes(18), "photo"
    yield "gif-and-script.gif", gif + b"*/=1;alert(1)//", "photo"
    yield "gif-script-in-size.gif", b"GIF89a/*" + gif[8:] + b"*/=1;alert(1)", "either"
    yield "png-and-page.png", png + b"<html><script>alert(1)</script>", "photo"
    yield "pdf-then-jpeg.jpg", b"%PDF-1.7\n" + jpeg, "refused"
    yield "jpeg-twice.jpg", jpeg + jpeg, "photo"
    yield "jpeg-in-svg.svg", svg + jpeg, "refused"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("Give the folder to write to: python tests/hostile.py FOLDER")
    print(f"{len(write_corpus(Path(sys.argv[1])))} files in {sys.argv[1]}")
