"""A bundle or a checkpoint as something that names classes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from trashlens.bundle import JSON_FILE, Bundle
from trashlens.classifier import Classifier
from trashlens.image import Preprocess
from trashlens.training.checkpoint import read_checkpoint

__all__ = ["Network", "open_network"]


@dataclass(frozen=True, kw_only=True)
class Network:
    """What is asked about photos."""

    name: str
    """Name of its folder."""
    labels: tuple[str, ...]
    """Its classes, in the order of the logits."""
    preprocess: Preprocess
    """How a photo becomes its input."""
    infer: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    """Preprocessed images [B, 3, size_px, size_px] -> logits [B, classes]."""


def open_network(folder: Path) -> Network:
    """Return the network of a bundle, or of a checkpoint such as a run of a study leaves.

    Raises:
        BundleError: the bundle is damaged or cannot run.
        TrainingError: there is neither a bundle nor a checkpoint, or the checkpoint is damaged.
    """
    if (folder / JSON_FILE).is_file():
        classifier = Classifier(Bundle.load(folder))
        bundle = classifier.bundle
        return Network(
            name=folder.name,
            labels=bundle.labels,
            preprocess=bundle.preprocess,
            infer=classifier.infer,
        )
    checkpoint = read_checkpoint(folder)

    @torch.inference_mode()
    def infer(images: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = checkpoint.network(torch.from_numpy(images)).float().numpy()
        return logits

    return Network(
        name=folder.name, labels=checkpoint.labels, preprocess=checkpoint.preprocess, infer=infer
    )
