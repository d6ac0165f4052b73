"""The formats by name: what converts, what runs the result, and what it is checked with."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from trashlens.bundle import Bundle

__all__ = ["FORMATS", "INSTEAD", "Converter", "Format"]


class Converter(Protocol):
    """What a module of a format offers; its packages are imported only when it is called."""

    def convert(self, bundle: Bundle, path: Path) -> None:
        """Write the bundle's network as `path`, a file or a folder."""

    def open_network(
        self, bundle: Bundle, path: Path
    ) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
        """Return what answers preprocessed images [B, 3, size_px, size_px] by what lies at `path`."""


INSTEAD = "Choose --format openvino, which is made of its graph."
"""What helps where a network cannot be rebuilt from its bundle."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format of a network."""

    module: str
    """Where its `Converter` is."""
    target: str
    """What the network is called in its folder."""
    packages: tuple[str, ...]
    """What converts and what runs the result, for the record."""
    batches: tuple[int, ...] = (1, 8)
    """Batch sizes at which its answers are compared with the bundle's."""
    answers: str = "logits"
    """`logits`, or `probabilities`, calibrated."""
    environment: str | None = None
    """List of what an environment of its own needs; None where the train packages do."""

    def load(self) -> Converter:
        """Return its converter."""
        return cast(Converter, import_module(f"trashlens.training.formats.{self.module}"))


FORMATS = {
    "tflite": Format(
        module="tflite",
        target="model.tflite",
        packages=("litert-torch", "ai-edge-litert"),
        batches=(1,),
        answers="probabilities",
        environment="tflite.txt",
    ),
    "torchscript": Format(module="torchscript", target="model.pt", packages=("torch",)),
    "openvino": Format(
        module="openvino", target="model.xml", packages=("openvino",), environment="openvino.txt"
    ),
}
