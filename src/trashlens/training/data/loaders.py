"""Prepared photos -> batches: decoded once, augmented while training, preprocessed as in serving otherwise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from trashlens.errors import DataError
from trashlens.image import Preprocess, decode_image, list_labelled, list_photos
from trashlens.training.data.augment import AugmentConfig, BatchAugmentation, PhotoAugmentation
from trashlens.training.data.cutouts import read_cutouts

__all__ = [
    "LoaderConfig",
    "Loaders",
    "PhotoSet",
    "Split",
    "load_split",
    "make_loaders",
    "read_labels",
    "read_photos",
]


@dataclass(frozen=True, kw_only=True)
class LoaderConfig:
    """How photos are grouped into batches."""

    batch_size: int = 32
    """Photos in a training batch, of each process."""
    workers: int = 0
    """Loader processes; 0 loads in the training process, best where the cores are few."""

    def __post_init__(self) -> None:
        if self.batch_size < 2:
            raise ValueError("loader.batch_size must be at least 2: batch norm needs a batch.")
        if self.workers < 0:
            raise ValueError("loader.workers must not be negative.")


class PhotoSet(Dataset[tuple[Tensor, int]]):
    """Decoded photos, 8-bit RGB (0.26 MB each at 256 px), seen through a transform."""

    def __init__(
        self,
        images: Sequence[Any],
        labels: Sequence[int],
        transform: Callable[[Any], Tensor],
    ) -> None:
        """Take the photos, their class indices, and what is done to a photo at each access."""
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return the transformed photo and its class index."""
        return self.transform(self.images[index]), self.labels[index]


@dataclass(frozen=True)
class ServingTransform:
    """The bundle's own preprocessing, as a tensor."""

    preprocess: Preprocess

    def __call__(self, image: Image.Image) -> Tensor:
        """Return float32 [3, size_px, size_px]."""
        return torch.from_numpy(self.preprocess(image))


@dataclass(frozen=True, kw_only=True)
class Loaders:
    """Batches of `(images float32 [B, 3, H, W], labels int64 [B])`."""

    train: DataLoader[Any]
    """Augmented and shuffled; H = W = augment.size_px; the last, smaller batch is dropped; with mixup or
    empty views the labels are float32 [B, classes]."""
    val: DataLoader[Any]
    """Preprocessed as in serving, in order."""
    probe: DataLoader[Any]
    """The training photos as `val` sees them: not augmented, in order."""
    labels: tuple[str, ...]
    """Class names by index."""
    class_counts: Tensor
    """Training photos of each class, float32 [classes]."""
    generator: torch.Generator
    """What the loader processes are seeded from; seed it anew for each epoch."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """One split of the prepared photos, decoded."""

    images: list[Image.Image]
    """RGB."""
    classes: list[int]
    """Class index of each image."""
    paths: list[Path]
    """Where each image lies."""
    labels: tuple[str, ...]
    """Class names by index."""


def load_split(processed: Path, split: str) -> Split:
    """Return one split of the prepared photos.

    Raises:
        DataError: nothing has been prepared there.
    """
    folder = processed / split
    if not folder.is_dir():
        raise DataError(f"{processed} holds no prepared photos. Run `trashlens data` first.")
    datasets.disable_progress_bars()  # "Downloading" would alarm who is offline; nothing is downloaded
    photos = datasets.load_dataset("imagefolder", data_files={split: str(folder / "**")}, split=split)
    rows = photos.cast_column("image", datasets.Image(decode=False))["image"]
    return Split(
        images=[decode_image(row["bytes"] or row["path"]) for row in rows],
        classes=list(photos["label"]),
        paths=[Path(row["path"]) for row in rows],
        labels=tuple(photos.features["label"].names),
    )


def read_labels(processed: Path) -> tuple[str, ...]:
    """Return the classes that `make_loaders` finds among the photos to train on, without decoding any.

    Raises:
        DataError: nothing has been prepared there.
    """
    labels = tuple(sorted({path.parent.name for path in list_photos(processed / "train")}))
    if not labels:
        raise DataError(f"{processed} holds no prepared photos. Run `trashlens data` first.")
    return labels


def make_loaders(
    processed: Path,
    *,
    preprocess: Preprocess,
    augment: AugmentConfig,
    loader: LoaderConfig,
    seed: int,
) -> Loaders:
    """Return the loaders of the train and val splits; the test split is not touched."""
    known, unknown = load_split(processed, "train"), load_split(processed, "val")
    val_classes = _align(unknown, known.labels)
    serving = ServingTransform(preprocess)
    generator = torch.Generator().manual_seed(seed)
    options: dict[str, Any] = {
        "batch_size": loader.batch_size,
        "num_workers": loader.workers,
        "pin_memory": torch.cuda.is_available(),
    }
    photos: Sequence[Any] = known.images
    if augment.background:
        photos = read_cutouts(processed.parent / "cutouts", known.paths, known.images)
    change = PhotoAugmentation(augment, seed=seed)
    train = DataLoader(
        PhotoSet(photos, known.classes, change),
        shuffle=True,
        drop_last=True,
        collate_fn=BatchAugmentation(
            augment, preprocess, classes=len(known.labels), grounds=change.grounds
        ),
        generator=generator,
        **options,
    )
    return Loaders(
        train=train,
        val=DataLoader(PhotoSet(unknown.images, val_classes, serving), **options),
        probe=DataLoader(PhotoSet(known.images, known.classes, serving), **options),
        labels=known.labels,
        class_counts=torch.bincount(torch.tensor(known.classes), minlength=len(known.labels)).float(),
        generator=generator,
    )


def _align(split: Split, labels: Sequence[str]) -> list[int]:
    """Return a split's class indices among `labels`: a rare class may be missing there, which shifts its own.

    Raises:
        DataError: it has a class that `labels` lacks.
    """
    strange = sorted({*split.labels} - {*labels})
    if strange:
        raise DataError(
            f"There are photos of {', '.join(strange)} to validate on and none to train on. "
            "Run `trashlens data` again."
        )
    return [labels.index(split.labels[index]) for index in split.classes]


def read_photos(
    folder: Path, labels: Sequence[str], preprocess: Preprocess, *, sample: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return every photo of `folder/<class>/` as serving sees it, and its class index.

    With `sample` it is at most so many, drawn with a fixed seed. The shapes are float32 [N, 3, size_px, size_px]
    (0.6 MB a photo at 224 px) and int64 [N].

    Raises:
        DataError: there are none.
    """
    photos = list_labelled(folder, labels)
    if not photos:
        raise DataError(f"{folder} holds no prepared photos. Run `trashlens data` first.")
    if sample is not None:
        chosen = np.random.default_rng(0).permutation(len(photos))[:sample]
        photos = [photos[index] for index in chosen]
    images = np.stack([preprocess(decode_image(path)) for path, _ in photos])
    return images, np.array([labels.index(label) for _, label in photos])
