"""Sheets of captioned thumbnails: samples, traps of the data set, augmentation, mistakes."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from trashlens.image import Preprocess, decode_image
from trashlens.scoreboard import SOFT
from trashlens.training.data import LABELS, AugmentConfig, Photo
from trashlens.training.data.augment import BatchAugmentation, PhotoAugmentation
from trashlens.training.data.foreground import cut_out
from trashlens.training.evaluate import rank_by_loss

__all__ = [
    "CREDIT",
    "SPLIT_COLOURS",
    "draw_augmentation",
    "draw_mistakes",
    "draw_photos",
    "draw_samples",
    "draw_sheet",
    "make_thumbnail",
]

CREDIT = "Photos: TrashNet, Gary Thung and Mindy Yang, MIT licence"
THUMBNAIL_PX = 96
"""Longer side of a photo on a sheet, pixels."""
SPLIT_COLOURS = {"train": "#5f6f80", "val": "#b4bec8", "test": "#a67d00"}


def draw_photos(
    files: Mapping[str, bytes], paths: Sequence[str], *, manifest: Sequence[Photo] = (), columns: int = 6
) -> Figure:
    """Return a sheet of the photos at `paths`, named, and with the split each is in where `manifest` says."""
    splits = {photo.path: photo.split for photo in manifest}
    captions = [f"{Path(path).stem}\n{splits.get(path, '')}".rstrip() for path in paths]
    colours = [SPLIT_COLOURS.get(splits.get(path, ""), SOFT) for path in paths]
    return draw_sheet([files[path] for path in paths], captions, colours=colours, columns=columns)


def draw_samples(files: Mapping[str, bytes], *, each: int = 6) -> Figure:
    """Return a sheet with one row a class: `each` photos, evenly spread over the class's files."""
    paths: list[str] = []
    for label in LABELS:
        members = sorted(path for path in files if path.startswith(f"{label}/"))
        paths += members[:: len(members) // each][:each]
    return draw_photos(files, paths, columns=each)


def draw_mistakes(
    photos: Sequence[tuple[bytes | Path, str]],
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    *,
    count: int = 12,
) -> Figure:
    """Return a sheet of the photos that a network got wrong, those whose true class it doubted most first."""
    predicted = probabilities.argmax(axis=1)
    worst = [index for index in rank_by_loss(labels, probabilities) if predicted[index] != labels[index]]
    captions = [
        f"is {LABELS[labels[i]]}\nsays {LABELS[predicted[i]]} {probabilities[i].max():.0%}"
        for i in worst[:count]
    ]
    return draw_sheet([photos[i][0] for i in worst[:count]], captions, columns=6)


def draw_augmentation(
    photo: bytes, augment: AugmentConfig, preprocess: Preprocess, *, count: int = 5, seed: int = 0
) -> Figure:
    """Return the photo and what training makes of it, `count` times; drawn from `seed`."""
    change = PhotoAugmentation(augment, seed=seed)
    collate = BatchAugmentation(augment, preprocess, classes=len(LABELS), grounds=change.grounds)
    image = decode_image(photo)
    taken_apart = cut_out(np.array(image)) if augment.background else image
    sheet: list[bytes | Image.Image] = [image]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(count):
            batch, _labels = collate([(change(taken_apart), 0)])
            pixels = batch[0].permute(1, 2, 0).numpy() * preprocess.std + preprocess.mean
            sheet.append(Image.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8)))
    return draw_sheet(sheet, ["the photo", *(f"view {n + 1}" for n in range(count))], columns=count + 1)


def draw_sheet(
    photos: Sequence[bytes | Path | Image.Image],
    captions: Sequence[str],
    *,
    columns: int,
    colours: Sequence[str] = (),
) -> Figure:
    """Return captioned thumbnails in rows, drawn at their own size."""
    thumbnails = [make_thumbnail(photo) for photo in photos]
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    width = THUMBNAIL_PX + 20
    height = max((image.height for image in thumbnails), default=0) + 8 + 15 * lines
    rows = math.ceil(len(photos) / columns)
    # One unit of the axes is one pixel at matplotlib's usual 100 per inch.
    figure = Figure(figsize=(columns * width / 100, (rows * height + 16) / 100))
    axes = figure.add_axes((0, 0, 1, 1))
    for index, (image, caption) in enumerate(zip(thumbnails, captions, strict=True)):
        row, column = divmod(index, columns)
        x, y = column * width, row * height
        axes.imshow(image, extent=(x, x + image.width, y + image.height, y))
        colour = colours[index] if colours else SOFT
        axes.text(
            x, y + image.height + 3, caption, va="top", fontsize=7.5, color=colour, linespacing=1.25
        )
    axes.set(xlim=(0, columns * width), ylim=(rows * height + 16, 0), aspect="auto")
    axes.text(0, rows * height + 13, CREDIT, fontsize=6.5, color=SOFT)
    axes.set_axis_off()
    return figure


def make_thumbnail(photo: bytes | Path | Image.Image) -> Image.Image:
    """Return the photo with its longer side at `THUMBNAIL_PX`."""
    image = photo if isinstance(photo, Image.Image) else decode_image(photo)
    scale = THUMBNAIL_PX / max(image.size)
    return image.resize(
        (round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS
    )
