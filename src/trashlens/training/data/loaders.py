"""Prepared photos -> batches: decoded once, augmented while training, preprocessed as in serving otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from trashlens.errors import DataError
from trashlens.image import Preprocess, decode_image, list_photos

__all__ = [
    "AugmentConfig",
    "LoaderConfig",
    "Loaders",
    "PhotoSet",
    "load_split",
    "make_loaders",
    "read_photos",
]

HUB_SPLIT = {"train": "train", "val": "validation", "test": "test"}
"""Our split names in the terms of `datasets`."""


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """What happens to a training photo before normalisation; nothing of it happens in evaluation."""

    size_px: int = 192
    """Side of the training crop, pixels; a bit below the evaluation size (Touvron et al. 2019)."""
    min_area: float = 0.35
    """Smallest share of the photo's area in a random crop."""
    flip: bool = True
    """Mirror at random, left-right and upside down: waste has no upright."""
    jitter: float = 0.3
    """Largest relative change of brightness, contrast and saturation; drawn once a batch, where it is cheap."""

    def __post_init__(self) -> None:
        if self.size_px < 16:
            raise ValueError("augment.size_px must be at least 16.")
        if not 0 < self.min_area <= 1:
            raise ValueError("augment.min_area must lie in (0, 1].")
        if not 0 <= self.jitter < 1:
            raise ValueError("augment.jitter must lie in [0, 1).")


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


class PhotoSet(Dataset[tuple[Any, int]]):
    """Photos of one split, decoded once and kept as 8-bit RGB (0.26 MB each at 256 px)."""

    def __init__(self, photos: datasets.Dataset, transform: Any) -> None:
        """Decode every photo; `transform` takes the RGB PIL image at each access."""
        raw = photos.cast_column("image", datasets.Image(decode=False))
        self.images = [decode_image(row["bytes"] or row["path"]) for row in raw["image"]]
        self.labels: list[int] = list(photos["label"])
        self.transform = transform

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Return the transformed photo and its class index."""
        return self.transform(self.images[index]), self.labels[index]


@dataclass(frozen=True, kw_only=True)
class Loaders:
    """Batches of `(images float32 [B, 3, H, W], labels int64 [B])`."""

    train: DataLoader[Any]
    """Augmented and shuffled; H = W = augment.size_px; the last, smaller batch is dropped."""
    val: DataLoader[Any]
    """Preprocessed as in serving, in order."""
    probe: DataLoader[Any]
    """The training photos as `val` sees them: not augmented, in order."""
    labels: tuple[str, ...]
    """Class names by index."""
    class_counts: Tensor
    """Training photos of each class, float32 [classes]."""


def load_split(processed: Path, split: str) -> datasets.Dataset:
    """Return one split of the prepared photos: columns `image` and `label`.

    Raises:
        DataError: nothing has been prepared there.

    """
    folder = processed / split
    if not folder.is_dir():
        raise DataError(f"{processed} holds no prepared photos. Run `trashlens data` first.")
    name = HUB_SPLIT[split]
    return datasets.load_dataset("imagefolder", data_files={name: str(folder / "**")}, split=name)


def make_loaders(
    processed: Path,
    *,
    preprocess: Preprocess,
    augment: AugmentConfig,
    loader: LoaderConfig,
    seed: int,
) -> Loaders:
    """Return the loaders of the train and val splits; the test split is not touched."""
    photos = {split: load_split(processed, split) for split in ("train", "val")}
    labels = tuple(photos["train"].features["label"].names)
    train = PhotoSet(photos["train"], _spatial_augmentation(augment))
    probe = _with_transform(train, lambda image: torch.from_numpy(preprocess(image)))
    val = PhotoSet(photos["val"], probe.transform)
    options: dict[str, Any] = {
        "batch_size": loader.batch_size,
        "num_workers": loader.workers,
        "persistent_workers": loader.workers > 0,
        "pin_memory": torch.cuda.is_available(),
    }
    return Loaders(
        train=DataLoader(
            train,
            shuffle=True,
            drop_last=True,
            collate_fn=BatchAugmentation(augment, preprocess),
            generator=torch.Generator().manual_seed(seed),
            **options,
        ),
        val=DataLoader(val, **options),
        probe=DataLoader(probe, **options),
        labels=labels,
        class_counts=torch.bincount(torch.tensor(train.labels), minlength=len(labels)).float(),
    )


def read_photos(
    folder: Path, labels: Sequence[str], preprocess: Preprocess
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return every photo of `folder/<class>/` as serving sees it, and its class index.

    The shapes are float32 [N, 3, size_px, size_px] (0.6 MB a photo at 224 px) and int64 [N].

    Raises:
        DataError: there are none.

    """
    paths = [path for path in list_photos(folder) if path.parent.name in labels]
    if not paths:
        raise DataError(f"{folder} holds no prepared photos. Run `trashlens data` first.")
    images = np.stack([preprocess(decode_image(path)) for path in paths])
    return images, np.array([labels.index(path.parent.name) for path in paths])


class BatchAugmentation:
    """Collates uint8 photos, jitters the batch's colours and normalises: cheap, since done once a batch."""

    def __init__(self, augment: AugmentConfig, preprocess: Preprocess) -> None:
        """Take the strength from `augment` and mean and std from `preprocess`."""
        jitter = augment.jitter
        self.transform = v2.Compose(
            [
                v2.ToDtype(torch.float32, scale=True),
                v2.ColorJitter(brightness=jitter, contrast=jitter, saturation=jitter),
                v2.Normalize(mean=list(preprocess.mean), std=list(preprocess.std)),
            ]
        )

    def __call__(self, batch: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
        """Return float32 images [B, 3, H, W] and int64 labels [B]."""
        images, labels = zip(*batch, strict=True)
        return self.transform(torch.stack(images)), torch.tensor(labels)


def _spatial_augmentation(augment: AugmentConfig) -> v2.Transform:
    flips = [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()] if augment.flip else []
    crop = v2.RandomResizedCrop(augment.size_px, scale=(augment.min_area, 1.0), antialias=True)
    return v2.Compose([v2.PILToTensor(), crop, *flips])


def _with_transform(photos: PhotoSet, transform: Any) -> PhotoSet:
    """Return the same decoded photos seen through another transform."""
    other = PhotoSet.__new__(PhotoSet)
    other.images, other.labels, other.transform = photos.images, photos.labels, transform
    return other
