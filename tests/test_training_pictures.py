"""The pictures show what they are said to show: photos as thumbnails, the worst mistakes first, right numbers."""

import io

import numpy as np
import pytest
import torch
from conftest import LABELS, coloured_photo
from matplotlib.figure import Figure

from trashlens.classifier import Prediction
from trashlens.comparison import Comparison
from trashlens.image import Preprocess
from trashlens.training.data import AugmentConfig, Photo
from trashlens.training.evaluate import change_temperature
from trashlens.training.pictures import (
    draw_answers,
    draw_augmentation,
    draw_calibration,
    draw_groups,
    draw_mistakes,
    draw_pairs,
    draw_photos,
    draw_samples,
    draw_soft_targets,
    draw_split,
)


def jpeg(label: str, *, size: tuple[int, int] = (320, 240), seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    coloured_photo(label, size=size, seed=seed).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {f"{label}/{label}{n}.jpg": jpeg(label, seed=n) for label in LABELS for n in range(1, 6)}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def pictures(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for axes in figure.axes for image in axes.images]


def bar_widths(figure: Figure) -> list[list[float]]:
    return [[bar.get_width() for bar in axes.patches] for axes in figure.axes if axes.patches]


def test_groups_begin_on_their_own_rows_the_largest_first(files: dict[str, bytes]) -> None:
    groups = {f"metal/metal{n}.jpg": "metal1" for n in (1, 2, 3)} | {"glass/glass1.jpg": "glass1"}
    groups |= {"paper/paper1.jpg": "paper1", "paper/paper2.jpg": "paper1"}
    manifest = [Photo(path="metal/metal2.jpg", label="metal", split="test", sha256="0")]
    figure = draw_groups(files, groups, manifest=manifest, count=2)
    *captions, _ = texts(figure)
    blank = [""]
    assert captions == [
        *("metal1", "metal2\ntest", "metal3", *blank * 7),
        *("paper1", "paper2", *blank * 8),
    ]


def test_pairs_are_side_by_side_with_their_likeness(files: dict[str, bytes]) -> None:
    figure = draw_pairs(files, [("metal/metal1.jpg", "metal/metal2.jpg", 0.456)])
    assert texts(figure)[:2] == ["metal1", "metal2\nalike: 0.46"]
    first, second = pictures(figure)
    assert not np.array_equal(first, second)


def test_photos_are_named_credited_and_small(files: dict[str, bytes]) -> None:
    paths = ["metal/metal1.jpg", "glass/glass2.jpg"]
    manifest = [Photo(path=paths[0], label="metal", split="test", sha256="0")]
    figure = draw_photos(files, paths, manifest=manifest)
    *captions, credit = texts(figure)
    assert captions == ["metal1\ntest", "glass2"]
    assert "Thung" in credit
    assert "MIT" in credit
    assert [picture.shape for picture in pictures(figure)] == [(72, 96, 3)] * 2


def test_samples_come_from_every_class_in_order(files: dict[str, bytes]) -> None:
    captions = texts(draw_samples(files, each=2))[:-1]
    assert captions == [f"{label}{n}" for label in LABELS for n in (1, 3)]


def test_only_mistakes_are_shown_and_the_worst_comes_first() -> None:
    photos = [(jpeg("glass"), "glass"), (jpeg("metal"), "metal"), (jpeg("paper"), "paper")]
    labels = np.array([1, 2, 3])
    probabilities = np.zeros((3, 6))
    probabilities[[0, 0, 1, 1, 2], [1, 4, 2, 0, 5]] = 0.4, 0.6, 0.9, 0.1, 1.0
    figure = draw_mistakes(photos, labels, probabilities)
    assert texts(figure)[:-1] == ["is paper\nsays trash 100%", "is glass\nsays plastic 60%"]


def test_augmentation_is_what_training_does_drawn_from_its_seed() -> None:
    photo, plain = jpeg("plastic"), AugmentConfig(size_px=96, min_area=1.0, flip=False, jitter=0.0)
    torch.manual_seed(5)
    first, again, other = (
        pictures(draw_augmentation(photo, AugmentConfig(size_px=96), Preprocess(), seed=seed))
        for seed in (1, 1, 2)
    )
    assert torch.initial_seed() == 5
    assert len(first) == 6
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[1], other[1])
    # Without randomness only the crop's shape differs: the colour is the photo's own.
    original, *views = pictures(draw_augmentation(photo, plain, Preprocess()))
    assert all(np.abs(view.mean((0, 1)) - original.mean((0, 1))).max() < 3 for view in views)


def test_the_split_is_counted_by_class() -> None:
    rows = [("train", "glass", 3), ("val", "glass", 1), ("test", "trash", 2)]
    manifest = [
        Photo(path=f"{label}/{n}.jpg", label=label, split=split, sha256="0")
        for split, label, count in rows
        for n in range(count)
    ]
    widths = np.array(bar_widths(draw_split(manifest))[0]).reshape(3, 6)
    assert widths.sum() == 6
    assert widths[0, LABELS.index("glass")] == 3
    assert widths[2, LABELS.index("trash")] == 2


def test_soft_targets_and_answers_show_the_probabilities() -> None:
    values = np.array([0.7, 0.1, 0.1, 0.05, 0.03, 0.02])
    confidences = dict(zip(LABELS, values.tolist(), strict=True))
    soft = draw_soft_targets(jpeg("glass"), confidences, fitted=0.5, temperatures=(0.5, 3.0))
    calibrated, softened = bar_widths(soft)
    assert calibrated == pytest.approx(values)
    assert softened == pytest.approx(change_temperature(values, old=0.5, new=3.0))
    prediction = Prediction(confidences=confidences, infer_ms=7.0, bundle="0" * 64)
    comparison = Comparison(decode_ms=1.0, preprocess_ms=1.0, predictions={"student": prediction})
    answers = draw_answers(jpeg("glass"), comparison)
    assert bar_widths(answers) == [pytest.approx(values)]
    assert answers.axes[1].get_title(loc="left") == "student, 7.0 ms"


def test_an_answer_that_does_not_count_is_said_to() -> None:
    confidences = dict(zip(LABELS, [0.4, 0.2, 0.1, 0.1, 0.1, 0.1], strict=True))
    said = {
        role: Prediction(confidences=confidences, infer_ms=7.0, bundle="0" * 64, sure=role == "teacher")
        for role in ("teacher", "student")
    }
    figure = draw_answers(jpeg("glass"), Comparison(decode_ms=1.0, preprocess_ms=1.0, predictions=said))
    titles = [axes.get_title(loc="left") for axes in figure.axes[1:]]
    assert titles == ["teacher, 7.0 ms", "student, 7.0 ms\nnot sure"]


def test_calibration_is_drawn_before_and_after() -> None:
    labels = np.zeros(100, np.int64)
    probabilities = np.tile([0.9, 0.1], (100, 1))
    probabilities[:10] = [0.1, 0.9]  # right in 90 of 100, and claims 90 %
    figure = draw_calibration(labels, probabilities, fitted=0.5)
    before, after = (axes.get_title(loc="left") for axes in figure.axes)
    assert before == "as trained, T = 1:  ECE 0.150"  # sqrt(9) to 1 is 0.75
    assert after == "calibrated, T = 0.50:  ECE 0.000"
