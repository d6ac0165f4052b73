"""RGB image -> a network's input, in one definition that travels in the bundle."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trashlens.image.pixels import DRAFT_PX

__all__ = ["Preprocess"]


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """The one definition of how an RGB image becomes a network's input; it travels in the bundle."""

    size_px: int = 224
    """Side of the square the network sees, pixels."""
    crop_share: float = 1.0
    """Side of the centred square that is kept, as a share of the image's shorter side."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Per channel, of values in 0..1; ImageNet's by default."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if self.size_px < 1:
            raise ValueError("size_px must be at least 1.")
        if not 0 < self.crop_share <= 1:
            raise ValueError("crop_share must lie in (0, 1].")
        if self.size_px / self.crop_share > DRAFT_PX:
            raise ValueError(
                f"size_px / crop_share must not exceed the {DRAFT_PX} px that decoding keeps."
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError("mean and std need three values each, and std must be positive.")

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the definition that `dataclasses.asdict` and JSON made `record` of.

        Raises:
            TypeError, ValueError: a key is unknown or a value out of range.
        """
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items()}
        return cls(**values)

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """Crop, resize (antialiased bicubic) and normalise an RGB image to float32 [3, size_px, size_px]."""
        side = self.crop_share * min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        square = image.resize(
            (self.size_px, self.size_px),
            Image.Resampling.BICUBIC,
            box=(left, top, left + side, top + side),
            # What is six times too large or more is averaged over squares first, which costs a third of the time.
            reducing_gap=3.0,
        )
        return self.normalise(np.asarray(square))

    def normalise(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn uint8 [H, W, 3] into float32 [3, H, W]: (value / 255 - mean) / std."""
        std = np.asarray(self.std, np.float32)
        scale, shift = 1 / (255 * std), np.asarray(self.mean, np.float32) / std
        channels = np.empty((3, *pixels.shape[:2]), np.float32)
        for channel in range(3):
            np.multiply(pixels[..., channel], scale[channel], out=channels[channel])
            channels[channel] -= shift[channel]
        return channels
