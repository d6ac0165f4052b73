"""Hostile files, the part beside the pixels: EXIF, XMP, text, directories, segments and blocks without end."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

__all__ = ["exif_block", "metadata", "png_chunk"]

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def metadata() -> Iterator[tuple[str, bytes, str]]:
    """Yield images of a few pixels whose metadata are odd, broken or endless."""
    yield from _orientations()
    yield from _broken_exif()
    yield from _jpeg_segments()
    yield from _png_chunks()
    yield from _gif_blocks()
    yield from _tiff_directories()


def encode(file_format: str, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(buffer, file_format, **options)
    return buffer.getvalue()


def exif_block(
    entries: list[tuple[int, int, int, int]], *, order: str = "<", tail: bytes = b"", start: int = 8
) -> bytes:
    """Return a TIFF block of one directory: entries of tag, type, count and value or offset."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}L", start)
    rows = b"".join(struct.pack(f"{order}HHLL", *entry) for entry in entries)
    return head + struct.pack(f"{order}H", len(entries)) + rows + bytes(4) + tail


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def _orientations() -> Iterator[tuple[str, bytes, str]]:
    for orientation in (*range(10), 65_535):
        for file_format, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif")):
            exif = Image.Exif()
            exif[0x0112] = orientation
            yield f"exif-{orientation}.{suffix}", encode(file_format, exif=exif), "photo"
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"exif-{orientation}.avif", encode("AVIF", exif=exif), "photo"
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    for file_format, suffix in (("JPEG", "jpg"), ("WEBP", "webp")):
        yield f"xmp-6.{suffix}", encode(file_format, xmp=xmp), "photo"
        yield f"xmp-endless.{suffix}", encode(file_format, xmp=b"tiff:Orientation=" * 3000), "photo"


def _broken_exif() -> Iterator[tuple[str, bytes, str]]:
    large = b"x" * 60_000
    blocks = {
        "empty": b"",
        "text": b"no directory at all",
        "cut": exif_block([(0x0112, 3, 1, 6)])[:15],
        "outside": exif_block([(0x0112, 3, 1, 6)], start=2**31),
        "loop": exif_block([(0x8769, 4, 1, 8), (0x0112, 3, 1, 6)]),
        "text-for-a-number": exif_block([(0x0112, 2, 4, 0x41414141)]),
        "huge-count": exif_block([(0x010F, 2, 2**32 - 1, 8), (0x0112, 3, 2**31, 6)]),
        "unknown-type": exif_block([(0x0112, 77, 1, 6)]),
        "zero-division": exif_block([(0x011A, 5, 1, 26), (0x0128, 3, 1, 2)], tail=bytes(16)),
        # Four thousand tags, each of which names the same 58 kB: 240 MB for whoever copies them all.
        "shared": exif_block([(tag, 7, 10_000, 0) for tag in range(4000)], tail=large[:10_000]),
    }
    for name, block in blocks.items():
        for file_format, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")):
            yield f"exif-{name}.{suffix}", encode(file_format, exif=b"Exif\0\0" + block), "photo"
    shared = exif_block([(tag, 7, 500_000, 0) for tag in range(8000)], tail=large * 9)
    for suffix, file_format in {"png": "PNG", "webp": "WEBP"}.items():
        yield f"exif-4-gigabytes.{suffix}", encode(file_format, exif=b"Exif\0\0" + shared), "photo"
    # An AVIF's EXIF is put in where a harmless one of the same length was.
    filler = exif_block([(0x010F, 2, len(shared) - 26, 26)], tail=b"y" * (len(shared) - 26))
    avif = encode("AVIF", exif=filler)
    yield "exif-4-gigabytes.avif", avif.replace(filler, shared) if filler in avif else avif, "photo"
    jpeg = encode("JPEG")
    parts = [shared[start : start + 65_000] for start in range(0, len(shared), 65_000)]
    segments = b"".join(_segment(0xE1, b"Exif\0\0" + part) for part in parts)
    yield "exif-4-gigabytes.jpg", jpeg[:2] + segments + jpeg[2:], "photo"


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _jpeg_segments() -> Iterator[tuple[str, bytes, str]]:
    jpeg = encode("JPEG")
    head, tail = jpeg[:2], jpeg[2:]
    yield "segments-3.jpg", head + _segment(0xE5, b"x" * 65_000) * 3 + tail, "photo"
    yield "segments-200.jpg", head + _segment(
        0xE1, b"http://ns.adobe.com/xmp/extension/\0"
    ) * 200 + tail, "photo"
    yield "segments-million.jpg", head + _segment(0xE0, b"") * 1_000_000 + tail, "refused"
    yield "comments-million.jpg", head + _segment(0xFE, b"") * 1_000_000 + tail, "refused"
    yield "exif-segments-100.jpg", head + _segment(
        0xE1, b"Exif\0\0" + b"z" * 65_000
    ) * 100 + tail, "photo"
    yield "exif-segments-450.jpg", head + _segment(
        0xE1, b"Exif\0\0" + b"z" * 65_000
    ) * 450 + tail, "refused"
    resources = (b"8BIM" + struct.pack(">HHL", 1, 0, 0)) * 5400
    yield "photoshop-450.jpg", head + _segment(
        0xED, b"Photoshop 3.0\0" + resources
    ) * 450 + tail, "refused"
    yield "profile-400.jpg", head + _segment(
        0xE2, b"ICC_PROFILE\0\1\xff" + bytes(65_000)
    ) * 400 + tail, "refused"
    yield "junk-20-megabytes.jpg", head + b"\xff\xe0\0\2" + bytes(20_000_000) + tail, "refused"
    yield "padding-20-megabytes.jpg", head + b"\xff" * 20_000_000 + tail, "refused"
    yield "many-starts.jpg", b"\xff\xd8" * 2_000_000 + jpeg, "refused"
    frame = jpeg.index(b"\xff\xc0")
    for marker in (0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF):
        data = bytearray(jpeg)
        data[frame + 1] = marker
        expected = "either" if marker in (0xC1, 0xC2) else "refused"
        yield f"coding-{marker:x}.jpg", bytes(data), expected
    for width, height in ((0, 48), (64, 0), (0, 0)):
        data = bytearray(jpeg)
        data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
        yield f"size-{width}x{height}.jpg", bytes(data), "refused"


