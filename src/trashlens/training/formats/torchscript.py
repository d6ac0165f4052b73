"""TorchScript, for C++ with libtorch; torch itself converts."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from trashlens.bundle import Bundle
from trashlens.training.formats.converters import INSTEAD
from trashlens.training.rebuild import rebuild_network

__all__ = ["convert", "open_network"]


def convert(bundle: Bundle, path: Path) -> None:
    """Write the bundle's network as the TorchScript archive `path`."""
    size_px = bundle.preprocess.size_px
    with torch.inference_mode(), warnings.catch_warnings():
        # torch recommends torch.export, whose archives libtorch cannot load without a compiler for each machine.
        warnings.simplefilter("ignore", FutureWarning)
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            rebuild_network(bundle, instead=INSTEAD), torch.zeros(2, 3, size_px, size_px)
        )
        torch.jit.save(torch.jit.freeze(traced), path)


def open_network(
    bundle: Bundle,  # noqa: ARG001
    path: Path,
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return what maps preprocessed images [B, 3, size_px, size_px] to the archive's logits [B, classes]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        network = torch.jit.load(path)  # type: ignore[no-untyped-call]

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits: NDArray[np.float32] = network(torch.from_numpy(images)).numpy()
        return logits

    return run
