"""Decoding accepts whatever a camera or a phone makes, refuses the rest in a sentence; one preprocessing."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from conftest import coloured_photo, encode, huge_png
from PIL import Image

from trashlens.errors import ImageError
from trashlens.image import ImageLimits, Preprocess, decode_image, list_photos, walk_photos


def quadrants() -> Image.Image:
    """Return 40×20 pixels: red, green above blue, white."""
    image = Image.new("RGB", (40, 20))
    for colour, corner in [("red", (0, 0)), ("lime", (20, 0)), ("blue", (0, 10)), ("white", (20, 10))]:
        image.paste(Image.new("RGB", (20, 10), colour), corner)
    return image


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [
        ("RGB", "JPEG"),
        ("CMYK", "JPEG"),
        ("L", "JPEG"),
        ("RGB", "PNG"),
        ("P", "PNG"),
        ("1", "PNG"),
        ("RGB", "WEBP"),
        ("P", "GIF"),
        ("RGB", "BMP"),
        ("CMYK", "TIFF"),
        ("RGB", "AVIF"),
    ],
)
def test_every_mode_becomes_rgb_of_the_same_brightness(mode: str, file_format: str) -> None:
    grey = Image.new("RGB", (32, 24), (200, 200, 200)).convert(mode)
    image = decode_image(encode(grey, file_format))
    assert (image.mode, image.size) == ("RGB", (32, 24))
    expected = np.asarray(grey.convert("RGB")).mean()
    assert abs(np.asarray(image).mean() - expected) < 4


def test_sixteen_bit_greyscale_is_scaled_not_clipped() -> None:
    levels = np.full((8, 8), 0x4000, np.uint16)
    image = decode_image(encode(Image.fromarray(levels), "PNG"))
    assert np.asarray(image).max() == 0x4000 // 257


def test_transparency_lies_on_white() -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert np.asarray(decode_image(encode(image, "PNG"))).min() == 255
    palette = Image.new("P", (8, 8), 0)
    assert np.asarray(decode_image(encode(palette, "PNG", transparency=0))).min() == 255


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data).getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(orientation: int) -> None:
    inverse = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = quadrants()
    stored = upright.transpose(inverse[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(decode_image(encode(stored, "PNG", exif=exif)), upright)


def test_a_large_jpeg_is_decoded_small_and_to_the_same_input() -> None:
    x, y = np.meshgrid(np.linspace(0, 255, 2400), np.linspace(0, 255, 1800))
    smooth = Image.fromarray(np.stack([x, y, 255 - x], axis=-1).astype(np.uint8))
    data = encode(smooth, "JPEG", quality=95)
    image = decode_image(data)
    assert min(image.size) == 450  # a quarter, still above 448
    full = Image.open(io.BytesIO(data)).convert("RGB")
    preprocess = Preprocess()
    assert np.abs(preprocess(image) - preprocess(full)).mean() < 0.005


def test_path_bytes_and_image_give_the_same(tmp_path: Path) -> None:
    photo = coloured_photo("glass")
    path = tmp_path / "photo.png"
    photo.save(path)
    for source in (path, str(path), path.read_bytes(), photo):
        assert np.array_equal(decode_image(source), photo)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file is empty."),
        (b"not a photo at all", "This is not an image that can be read."),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "This is not an image that can be read."),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "This is not an image that can be read."),
        (encode(coloured_photo("glass"), "JPEG")[:2000], "The image is damaged or cut off."),
        (encode(coloured_photo("glass"), "PNG")[:2000], "The image is damaged or cut off."),
        (huge_png(10_000, 10_000), "The image has 100 megapixels; the limit is 64."),
        (huge_png(60_000, 60_000), "The image has over 178 megapixels; the limit is 64."),
        (bytes(30 * 2**20 + 1), "The file has 30.1 MB; the limit is 30 MB."),
        (bytes(100 * 2**20), "The file has 100.0 MB; the limit is 30 MB."),
    ],
    ids=["empty", "text", "svg", "eps", "cut-jpeg", "cut-png", "large", "bomb", "just-over", "100-mb"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_photo_is_refused_in_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(ImageError) as refused:
        decode_image(data)
    assert str(refused.value).startswith(sentence)
    assert "Send " in str(refused.value)


def test_a_missing_file_a_folder_and_a_large_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"^There is no file .*gone\.jpg\. Give the path of a photo\.$"):
        decode_image(tmp_path / "gone.jpg")
    with pytest.raises(ImageError, match=r"cannot be opened \(is a directory\)"):
        decode_image(tmp_path)
    sparse = tmp_path / "sparse.jpg"
    with sparse.open("wb") as file:
        file.truncate(2 * 2**30)
    with pytest.raises(ImageError, match=r"^The file has 2048\.0 MB"):
        decode_image(sparse)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_and_a_device_are_refused_without_being_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero")):
        with pytest.raises(ImageError, match=r"is not a file\. Give the path of a photo\."):
            decode_image(path)


def test_limits_are_settings_and_must_make_sense() -> None:
    photo = coloured_photo("glass", size=(100, 100))
    with pytest.raises(ImageError, match="megapixels"):
        decode_image(photo, limits=ImageLimits(max_pixels=9_999))
    assert decode_image(photo, limits=ImageLimits(max_pixels=10_000)).size == (100, 100)
    with pytest.raises(ValueError, match="positive"):
        ImageLimits(max_bytes=0)


def test_preprocess_keeps_the_centre_square_and_normalises_by_hand() -> None:
    image = Image.new("RGB", (300, 100), "black")
    image.paste(Image.new("RGB", (100, 100), (255, 127, 0)), (100, 0))
    tensor = Preprocess(size_px=8)(image)
    assert (tensor.dtype, tensor.shape) == (np.float32, (3, 8, 8))
    expected = [(1 - 0.485) / 0.229, (127 / 255 - 0.456) / 0.224, (0 - 0.406) / 0.225]
    # Away from the crop's border, where the antialiasing sees what lies just outside.
    assert np.allclose(tensor[:, 3:5, 3:5].mean(axis=(1, 2)), expected, atol=1e-5)


def test_preprocess_crop_share_keeps_that_share_of_the_shorter_side() -> None:
    image = Image.new("RGB", (40, 40), "white")
    image.paste(Image.new("RGB", (20, 20), "black"), (10, 10))
    identity = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    assert Preprocess(size_px=10, crop_share=0.5, **identity)(image).mean() < 0.05
    assert Preprocess(size_px=10, crop_share=1.0, **identity)(image).mean() > 0.7


@pytest.mark.parametrize(
    "bad",
    [
        {"size_px": 0},
        {"size_px": 512},
        {"size_px": 400, "crop_share": 0.5},
        {"crop_share": 0.0},
        {"crop_share": 1.1},
        {"std": (0.0, 1, 1)},
    ],
)
def test_preprocess_refuses_contradictions(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        Preprocess(**bad)


def test_photos_of_a_folder_are_found_in_order_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "deep/c.webp", "notes.txt", "model.onnx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(p.relative_to(tmp_path)) for p in list_photos(tmp_path)] == [
        "a.png",
        "b.JPG",
        "deep/c.webp",
    ]


def test_a_folder_is_walked_in_the_order_of_the_paths_and_no_further_than_asked(tmp_path: Path) -> None:
    names = ("a/z.jpg", "a.jpg", "a/b/c.png", "a-b/x.bmp", "B/1.gif", "b/10.tiff", "b/9.jpg", "é.webp")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "folder.jpg").mkdir()
    (tmp_path / "b" / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "b" / "linked.jpg").symlink_to("9.jpg")
    (tmp_path / "b" / "round").symlink_to(tmp_path, target_is_directory=True)
    walk = walk_photos(tmp_path)
    first = next(walk)
    (tmp_path / "b" / "late.jpg").touch()  # its folder is not read yet
    found = [first, *walk]
    assert found == sorted(found)
    expected = {tmp_path / name for name in (*names, "b/late.jpg", "b/linked.jpg")}
    assert set(found) == expected
    assert list(walk_photos(tmp_path / "nowhere")) == list(walk_photos(tmp_path / "a.jpg")) == []