def _png_chunks() -> Iterator[tuple[str, bytes, str]]:
    png = encode("PNG")
    head, tail = png[:33], png[33:]
    text = zlib.compress(b"a" * 1_000_000, 9)
    wide = zlib.compress("\N{PILE OF POO}".encode() + b"a" * 999_000, 9)
    compressed = png_chunk(b"zTXt", b"k\0\0" + text)
    international = png_chunk(b"iTXt", b"k\0\1\0\0\0" + wide)
    many = b"".join(png_chunk(b"iTXt", b"k%d\0\1\0\0\0" % number + wide) for number in range(60))
    yield "text-once.png", head + compressed + tail, "photo"
    yield "text-60.png", head + compressed * 60 + tail, "either"
    yield "text-wide-60.png", head + many + tail, "either"
    yield "text-wide-60-after.png", png[:-12] + many + png[-12:], "either"
    yield "text-wide-same.png", head + international * 60 + tail, "either"
    plain = png_chunk(b"iTXt", b"k\0\0\0\0\0" + "\N{PILE OF POO}".encode() + b"a" * 28_000_000)
    yield "text-28-megabytes.png", head + plain + tail, "refused"
    yield "text-28-megabytes-after.png", png[:-12] + plain + png[-12:], "refused"
    yield "text-bomb.png", head + png_chunk(
        b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000), 9)
    ) + tail, "either"
    profile = png_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(50_000_000), 9))
    yield "profile-bomb.png", head + profile + tail, "either"
    yield "chunks-million.png", head + png_chunk(b"teSt", b"") * 1_000_000 + tail, "refused"
    yield "chunks-million-after.png", png[:-12] + png_chunk(b"teSt", b"") * 1_000_000 + png[
        -12:
    ], "refused"
    rows = zlib.compress(b"".join(b"\0" + bytes(64 * 3) for _ in range(48)))
    crumbs = b"".join(png_chunk(b"IDAT", rows[start : start + 1]) for start in range(len(rows)))
    yield "data-in-crumbs.png", head + crumbs + png_chunk(b"IEND", b""), "photo"
    empty = png_chunk(b"IDAT", b"") * 1_000_000
    yield "data-in-a-million.png", head + empty + png_chunk(b"IDAT", rows) + png_chunk(
        b"IEND", b""
    ), "refused"
    for width, height in ((0, 48), (64, 0), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1), (60_000, 60_000)):
        header = png_chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0))
        yield f"size-{width}x{height}.png", PNG_MAGIC + header + png[33:], "refused"
    profile_text = "\n".join(["", "exif", "      26", exif_block([(0x0112, 3, 1, 6)]).hex()])
    raw = png_chunk(b"tEXt", b"Raw profile type exif\0" + profile_text.encode())
    yield "exif-as-text.png", head + raw + tail, "photo"
    prefixes = png_chunk(b"eXIf", b"Exif\0\0" * 4_000_000)
    yield "exif-prefixes.png", head + prefixes + tail, "photo"


