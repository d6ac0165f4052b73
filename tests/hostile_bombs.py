"""Hostile files, the part of the pixels: small files that hold, or claim, pictures far too large."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from hostile_metadata import PNG_MAGIC, exif_block, png_chunk
from PIL import Image, ImageDraw

__all__ = ["bombs", "natural"]


def bombs(generator: np.random.Generator) -> Iterator[tuple[str, bytes, str]]:
    """Yield large pictures: those a phone makes, and those made to fill memory or to take for ever."""
    yield from _large_jpegs(generator)
    yield from _flat_pngs()
    yield from _flat_others()
    yield from _animations(generator)


def natural(generator: np.random.Generator, width: int, height: int) -> Image.Image:
    """Return an RGB picture with the statistics of a photo: noise of every scale, and objects with edges.

    Scenes have as much energy in each octave; a lens and a sensor take some from the finest.
    """
    total = np.zeros((height, width, 3), np.float32)
    step, weight = 512, 1.0
    while step >= 1:
        coarse = generator.standard_normal((height // step + 2, width // step + 2, 3), np.float32)
        coarse = 0.8 * coarse[..., :1] + 0.35 * coarse  # brightness varies more than colour
        for band in range(3):
            plane = Image.fromarray(np.ascontiguousarray(coarse[..., band]))
            total[..., band] += weight * np.asarray(
                plane.resize((width, height), Image.Resampling.BICUBIC)
            )
        step, weight = step // 2, weight * 0.8
    image = Image.fromarray(np.clip(128 + 45 * total / total.std(), 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for number in range(30):
        left, top = generator.integers(0, width), generator.integers(0, height)
        right, bottom = left + generator.integers(width // 40, width // 6, 2)[0], top + width // 12
        shape = draw.ellipse if number % 2 else draw.rectangle
        shape((left, top, right, bottom), fill=tuple(generator.integers(0, 256, 3).tolist()))
    return image


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def _tiled(tile: Image.Image, width: int, height: int) -> Image.Image:
    """Return a picture of any size that repeats a small one: as costly to decode, quick to make."""
    pixels = np.asarray(tile)
    repeats = (-(-height // pixels.shape[0]), -(-width // pixels.shape[1]), 1)
    return Image.fromarray(np.tile(pixels, repeats[: pixels.ndim])[:height, :width])


def _large_jpegs(generator: np.random.Generator) -> Iterator[tuple[str, bytes, str]]:
    tile = natural(generator, 1024, 1024)
    yield "phone-12-megapixels.jpg", encode(_tiled(tile, 4000, 3000), "JPEG", quality=90), "photo"
    yield "phone-50-megapixels.jpg", encode(_tiled(tile, 8160, 6120), "JPEG", quality=85), "photo"
    small = _tiled(tile, 4000, 3000)
    progressive = encode(small, "JPEG", quality=90, progressive=True)
    yield "progressive-12-megapixels.jpg", progressive, "photo"
    yield "progressive-12-passes-40.jpg", _repeat_scans(progressive, 30, 500 * 375), "photo"
    yield "progressive-12-passes-1000.jpg", _repeat_scans(progressive, 1000, 500 * 375), "refused"
    del small, progressive
    large = encode(_tiled(tile, 7680, 4320), "JPEG", quality=80, progressive=True, subsampling=0)
    yield "progressive-8k.jpg", large, "photo"
    del large
    flat = encode(Image.new("RGB", (7680, 4320), "grey"), "JPEG", progressive=True, subsampling=0)
    yield "progressive-8k-passes-22.jpg", _repeat_scans(flat, 12, 960 * 540), "photo"
    yield "progressive-8k-passes-5000.jpg", _repeat_scans(flat, 5000, 960 * 540), "refused"
    yield "progressive-63-megapixels.jpg", _declare(flat, 7900, 8000), "refused"
    tiny = encode(tile.resize((64, 64)), "JPEG", progressive=True)
    yield "passes-100000.jpg", _repeat_scans(tiny, 100_000, 64), "refused"
    yield "declares-65500.jpg", _declare(encode(tile, "JPEG"), 65_500, 65_500), "refused"
    yield "declares-63-megapixels.jpg", _declare(
        encode(tile, "JPEG"), 7900, 8000
    ), "either"  # grey where data lack
    yield "declares-32-progressive.jpg", _declare(tiny, 5600, 5800), "either"
    cmyk = Image.new("CMYK", (65_500, 895), (90, 10, 40, 0))
    yield "long-cmyk-58-megapixels.jpg", encode(cmyk, "JPEG"), "refused"
    yield "long-cmyk-26-megapixels.jpg", encode(cmyk.crop((0, 0, 65_500, 400)), "JPEG"), "photo"
    restarts = encode(_tiled(tile, 3000, 2000), "JPEG", quality=60, restart_marker_blocks=1)
    yield "restart-every-block.jpg", restarts, "photo"
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encode(Image.new("RGB", (65_500, 380), "teal"), "JPEG", exif=exif)
    yield "long-turned.jpg", turned, "photo"


def _repeat_scans(jpeg: bytes, times: int, blocks: int) -> bytes:
    """Return a progressive JPEG with so many more passes over all blocks of its first layer.

    Each refines every block and changes none: one code says that the next 32,767 blocks stay as they are.
    """
    codes = "011111111111111" * -(-blocks // 32_767)
    bits = int(codes.ljust(-(-len(codes) // 8) * 8, "1"), 2).to_bytes(-(-len(codes) // 8), "big")
    table = b"\xff\xc4" + struct.pack(">HB", 2 + 1 + 16 + 1, 0x10) + b"\1" + bytes(15) + b"\xe0"
    frame = jpeg.index(b"\xff\xc2")
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, jpeg[frame + 10], 0, 1, 63, 0x10)
    end = jpeg.rindex(b"\xff\xd9")
    return jpeg[:end] + table + (scan + bits.replace(b"\xff", b"\xff\0")) * times + jpeg[end:]


def _declare(jpeg: bytes, width: int, height: int) -> bytes:
    """Return the JPEG with another size in its frame header."""
    frame = max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2"))
    return jpeg[: frame + 5] + struct.pack(">HH", height, width) + jpeg[frame + 9 :]


def _flat_pngs() -> Iterator[tuple[str, bytes, str]]:
    for name, width, height, depth, colour, expected in (
        ("rgb-8k", 7680, 4320, 8, 2, "photo"),
        ("rgba-8k", 7680, 4320, 8, 6, "photo"),
        ("rgb-36-megapixels", 7360, 4912, 8, 2, "photo"),
        ("rgba-16-bit-24-megapixels", 6000, 4000, 16, 6, "photo"),
        ("rgba-16-bit-36-megapixels", 7360, 4912, 16, 6, "refused"),
        ("grey-alpha-40-megapixels", 8000, 5000, 8, 4, "either"),
        ("grey-16-bit-40-megapixels", 8000, 5000, 16, 0, "refused"),
        ("grey-63-megapixels", 7900, 8000, 8, 0, "either"),
        ("one-bit-63-megapixels", 7900, 8000, 1, 0, "either"),
        ("rgb-63-megapixels", 7900, 8000, 8, 2, "refused"),
        ("rgba-63-megapixels", 7900, 8000, 8, 6, "refused"),
        ("rgb-100-megapixels", 10_000, 10_000, 8, 2, "refused"),
        ("rgba-long-20-megapixels", 65_000, 320, 8, 6, "either"),
        ("rgba-16-long-26-megapixels", 65_000, 410, 16, 6, "either"),
        ("rgba-high-50-megapixels", 800, 62_500, 8, 6, "either"),
        ("one-row-30-megapixels", 30_000_000, 1, 16, 6, "refused"),
    ):
        yield f"flat-{name}.png", _flat_png(width, height, depth, colour), expected
    header = png_chunk(b"IHDR", struct.pack(">LLBBBBB", 7680, 4320, 8, 6, 0, 0, 1))
    flat = _flat_png(7680, 4320, 8, 6)
    yield "noise-rgba-16-bit.png", _noisy_png(7000, 3700, 16), "either"
    yield "noise-rgba.png", _noisy_png(7680, 4320, 8), "photo"
    yield "flat-interlaced-8k.png", PNG_MAGIC + header + flat[33:], "either"
    wide = zlib.compress("\N{PILE OF POO}".encode() + b"a" * 999_000, 9)
    texts = b"".join(png_chunk(b"iTXt", b"k%d\0\1\0\0\0" % number + wide) for number in range(60))
    yield "flat-8k-and-text.png", flat[:33] + texts + flat[33:], "either"


def _flat_png(width: int, height: int, depth: int, colour: int) -> bytes:
    """Return a PNG of zeros that really holds all its pixels."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    left = (1 + -(-width * channels * depth // 8)) * height
    packer, parts = zlib.compressobj(6), []
    while left > 0:
        parts.append(packer.compress(bytes(min(left, 2**22))))
        left -= 2**22
    parts.append(packer.flush())
    header = struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, 0)
    return PNG_MAGIC + b"".join(
        png_chunk(kind, data)
        for kind, data in ((b"IHDR", header), (b"IDAT", b"".join(parts)), (b"IEND", b""))
    )


