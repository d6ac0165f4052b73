"""A bundle's network to train on: batch norm, folded into convolutions by the export, gets statistics again."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trashlens.bundle import Bundle
from trashlens.classifier import Classifier
from trashlens.errors import ExportError, TrainingError
from trashlens.training.checkpoint import Checkpoint
from trashlens.training.data import read_photos
from trashlens.training.pruning.config import PruneConfig
from trashlens.training.rebuild import pair_norms, rebuild_network

__all__ = ["unfold_bundle", "unfold_network"]

TOLERANCE = 1e-2
"""Largest difference of a logit from the bundle's that passes; logits span about ±10."""
MIN_VARIANCE = 1e-4
"""Of a channel's values over photos: one that is always the same would be divided by nothing."""
BATCH = 32


def unfold_bundle(folder: Path, config: PruneConfig) -> Checkpoint:
    """Return the bundle's network as a checkpoint has it, once its logits have proved the same on photos.

    Raises:
        BundleError: the bundle is damaged.
        TrainingError: the graph cannot be read back into the network.
        DataError: there are no prepared photos.
    """
    bundle = Bundle.load(folder)
    images, _ = read_photos(
        config.processed / "train", bundle.labels, bundle.preprocess, sample=config.photos
    )
    return Checkpoint(
        network=unfold_network(bundle, images),
        labels=bundle.labels,
        preprocess=bundle.preprocess,
        record=bundle.provenance,
    )


def unfold_network(bundle: Bundle, images: NDArray[np.float32]) -> nn.Module:
    """Return the network of a bundle, in evaluation mode; `images` is float32 [N, 3, size_px, size_px].

    What batch norm did is one factor and one shift a channel. Its statistics are gone with the folding, so that
    those of `images` are taken, and weights and biases chosen such that nothing changes: training can go on.

    Raises:
        TrainingError: the graph cannot be read back into the network.
    """
    try:
        network = rebuild_network(bundle, instead="Give its checkpoint.")
    except ExportError as error:
        raise TrainingError(str(error)) from error
    norms = _move_biases(network)
    _restore_statistics(network, norms, torch.from_numpy(images))
    difference = _largest_difference(network, bundle, images)
    if not difference <= TOLERANCE:
        raise TrainingError(
            f"Read back from its graph, {bundle.architecture} answers otherwise (a logit differs by "
            f"{difference:.2g}). Give its checkpoint."
        )
    return network


@torch.no_grad()
def _move_biases(network: nn.Module) -> list[_BatchNorm]:
    """Let batch norms, neutral so far, add what the convolutions before them got of them; return these norms.

    Those that the graph has whole stay as they are.
    """
    norms = []
    for name, before in pair_norms(network).items():
        norm, convolution = network.get_submodule(name), network.get_submodule(before)
        assert isinstance(norm, _BatchNorm)
        assert isinstance(convolution, nn.Conv2d)
        if convolution.bias is not None:
            norm.bias.copy_(convolution.bias)
            convolution.bias = None
            norms.append(norm)
    return norms


@torch.no_grad()
def _restore_statistics(network: nn.Module, norms: list[_BatchNorm], images: Tensor) -> None:
    """Give every batch norm the statistics of its input, and the weights that undo them."""
    sums = {norm: torch.zeros(3, norm.num_features, dtype=torch.float64) for norm in norms}

    def add(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        values = inputs[0].transpose(0, 1).flatten(1).double()
        count = torch.full((len(values),), values.shape[1], dtype=torch.float64)
        sums[norm] += torch.stack([values.sum(1), values.square().sum(1), count])  # type: ignore[index]

    hooks = [norm.register_forward_pre_hook(add) for norm in norms]
    for batch in torch.split(images, BATCH):
        network(batch)
    for hook in hooks:
        hook.remove()
    for norm, (total, squares, count) in sums.items():
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(MIN_VARIANCE)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)


@torch.no_grad()
def _largest_difference(network: nn.Module, bundle: Bundle, images: NDArray[np.float32]) -> float:
    """Return the largest difference of a logit between the network and the bundle."""
    some = images[:BATCH]
    expected = Classifier(bundle).infer(some)
    return float(np.abs(network(torch.from_numpy(some)).numpy() - expected).max())