def _gif_blocks() -> Iterator[tuple[str, bytes, str]]:
    gif = encode("GIF")
    start = 13 + 3 * (2 << (gif[10] & 7))  # behind the palette
    head, tail = gif[:start], gif[start:]
    block = b"\xff" + b"c" * 255
    yield "comment.gif", head + b"!\xfe" + block * 10 + b"\0" + tail, "photo"
    # Read by adding each block to what there is: minutes for 25 MB.
    yield "comment-25-megabytes.gif", head + b"!\xfe" + block * 100_000 + b"\0" + tail, "refused"
    yield "comment-crumbs.gif", head + b"!\xfe" + b"\1c" * 5_000_000 + b"\0" + tail, "refused"
    yield "extension-crumbs.gif", head + b"!\xff" + b"\1c" * 5_000_000 + b"\0" + tail, "refused"
    yield "comments-million.gif", head + b"!\xfe\1c\0" * 1_000_000 + tail, "refused"
    yield "junk-10-megabytes.gif", head + b"x" * 10_000_000 + tail, "refused"
    for width, height in ((0, 0), (65_535, 65_535)):
        expected = "either" if width == 0 else "refused"
        yield f"size-{width}x{height}.gif", gif[:6] + struct.pack("<HH", width, height) + gif[
            10:
        ], expected
    frame = bytearray(tail)
    frame[5:9] = struct.pack("<HH", 65_535, 65_535)
    yield "frame-65535.gif", head + bytes(frame), "refused"


def _tiff_directories() -> Iterator[tuple[str, bytes, str]]:
    size = [(256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 8), (262, 3, 1, 1)]
    pixels = bytes(256)
    honest = [*size, (273, 4, 1, 8 + 2 + 12 * 5 + 4)]
    yield "plain.tif", exif_block(honest, tail=pixels), "photo"
    yield "plain-motorola.tif", exif_block(_motorola(honest), order=">", tail=pixels), "photo"
    yield "next-is-itself.tif", exif_block(honest, tail=pixels)[:70] + b"\x08\0\0\0" + pixels, "photo"
    for name, kind, count in (("text", 2, 4), ("fraction", 5, 1), ("pair", 4, 2), ("float", 11, 1)):
        tiles = [(322, kind, count, 8), (323, kind, count, 8), (324, 4, 1, 8)]
        yield f"tile-of-{name}.tif", exif_block([*size, *tiles], tail=pixels), "either"
    offsets = np.full(6_000_000, 8, "<u4").tobytes()
    many = [*size, (273, 4, 6_000_000, 74)]
    yield "offsets-6-million.tif", exif_block(many, tail=offsets), "refused"
    shared = [*honest, *((tag, 7, 1_000_000, 8) for tag in range(40_000, 60_000))]
    yield "tags-20-gigabytes.tif", exif_block(shared, tail=bytes(1_300_000)), "refused"
    inner = exif_block([(tag, 7, 1_000_000, 8) for tag in range(20_000)])[8:]
    start = 8 + 2 + 12 * 6 + 4
    nested = [*size, (273, 4, 1, 8), (34665, 4, 1, start)]
    yield "nested-20-gigabytes.tif", exif_block(nested, tail=inner + bytes(1_300_000)), "refused"
    numbers = exif_block([(40_000, 3, 10_000_000, 8)])[8:]
    yield "nested-10-million.tif", exif_block(nested, tail=numbers + bytes(21_000_000)), "refused"
    yield "large-tiff.tif", b"II+\0\x08\0\0\0\x10" + bytes(7) + b"\xff" * 8 + bytes(1000), "refused"
    for width, height in ((0, 16), (2**32 - 1, 2**32 - 1), (2**31, 1)):
        lies = [(256, 4, 1, width), (257, 4, 1, height), *honest[2:]]
        yield f"size-{width}x{height}.tif", exif_block(lies, tail=pixels), "refused"


def _motorola(entries: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Return the entries with short values where big-endian readers look for them."""
    return [
        (tag, kind, count, value << 16 if kind == 3 else value) for tag, kind, count, value in entries
    ]