def _noisy_png(width: int, height: int, depth: int) -> bytes:
    """Return an RGBA PNG that is slow to unpack: short matches, and the costliest filter in every row."""
    row_bytes = width * 4 * depth // 8
    block = np.random.default_rng(0).bytes(30_000)
    rows = b"".join(
        b"\4" + bytes(row_bytes - 300) + block[start : start + 300] for start in range(0, 30_000, 300)
    )
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(rows) for _ in range(height // 100)) + packer.flush()
    header = struct.pack(">LLBBBBB", width, height // 100 * 100, depth, 6, 0, 0, 0)
    return PNG_MAGIC + b"".join(
        png_chunk(kind, part) for kind, part in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    )


def _flat_others() -> Iterator[tuple[str, bytes, str]]:
    grey = Image.new("L", (7900, 8000), 77)
    yield "flat-63-megapixels.gif", encode(grey, "GIF"), "either"
    yield "flat-63-megapixels.tif", encode(grey, "TIFF", compression="tiff_adobe_deflate"), "refused"
    yield "flat-63-megapixels.avif", encode(grey, "AVIF", speed=10, quality=10), "refused"
    yield "flat-63-megapixels.bmp", encode(grey.convert("1"), "BMP"), "either"
    del grey
    colour = Image.new("RGB", (16_000, 3900), "olive")
    yield "flat-62-megapixels.webp", encode(colour, "WEBP", quality=0, method=0), "refused"
    yield "flat-12-megapixels.webp", encode(
        colour.crop((0, 0, 4000, 3000)), "WEBP", lossless=True, method=0
    ), "photo"
    yield "flat-12-megapixels.avif", encode(colour.crop((0, 0, 4000, 3000)), "AVIF", speed=10), "photo"
    yield "flat-19-megapixels.avif", encode(colour.crop((0, 0, 5000, 3800)), "AVIF", speed=10), "either"
    tiff = Image.new("RGB", (6000, 4000), "olive")
    yield "flat-24-megapixels.tif", encode(tiff, "TIFF", compression="tiff_lzw"), "photo"
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "flat-24-turned.tif", encode(
        tiff, "TIFF", compression="tiff_adobe_deflate", exif=exif
    ), "photo"
    one_strip = {"tiffinfo": {278: 4000}, "compression": "tiff_adobe_deflate"}
    yield "flat-24-one-strip.tif", encode(tiff, "TIFF", **one_strip), "either"
    yield "huge-tile.tif", _huge_tile(), "refused"
    yield "float-16-megapixels.tif", encode(
        Image.new("F", (4000, 4000)), "TIFF", compression="tiff_lzw"
    ), "either"
    yield "deep-16-megapixels.tif", encode(Image.new("I;16", (4000, 4000)), "TIFF"), "refused"  # 30.5 MB
    canvas = b"VP8X" + struct.pack("<L", 10) + b"\x02\0\0\0" + b"\xfe\x3f\0" * 2
    frame = encode(Image.new("RGB", (8, 8)), "WEBP", lossless=True)[12:]
    animated = canvas + b"ANIM\x06\0\0\0" + bytes(6)
    animated += b"ANMF" + struct.pack("<L", 16 + len(frame)) + bytes(6) + b"\7\0\0\7\0\0\1\0\0\0" + frame
    webp = b"RIFF" + struct.pack("<L", len(animated) + 4) + b"WEBP" + animated
    yield "declares-16383.webp", webp, "refused"
    for name, size, runs in (
        ("zeros", (6000, 6000), b"\xff\0" * 200_000),
        ("crumbs", (6000, 6000), b"\1\7" * 5_000_000),
        ("lines", (60_000, 600), b"\0\0" * 600),
        ("leap", (36_000_000, 1), b"\0\2\0\xff"),
    ):
        yield f"run-length-{name}.bmp", _run_length_bmp(size, runs), "refused"
    for width, height in ((0, 0), (2**31 - 1, 1), (60_000, 60_000), (1, -(2**31))):
        header = struct.pack("<LllHHLLllLL", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
        yield f"size-{width}x{height}.bmp", b"BM" + struct.pack("<LLL", 54, 0, 54) + header, "refused"


def _huge_tile() -> bytes:
    """Return a TIFF of 64×64 pixels in one tile of 30,000×30,000."""
    tile = zlib.compress(bytes(30_000 * 30_000 // 8), 9)
    entries = [
        *((256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)),
        *(
            (322, 4, 1, 30_000),
            (323, 4, 1, 30_000),
            (324, 4, 1, 8 + 2 + 12 * 9 + 4),
            (325, 4, 1, len(tile)),
        ),
    ]
    return exif_block(entries, tail=tile)


def _run_length_bmp(size: tuple[int, int], runs: bytes) -> bytes:
    header = struct.pack("<LllHHLLllLL", 40, *size, 1, 8, 1, len(runs), 0, 0, 256, 0)
    start = 14 + 40 + 1024
    return b"BM" + struct.pack("<LLL", start + len(runs), 0, start) + header + bytes(1024) + runs


def _animations(generator: np.random.Generator) -> Iterator[tuple[str, bytes, str]]:
    frames = [Image.fromarray(generator.integers(0, 256, (16, 16), np.uint8)) for _ in range(2000)]
    yield "frames-2000.gif", encode(frames[0], "GIF", save_all=True, append_images=frames[1:]), "photo"
    yield "frames-300.png", encode(frames[0], "PNG", save_all=True, append_images=frames[1:300]), "photo"
    yield "frames-300.webp", encode(
        frames[0], "WEBP", save_all=True, append_images=frames[1:300]
    ), "photo"
    large = [Image.new("RGB", (3000, 2000), colour) for colour in ("red", "green", "blue")]
    for file_format, suffix in (("GIF", "gif"), ("PNG", "png"), ("WEBP", "webp")):
        data = encode(large[0], file_format, save_all=True, append_images=large[1:] * 3)
        yield f"frames-6-megapixels.{suffix}", data, "photo"
