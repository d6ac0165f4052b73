"""A bundle's graph as a network to train: batch norm, folded into convolutions by the export, comes back.

Where the checkpoint is gone the bundle still holds all that it answered with.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trashlens.bundle import Bundle
from trashlens.classifier import Classifier
from trashlens.errors import TrainingError
from trashlens.training.checkpoint import Checkpoint
from trashlens.training.data import read_photos
from trashlens.training.networks import NetworkConfig, create_network
from trashlens.training.pruning.config import PruneConfig
from trashlens.training.widths import resize_layers

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
        TrainingError: the graph is not that of a network whose batch norms follow its convolutions.
        DataError: there are no prepared photos.
    """
    bundle = Bundle.load(folder)
    recipe = bundle.provenance.get("recipe")
    if recipe is None or bundle.weights == "int8":
        raise TrainingError(
            f"{folder} cannot be pruned: it is in int8, or does not say how it was trained. Give its checkpoint."
        )
    images, _ = read_photos(
        config.processed / "train", bundle.labels, bundle.preprocess, sample=config.photos
    )
    network = unfold_network(bundle, recipe["network"], images)
    return Checkpoint(
        network=network, labels=bundle.labels, preprocess=bundle.preprocess, record=bundle.provenance
    )


def unfold_network(
    bundle: Bundle, settings: Mapping[str, Any], images: NDArray[np.float32]
) -> nn.Module:
    """Return the network of a bundle, in evaluation mode; `images` is float32 [N, 3, size_px, size_px].

    What batch norm did is one factor and one shift a channel. Its statistics are gone with the folding, so that
    those of `images` are taken, and weights and biases chosen such that nothing changes: training can go on.

    Raises:
        TrainingError: the graph is not that of such a network.
    """
    plain = NetworkConfig(name=settings["name"], weights="none", arguments=settings["arguments"])
    network, _ = create_network(plain, classes=len(bundle.labels))
    network.eval()
    try:
        tensors = _read_tensors(bundle.model)
        resize_layers(network, _with_norms(network, tensors))
        _load_folded(network, tensors)
        _restore_statistics(network, torch.from_numpy(images))
        difference = _largest_difference(network, bundle, images)
    except (KeyError, RuntimeError, ValueError) as error:
        raise TrainingError(
            f"The graph of {bundle.architecture} cannot be read back into a network: only one whose batch norms "
            "follow its convolutions can. Give its checkpoint."
        ) from error
    if not difference <= TOLERANCE:
        raise TrainingError(
            f"Read back from its graph, {bundle.architecture} answers otherwise (a logit differs by "
            f"{difference:.2g}). Give its checkpoint."
        )
    return network


def _read_tensors(graph: bytes) -> dict[str, Tensor]:
    """Return the graph's constants by the names they have in torch, float32."""
    model = onnx.load_from_string(graph)
    tensors = {}
    for constant in model.graph.initializer:
        values = numpy_helper.to_array(constant)
        if values.dtype.kind == "f" and constant.name:
            name = constant.name.removesuffix("_half")
            tensors[name] = torch.from_numpy(values.astype(np.float32))
    return tensors


def _pair(network: nn.Module) -> list[tuple[str, nn.Conv2d, str, _BatchNorm]]:
    """Return each convolution and the batch norm behind it, with their names.

    Raises:
        ValueError: they do not come in pairs.
    """
    named = list(network.named_modules())
    convolutions = [(name, one) for name, one in named if isinstance(one, nn.Conv2d)]
    norms = [(name, one) for name, one in named if isinstance(one, _BatchNorm)]
    pairs = [
        (name, one, other, norm) for (name, one), (other, norm) in zip(convolutions, norms, strict=True)
    ]
    if any(one.out_channels != norm.num_features for _, one, _, norm in pairs):
        raise ValueError("batch norms do not follow the convolutions")
    return pairs


def _with_norms(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors, and for each batch norm one of its size."""
    norms = {f"{norm}.weight": tensors[f"{name}.weight_bias"] for name, _, norm, _ in _pair(network)}
    return {**tensors, **norms}


@torch.no_grad()
def _load_folded(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load convolutions and head; batch norm adds the convolution's bias and changes nothing else."""
    for name, convolution, _, norm in _pair(network):
        convolution.weight.copy_(tensors[f"{name}.weight"])
        norm.weight.fill_(1)
        norm.bias.copy_(tensors[f"{name}.weight_bias"])
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
    model: Any = network
    head = model.get_classifier()
    (name,) = [name for name, module in network.named_modules() if module is head]
    head.weight.copy_(tensors[f"{name}.weight"].view_as(head.weight))
    # The export leaves out biases that are all zero.
    head.bias.copy_(tensors.get(f"{name}.bias", torch.zeros_like(head.bias)))


@torch.no_grad()
def _restore_statistics(network: nn.Module, images: Tensor) -> None:
    """Give every batch norm the statistics of its input, and the weights that undo them."""
    norms = [norm for *_, norm in _pair(network)]
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
