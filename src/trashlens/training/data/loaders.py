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
from torchvision.transforms import v2

from trashlens.errors import DataError
from trashlens.image import Preprocess, decode_image, list_labelled

__all__ = [
    "AugmentConfig",
    "BatchAugmentation",
    "LoaderConfig",
    "Loaders",
    "PhotoSet",
    "load_split",
    "make_loaders",
    "read_photos",
    "spatial_augmentation",
]


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
        if self.workers < 0:
            raise ValueError("loader.workers must not be negative.")


class PhotoSet(Dataset[tuple[Tensor, int]]):
    """Decoded photos, 8-bit RGB (0.26 MB each at 256 px), seen through a transform."""

    def __init__(
        self,
        images: Sequence[Image.Image],
        labels: Sequence[int],
        transform: Callable[[Image.Image], Tensor],
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
    """Augmented and shuffled; H = W = augment.size_px; the last, smaller batch is dropped."""
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


def load_split(processed: Path, split: str) -> tuple[list[Image.Image], list[int], tuple[str, ...]]:
    """Return one split of the prepared photos: RGB images, class indices, class names.

    Raises:
        DataError: nothing has been prepared there.
    """
    folder = processed / split
    if not folder.is_dir():
        raise DataError(f"{processed} holds no prepared photos. Run `trashlens data` first.")
    datasets.disable_progress_bars()  # "Downloading" would alarm who is offline; nothing is downloaded
    photos = datasets.load_dataset("imagefolder", data_files={split: str(folder / "**")}, split=split)
    raw = photos.cast_column("image", datasets.Image(decode=False))
    images = [decode_image(row["bytes"] or row["path"]) for row in raw["image"]]
    return images, list(photos["label"]), tuple(photos.features["label"].names)


def make_loaders(
    processed: Path,
    *,
    preprocess: Preprocess,
    augment: AugmentConfig,
    loader: LoaderConfig,
    seed: int,
) -> Loaders:
    """Return the loaders of the train and val splits; the test split is not touched."""
    images, classes, labels = load_split(processed, "train")
    val_images, val_classes, _ = load_split(processed, "val")
    serving = ServingTransform(preprocess)
    generator = torch.Generator().manual_seed(seed)
    options: dict[str, Any] = {
        "batch_size": loader.batch_size,
        "num_workers": loader.workers,
        "pin_memory": torch.cuda.is_available(),
    }
    train = DataLoader(
        PhotoSet(images, classes, spatial_augmentation(augment)),
        shuffle=True,
        drop_last=True,
        collate_fn=BatchAugmentation(augment, preprocess),
        generator=generator,
        **options,
    )
    return Loaders(
        train=train,
        val=DataLoader(PhotoSet(val_images, val_classes, serving), **options),
        probe=DataLoader(PhotoSet(images, classes, serving), **options),
        labels=labels,
        class_counts=torch.bincount(torch.tensor(classes), minlength=len(labels)).float(),
        generator=generator,
    )


def read_photos(
    folder: Path, labels: Sequence[str], preprocess: Preprocess
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return every photo of `folder/<class>/` as serving sees it, and its class index.

    The shapes are float32 [N, 3, size_px, size_px] (0.6 MB a photo at 224 px) and int64 [N].

    Raises:
        DataError: there are none.
    """
    photos = list_labelled(folder, labels)
    if not photos:
        raise DataError(f"{folder} holds no prepared photos. Run `trashlens data` first.")
    images = np.stack([preprocess(decode_image(path)) for path, _ in photos])
    return images, np.array([labels.index(label) for _, label in photos])


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


def spatial_augmentation(augment: AugmentConfig) -> v2.Transform:
    """Return what each photo passes on its own: PIL image -> uint8 [3, size_px, size_px]."""
    flips = [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()] if augment.flip else []
    crop = v2.RandomResizedCrop(augment.size_px, scale=(augment.min_area, 1.0), antialias=True)
    return v2.Compose([v2.PILToTensor(), crop, *flips])
