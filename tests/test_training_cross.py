"""Photos from elsewhere: brightness changed and evened out, and what that gains networks of known answers."""

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trashlens.__main__ import main
from trashlens.errors import DataError
from trashlens.image import Preprocess
from trashlens.training.cross import (
    METHODS,
    CrossConfig,
    Network,
    brightness_of,
    change_brightness,
    even_out,
    format_results,
    measure_reference,
    measure_set,
    open_network,
)
from trashlens.training.cross.measurement import compare

PIXELS = np.random.default_rng(0).integers(20, 120, (30, 40, 3)).astype(np.uint8)
IDENTITY = Preprocess(size_px=8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def by_brightness(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """A network that says glass of bright photos, paper of others; the border is a brightness of 0.4."""
    bright = images.mean(axis=(1, 2, 3)) - 0.4
    return np.stack([bright, -bright], axis=1).astype(np.float32)


TOY = Network(name="toy", labels=("glass", "paper"), preprocess=IDENTITY, infer=by_brightness)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten bright photos of glass, and two of a class that the toy does not know."""
    folder = tmp_path / "set"
    for label, count in (("glass", 10), ("metal", 2)):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (40, 30), (150 + number,) * 3).save(folder / label / f"{number}.png")
    return folder


def test_a_copy_is_darker_or_brighter_by_its_gain() -> None:
    assert brightness_of(change_brightness(PIXELS, 0.5)) == pytest.approx(
        brightness_of(PIXELS) / 2, abs=0.003
    )
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    np.testing.assert_array_equal(
        change_brightness(levels, 1.6), np.minimum(np.rint(levels * np.float64(1.6)), 255)
    )
    assert (change_brightness(PIXELS, 100.0) == 255).all()
    grey = np.full((2, 2, 3), 51, np.uint8)
    assert brightness_of(grey) == pytest.approx(0.2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", [0.1, 0.3, 0.45])
def test_evening_out_reaches_the_brightness(method: str, target: float) -> None:
    assert brightness_of(even_out(PIXELS, method, target)) == pytest.approx(target, abs=0.006)


def test_gamma_keeps_black_and_white_and_gain_does_not() -> None:
    pixels = np.repeat(np.array([0, 60, 255], np.uint8), 100).reshape(10, 30)[..., np.newaxis]
    pixels = np.repeat(pixels, 3, axis=2)
    assert {0, 255} <= set(np.unique(even_out(pixels, "gamma", 0.6)))
    assert np.unique(even_out(pixels, "gain", 0.2)).max() < 255
    black = np.zeros((4, 4, 3), np.uint8)
    assert all(even_out(black, method, 0.5).shape == black.shape for method in METHODS)


def test_darker_photos_are_named_rightly_once_they_are_evened_out(photos: Path) -> None:
    target = measure_reference(photos / "glass")
    assert target == pytest.approx(154.5 / 255, abs=0.003)
    config = CrossConfig(gains=(0.3, 1.0), normalise=("gain",))
    (result,) = measure_set(photos, [TOY], config, target=target, groups={})
    assert result.left_out == 2
    shares = {key: right.mean() for key, right in result.right.items()}
    assert shares == {(0.3, "as is"): 0, (0.3, "gain"): 1, (1.0, "as is"): 1, (1.0, "gain"): 1}
    assert compare(result, [0.3], "gain") == (1.0, [1.0, 1.0])
    assert compare(result, [0.3, 1.0], "gain") == (0.5, [0.5, 0.5])
    text = format_results([result], target=target)
    assert "| toy | gain | +100.0 (+100.0 to +100.0) | +0.0 (+0.0 to +0.0) |" in text
    assert "10 photos of 10 objects, 2 of other classes left out" in text


def test_photos_of_one_object_count_as_one(photos: Path) -> None:
    groups = {f"glass/{number}.png": "bottle" for number in range(10)}
    config = CrossConfig(gains=(1.0,), normalise=())
    (result,) = measure_set(photos, [TOY], config, target=0.5, groups=groups)
    assert set(result.objects) == {"bottle"}
    drawn = CrossConfig(gains=(1.0,), normalise=(), photos=5)
    (part,) = measure_set(photos, [TOY], drawn, target=0.5, groups={})
    assert len(part.objects) + part.left_out == 5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"gains": (0.0, 1.0)}, "gains must"),
        ({"gains": ()}, "gains must"),
        ({"normalise": ("magic",)}, "normalise takes"),
        ({"photos": -1}, "must not be negative"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CrossConfig(**settings)


def test_a_folder_without_known_classes_or_photos_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no photo of a class that toy knows"):
        measure_set(tmp_path / "nowhere", [TOY], CrossConfig(), target=0.5, groups={})
    with pytest.raises(DataError, match="holds no photos"):
        measure_reference(tmp_path / "nowhere")


def test_the_command_measures_bundles_and_keeps_report_csv_and_picture(
    toy_models: Path, processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = [str(toy_models / role) for role in ("teacher", "student")]
    options = [f"--data={processed.parent}", "--gains=[0.5,1.0]", f"--output={tmp_path / 'out'}"]
    assert main(["cross", *networks, *options]) == 0
    said = capsys.readouterr().out
    assert "| processed/test | student | gamma |" in said
    assert (tmp_path / "out/report.md").read_text() in f"# Photos from elsewhere\n\n{said}"
    rows = list(csv.DictReader((tmp_path / "out/accuracy.csv").read_text().splitlines()))
    assert len(rows) == 2 * 2 * 3
    assert {row["n"] for row in rows} == {"18"}
    assert (tmp_path / "out/accuracy-brightness.png").stat().st_size > 10_000
    assert main(["cross", networks[0], networks[0], *options]) == 2
    assert "told apart by the names" in capsys.readouterr().err
    assert open_network(toy_models / "teacher").labels
