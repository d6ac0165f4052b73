"""Toy networks and synthetic photos that every test module shares."""

import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from wandb_server import WandbServer

from trashlens.bundle import ROLES, Bundle
from trashlens.image import Preprocess

# Before anything imports them: the caches of `datasets` and of the Hub lie in the run's own folder, and
# nothing is ever fetched.
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="trashlens-tests-")
os.environ["HF_HUB_OFFLINE"] = "1"
# Toy networks gain nothing from a second thread, and threads that wait for each other slow all others.
os.environ["OMP_NUM_THREADS"] = "1"

LABELS = ("cardboard", "glass", "metal", "paper", "plastic", "trash")

COLOURS = {
    "cardboard": (220, 120, 40),
    "glass": (40, 200, 80),
    "metal": (60, 60, 60),
    "paper": (245, 245, 245),
    "plastic": (60, 80, 220),
    "trash": (150, 20, 120),
}
"""The colour, 8-bit RGB, by which the toy networks know a class."""

TWINS = {
    ("glass", 115): ("metal", 91),
    ("glass", 176): ("plastic", 152),
    ("glass", 389): ("plastic", 332),
}
"""TrashNet's identical photos with contradictory labels."""


def toy_model(colours: dict[str, tuple[int, int, int]] = COLOURS, *, sharpness: float = 40.0) -> bytes:
    """Return an ONNX graph whose logit of a class is `-sharpness * |mean colour - class colour|²`.

    The mean colour is taken over the image, in 0..1; the common |mean|² term is left out, since softmax
    ignores it.
    """
    centres = np.array([colours[label] for label in LABELS], np.float32) / 255
    weight = 2 * sharpness * centres.T
    bias = -sharpness * (centres**2).sum(axis=1)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images", "axes"], ["mean"], keepdims=0),
            helper.make_node("Gemm", ["mean", "weight", "bias"], ["logits"]),
        ],
        "toy",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, "side", "side"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(LABELS)])],
        [
            numpy_helper.from_array(np.array([2, 3]), "axes"),
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(bias, "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def toy_bundle(role: str, model: bytes) -> Bundle:
    """Return a bundle around a toy graph, with the identity normalisation the toy graphs expect."""
    return Bundle(
        role=role,
        architecture=f"toy_{role}",
        labels=LABELS,
        preprocess=Preprocess(size_px=32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
        model=model,
        parameters=24,
    )


@pytest.fixture(scope="session")
def toy_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three bundles that agree on every class but one: the baseline takes plastic for glass."""
    folder = tmp_path_factory.mktemp("models")
    swapped = {**COLOURS, "glass": COLOURS["plastic"], "plastic": COLOURS["glass"]}
    for role in ROLES:
        toy_bundle(role, toy_model(swapped if role == "baseline" else COLOURS)).write(folder / role)
    return folder


def encode(image: Image.Image, file_format: str = "JPEG", **options: object) -> bytes:
    """Return the image as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def coloured_photo(
    label: str, *, size: tuple[int, int] = (320, 240), noise: int = 12, seed: int = 0
) -> Image.Image:
    """Return a noisy image in the colour of `label`, different for each seed."""
    generator = np.random.default_rng([seed, LABELS.index(label)])
    pixels = np.array(COLOURS[label]) + generator.integers(-noise, noise + 1, (size[1], size[0], 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic prepared photos, `{train,val,test}/<class>/`, as `trashlens data` leaves them."""
    folder = tmp_path_factory.mktemp("data") / "processed"
    for split, count in (("train", 8), ("val", 3), ("test", 3)):
        for label in LABELS:
            (folder / split / label).mkdir(parents=True)
            for index in range(count):
                photo = coloured_photo(label, size=(64, 48), noise=60, seed=100 * len(split) + index)
                photo.save(folder / split / label / f"{label}{index}.jpg", quality=95)
    record = {"split": "official", "seed": None, "short_side_px": 256, "manifest_sha256": "0" * 64}
    (folder / "data.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def recipe_file(processed: Path, tmp_path: Path) -> Path:
    """A two-epoch recipe for a toy network (timm's `test_efficientnet`, 0.4 M parameters)."""
    settings = {
        "role": "baseline",
        "output": str(tmp_path / "run"),
        "network": {"name": "test_efficientnet", "weights": "none"},
        "data": {"folder": str(processed.parent)},
        "preprocess": {"size_px": 32},
        "augment": {"size_px": 32},
        "loader": {"batch_size": 8},
        "schedule": {"epochs": 2, "learning_rate": 0.01},
        "precision": "no",
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def huge_png(width: int, height: int) -> bytes:
    """Return a small PNG file that declares `width` × `height` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="session")
def trashnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip with TrashNet's 2,527 file names, its contradictory twins, and 40×30 photos."""
    # Imported here, after the caches are set, and without loading torch for the tests of serving.
    from trashlens.training.data.source import COUNTS

    path = tmp_path_factory.mktemp("source") / "dataset-resized.zip"
    contents = {}
    for label, count in COUNTS.items():
        for number in range(1, count + 1):
            image = Image.new("RGB", (40, 30), COLOURS[label])
            image.putpixel((0, 0), (number % 256, number // 256, 0))
            buffer = io.BytesIO()
            image.save(buffer, "JPEG")
            # A trailing number makes each file's bytes its own, whatever JPEG makes of one pixel.
            contents[label, number] = buffer.getvalue() + number.to_bytes(2, "big")
    for twin, original in TWINS.items():
        contents[twin] = contents[original]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/dataset-resized/glass/._glass1.jpg", b"resource fork")
        archive.writestr("dataset-resized/.DS_Store", b"")
        for (label, number), content in contents.items():
            archive.writestr(f"dataset-resized/{label}/{label}{number}.jpg", content)
    return path


@pytest.fixture
def wandb_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbServer]:
    """A stand-in that knows nothing yet; W&B's client leads there and keeps its own files in `tmp_path`."""
    import wandb

    for name in ("CACHE_DIR", "CONFIG_DIR", "DATA_DIR", "DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(tmp_path))
    for name in ("ENTITY", "PROJECT"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    wandb.teardown()  # the client reads its settings once
    with WandbServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server
        wandb.teardown()


@pytest.fixture(scope="session")
def hostile_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files made to break decoders, and `expected.json`."""
    folder = tmp_path_factory.mktemp("hostile")
    # In a process of its own, which may take the memory that the pictures need and give it back.
    subprocess.run(
        [sys.executable, str(Path(__file__).with_name("hostile.py")), str(folder)], check=True
    )
    return folder
