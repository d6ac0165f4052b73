"""Whatever a stranger sends ends in an answer or in one sentence, within 2 seconds of a core and 300 MB."""

import io
import json
import re
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import hostile
import numpy as np
import pytest
from hostile_bombs import natural
from hostile_metadata import exif_block
from PIL import Image

from trashlens.errors import ImageError
from trashlens.image import ImageLimits, Preprocess, decode_image

CPU_SEC, MEMORY_MB = 2.0, 300.0
Record = dict[str, object]


def undergo(folder: Path, *options: str) -> dict[str, Record]:
    """Return what came of each file of a folder, every one in a process of its own."""
    script = Path(__file__).with_name("ordeal.py")
    command = [sys.executable, str(script), str(folder), *options]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    return {record["name"]: record for record in records}


def over_the_bounds(records: dict[str, Record]) -> list[str]:
    return [
        f"{name}: {record['cpu_sec']:.2f} s, {record['memory_mb']:.0f} MB"
        for name, record in records.items()
        if record["cpu_sec"] > CPU_SEC or record["memory_mb"] > MEMORY_MB
    ]


@pytest.fixture(scope="module")
def expected(hostile_files: Path) -> dict[str, str]:
    return json.loads((hostile_files / "expected.json").read_text())


@pytest.fixture(scope="module")
def records(hostile_files: Path) -> dict[str, Record]:
    return undergo(hostile_files)


def test_the_corpus_is_large_and_the_same_for_the_same_seed(expected: dict[str, str]) -> None:
    assert len(expected) >= 600
    counts = {kind: list(expected.values()).count(kind) for kind in ("photo", "refused", "either")}
    assert sum(counts.values()) == len(expected)
    assert min(counts.values()) > 100
    first, again, other = (list(islice(hostile.corpus(seed), 100)) for seed in (0, 0, 1))
    assert first == again != other


def test_every_file_ends_as_it_must(records: dict[str, Record], expected: dict[str, str]) -> None:
    assert records.keys() == expected.keys()
    wrong = [
        f"{name}: {record['outcome']} instead of {expected[name]} ({record['sentence']})"
        for name, record in records.items()
        if record["outcome"] == "lost" or expected[name] not in ("either", record["outcome"])
    ]
    assert not wrong


def test_every_refusal_says_what_would_work(records: dict[str, Record]) -> None:
    sentences = {str(r["sentence"]) for r in records.values() if r["outcome"] == "refused"}
    assert len(sentences) > 10
    unhelpful = [s for s in sentences if not re.fullmatch(r"[A-Z][^\n]+\. (Send|Save) [^\n]+\.", s)]
    assert not unhelpful


def test_no_file_takes_two_seconds_or_300_megabytes(records: dict[str, Record]) -> None:
    assert not over_the_bounds(records)


def test_the_usual_lines_of_pillow_fail_the_same_ordeal(hostile_files: Path, tmp_path: Path) -> None:
    names = ["progressive-8k-passes-5000.jpg", "exif-4-gigabytes.png", "tags-20-gigabytes.tif"]
    for name in names:
        shutil.copy(hostile_files / name, tmp_path)
    records = undergo(tmp_path, "--ordinary")
    assert len(over_the_bounds(records)) == len(names)
    assert "lost" in {record["outcome"] for record in records.values()}


@pytest.mark.parametrize(
    ("field", "small"), [("max_bytes", 1000), ("max_pixels", 10_000), ("max_memory_bytes", 100_000)]
)
def test_every_limit_is_a_setting(field: str, small: int) -> None:
    data = hostile.encode(Image.effect_noise((300, 200), 50), "PNG")
    assert decode_image(data).size == (300, 200)
    with pytest.raises(ImageError, match=r"limit is .*\. Send a smaller copy of the photo"):
        decode_image(data, limits=ImageLimits(**{field: small}))


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
def test_orientation_is_read_in_either_byte_order_and_width(
    orientation: int, order: str, kind: int
) -> None:
    value = orientation << 16 if kind == 3 and order == ">" else orientation
    block = b"Exif\0\0" + exif_block([(0x010F, 2, 2, 0), (0x0112, kind, 1, value)], order=order)
    stored = Image.new("RGB", (40, 20))
    stored.paste("red", (0, 0, 10, 10))
    upright = decode_image(hostile.encode(stored, "PNG", exif=block))
    corner = {3: (39, 19), 6: (19, 0), 8: (0, 39)}[orientation]
    assert upright.size == ((40, 20) if orientation == 3 else (20, 40))
    assert upright.getpixel(corner) == (255, 0, 0)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "CMYK", "I;16"])
def test_a_large_image_in_strips_is_what_it_is_at_once(mode: str) -> None:
    x = np.linspace(0, 255, 2000)[None, :].repeat(1800, 0)
    image = Image.fromarray(np.stack([x, x[:, ::-1], x * 0 + 90], axis=-1).astype(np.uint8))
    if mode == "I;16":
        image = Image.fromarray((x * 257).astype(np.uint16))
        whole = Image.fromarray(x.astype(np.uint8)).convert("RGB")
    else:
        image = image.convert(mode)
        if mode.endswith("A"):
            image.putalpha(Image.linear_gradient("L").resize(image.size))
        white = Image.new("RGBA", image.size, "white")
        on_white = Image.alpha_composite(white, image.convert("RGBA")) if mode.endswith("A") else image
        whole = on_white.convert("RGB")
    decoded = decode_image(hostile.encode(image, "TIFF" if mode == "CMYK" else "PNG"))
    assert decoded.size == (1000, 900)
    assert np.abs(np.asarray(decoded, int) - np.asarray(whole.reduce(2), int)).max() <= 2


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Twelve megapixels, as phones make them."""
    return natural(np.random.default_rng(7), 4000, 3000)


@pytest.mark.parametrize(
    ("file_format", "options", "short_px"),
    [("JPEG", {"quality": 90, "subsampling": 2}, 750), ("PNG", {"compress_level": 1}, 1500)],
)
def test_a_large_photo_is_decoded_small_and_to_the_same_input(
    photo: Image.Image, file_format: str, options: dict[str, int], short_px: int
) -> None:
    data = hostile.encode(photo, file_format, **options)
    full = Image.open(io.BytesIO(data)).convert("RGB")
    small = decode_image(data)
    assert min(small.size) == short_px
    for size_px in (208, 224, 256):
        preprocess = Preprocess(size_px=size_px)
        difference = np.abs(preprocess(small) - preprocess(full)).mean()
        print(f"{file_format} at {size_px} px: {difference:.4f}")
        assert difference < 0.005
