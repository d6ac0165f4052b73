"""What happens to training photos on top of preprocessing: other crops, light and grounds, mixed pairs."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from trashlens.image import Preprocess
from trashlens.training.data.backgrounds import TRAINED_ON, Grounds
from trashlens.training.data.foreground import Cutout, place

__all__ = ["AugmentConfig", "BatchAugmentation", "PhotoAugmentation", "change_light"]

GROUNDS = 300
"""Grounds drawn for a run; each is turned and lit anew at each use."""


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
    light: float = 0.0
    """Spread of each photo's exposure, gamma and colour cast, as the deviation of their logarithms: TrashNet's
    classes were photographed in different light, and a network would learn the light."""
    background: float = 0.0
    """Share of the views in which the object lies on a drawn ground instead of TrashNet's board."""
    min_scale: float = 0.4
    """Smallest size of an object on a drawn ground, relative to the photo."""
    empty: float = 0.0
    """Share of the views that show a drawn ground and no object; the answer to learn is that every class is as
    likely (outlier exposure, Hendrycks et al. 2019), so that no ground speaks for a class."""
    random_ops: int = 0
    """Further changes of each view, drawn from RandAugment's fourteen (Cubuk et al. 2020); 0 for none. They take
    a few milliseconds each."""
    random_magnitude: int = 9
    """Strength of these changes, 0 to 30."""
    mixup: float = 0.0
    """Blend each batch with itself in another order by a share from Beta(mixup, mixup) (Zhang et al. 2018);
    0 for never, 1 for any share alike. The labels are blended too."""

    def __post_init__(self) -> None:
        if self.size_px < 16:
            raise ValueError("augment.size_px must be at least 16.")
        if not 0 < self.min_area <= 1:
            raise ValueError("augment.min_area must lie in (0, 1].")
        if not 0 <= self.jitter < 1:
            raise ValueError("augment.jitter must lie in [0, 1).")
        if not 0 <= self.light < 1:
            raise ValueError("augment.light must lie in [0, 1).")
        if not 0 <= self.background <= 1:
            raise ValueError("augment.background must lie in [0, 1].")
        if not 0 <= self.empty < 1:
            raise ValueError("augment.empty must lie in [0, 1).")
        if not 0 < self.min_scale <= 1:
            raise ValueError("augment.min_scale must lie in (0, 1].")
        if self.random_ops < 0 or not 0 <= self.random_magnitude <= 30:
            raise ValueError(
                "augment.random_ops must not be negative, and augment.random_magnitude must lie in [0, 30]."
            )
        if self.mixup < 0:
            raise ValueError("augment.mixup must not be negative.")


class PhotoAugmentation:
    """What each photo passes on its own: a random crop, or its object on a drawn ground; then other light.

    Everything is drawn from torch's global generator, which the training loop seeds for each epoch.
    """

    def __init__(self, augment: AugmentConfig, *, seed: int = 0) -> None:
        """Draw the grounds, where some are wanted, from the seed."""
        self.augment = augment
        flips = [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()] if augment.flip else []
        crop = v2.RandomResizedCrop(augment.size_px, scale=(augment.min_area, 1.0), antialias=True)
        self.crop = v2.Compose([crop, *flips])
        self.random = None
        if augment.random_ops:
            self.random = v2.RandAugment(augment.random_ops, augment.random_magnitude)
        count = GROUNDS if augment.background or augment.empty else 0
        self.grounds = Grounds(augment.size_px, count, TRAINED_ON, seed=seed)

    def __call__(self, photo: Image.Image | Cutout) -> Tensor:
        """Return uint8 [3, size_px, size_px]; only a photo that was taken apart can get another ground."""
        rng = np.random.default_rng(int(torch.randint(2**62, ()).item()))
        if isinstance(photo, Cutout) and rng.random() < self.augment.background:
            view = place(
                photo,
                rng,
                self.grounds,
                size_px=self.augment.size_px,
                scales=(self.augment.min_scale, 1.25),
            )
        else:
            image = photo.image if isinstance(photo, Cutout) else np.asarray(photo)
            cropped = self.crop(torch.from_numpy(image.copy()).permute(2, 0, 1))
            view = cropped.permute(1, 2, 0).numpy()
        if self.augment.light:
            view = change_light(view, rng, self.augment.light)
        pixels = torch.from_numpy(np.ascontiguousarray(view.transpose(2, 0, 1)))
        return pixels if self.random is None else self.random(pixels)


def change_light(photo: NDArray[np.uint8], rng: np.random.Generator, spread: float) -> NDArray[np.uint8]:
    """Return the photo, RGB uint8 [H, W, 3], in other exposure, gamma and colour of light."""
    gain = np.exp(rng.normal(0, spread) + rng.normal(0, spread / 2, 3))
    gamma = np.exp(rng.normal(0, spread))
    curve = 255 * gain * np.linspace(0, 1, 256)[:, np.newaxis] ** gamma
    table = np.clip(curve, 0, 255).astype(np.uint8)[np.newaxis]
    return np.asarray(cv2.LUT(np.ascontiguousarray(photo), table), np.uint8)


class BatchAugmentation:
    """Collates uint8 photos, empties some, jitters the batch's colours, normalises and mixes.

    It is cheap, since all but the first is done once a batch.
    """

    def __init__(
        self, augment: AugmentConfig, preprocess: Preprocess, *, classes: int, grounds: Grounds
    ) -> None:
        """Take the strength from `augment`, mean and std from `preprocess`; empty views show the grounds."""
        self.classes, self.empty, self.grounds = classes, augment.empty, grounds
        jitter = augment.jitter
        self.transform = v2.Compose(
            [
                v2.ToDtype(torch.float32, scale=True),
                v2.ColorJitter(brightness=jitter, contrast=jitter, saturation=jitter),
                v2.Normalize(mean=list(preprocess.mean), std=list(preprocess.std)),
            ]
        )
        self.mix: Callable[..., tuple[Tensor, Tensor]] | None = None
        if augment.mixup:
            self.mix = v2.MixUp(alpha=augment.mixup, num_classes=classes)

    def __call__(self, batch: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
        """Return float32 images [B, 3, H, W] and labels: int64 [B], or float32 [B, classes] if mixed or empty."""
        photos, classes = zip(*batch, strict=True)
        images, labels = torch.stack(photos), torch.tensor(classes)
        if self.empty:
            labels = F.one_hot(labels, self.classes).float()
            for index in torch.nonzero(torch.rand(len(photos)) < self.empty).flatten().tolist():
                images[index] = self._draw_empty()
                labels[index] = 1 / self.classes
        images = self.transform(images)
        return self.mix(images, labels) if self.mix else (images, labels)

    def _draw_empty(self) -> Tensor:
        rng = np.random.default_rng(int(torch.randint(2**62, ()).item()))
        ground = np.clip(255 * self.grounds.pick(rng), 0, 255).astype(np.uint8)
        return torch.from_numpy(ground).permute(2, 0, 1)
