"""LiteRT, formerly TensorFlow Lite, for phones: pixels in, calibrated probabilities out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trashlens.bundle import Bundle
from trashlens.image import Preprocess
from trashlens.training.formats.converters import INSTEAD
from trashlens.training.rebuild import rebuild_network

__all__ = ["PhoneNetwork", "convert", "open_network"]


class PhoneNetwork(nn.Module):
    """A bundle's network with all that a phone need not know: normalisation, temperature, softmax."""

    scale: Tensor
    shift: Tensor

    def __init__(self, bundle: Bundle) -> None:
        """Rebuild the network of a bundle."""
        super().__init__()
        self.network = rebuild_network(bundle, instead=INSTEAD)
        self.temperature = bundle.temperature
        std = 255 * torch.tensor(bundle.preprocess.std)
        mean = 255 * torch.tensor(bundle.preprocess.mean)
        self.register_buffer("scale", (1 / std).reshape(1, 3, 1, 1))
        self.register_buffer("shift", (mean / std).reshape(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return probabilities [1, classes] for pixels uint8 [1, size_px, size_px, 3], RGB, upright."""
        images = pixels.permute(0, 3, 1, 2).to(torch.float32) * self.scale - self.shift
        return torch.softmax(self.network(images) / self.temperature, dim=1)


def convert(bundle: Bundle, path: Path) -> None:
    """Write the bundle's network as the LiteRT model `path`."""
    import litert_torch

    size_px = bundle.preprocess.size_px
    example = torch.zeros(1, size_px, size_px, 3, dtype=torch.uint8)
    litert_torch.convert(PhoneNetwork(bundle).eval(), (example,)).export(str(path))


def open_network(bundle: Bundle, path: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return what maps preprocessed images [1, 3, size_px, size_px] to the model's probabilities [1, classes]."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter: Any = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        interpreter.set_tensor(given["index"], to_pixels(images, bundle.preprocess))
        interpreter.invoke()
        return np.array(interpreter.get_tensor(answer["index"]))

    return run


def to_pixels(images: NDArray[np.float32], preprocess: Preprocess) -> NDArray[np.uint8]:
    """Return the pixels uint8 [B, H, W, 3] that `Preprocess` made these images [B, 3, H, W] of, exactly."""
    std, mean = (np.array(part, np.float32) for part in (preprocess.std, preprocess.mean))
    pixels: NDArray[np.uint8] = np.rint(255 * (images.transpose(0, 2, 3, 1) * std + mean)).astype(
        np.uint8
    )
    return pixels
