"""The brightness of a photo: measured, changed, and evened out to that of the photos trained on."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["METHODS", "brightness_of", "change_brightness", "even_out"]

Pixels = NDArray[np.uint8]
LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""
LEVELS = np.arange(256) / 255
STEPS = 40
"""Halvings of the interval of exponents: far more than 8 bits show."""
EXPONENTS = (0.05, 20.0)


def brightness_of(pixels: Pixels) -> float:
    """Return the mean brightness, 0 to 1, of RGB pixels uint8 [H, W, 3]."""
    return float(pixels.mean(axis=(0, 1)) @ LUMA / 255)


def change_brightness(pixels: Pixels, gain: float) -> Pixels:
    """Return the pixels' values times a gain, cut off at white: a darker or brighter copy.

    The values are those of the file, as an editor's slider would multiply them; in light, 1.7 is about three times
    as much.
    """
    return _look_up(pixels, LEVELS * gain)


def even_out(pixels: Pixels, method: str, target: float) -> Pixels:
    """Return RGB pixels uint8 [H, W, 3] whose mean brightness is `target`, as far as the method can.

    `gain` multiplies, which cuts off what becomes brighter than white; `gamma` raises the values to a power, which
    keeps black and white. Neither brings back what another exposure cut off.
    """
    return METHODS[method](pixels, target)


def _by_gain(pixels: Pixels, target: float) -> Pixels:
    return change_brightness(pixels, target / max(brightness_of(pixels), 1 / 255))


def _by_gamma(pixels: Pixels, target: float) -> Pixels:
    # The brightness of the result from three histograms instead of from all pixels, forty times.
    counts = np.stack([np.bincount(pixels[..., channel].ravel(), minlength=256) for channel in range(3)])
    shares = LUMA @ (counts / max(1, counts[0].sum()))
    low, high = EXPONENTS
    for _ in range(STEPS):
        exponent = (low * high) ** 0.5
        if float(shares @ LEVELS**exponent) > target:
            low = exponent
        else:
            high = exponent
    return _look_up(pixels, LEVELS ** (low * high) ** 0.5)


def _look_up(pixels: Pixels, levels: NDArray[np.float64]) -> Pixels:
    """Return the pixels with each value replaced by the one of `levels` [256], shares of white."""
    table = np.clip(255 * levels, 0, 255).round().astype(np.uint8)
    changed: Pixels = table[pixels]
    return changed


METHODS: Mapping[str, Callable[[Pixels, float], Pixels]] = {"gain": _by_gain, "gamma": _by_gamma}
"""By name: how a photo's brightness is evened out."""
