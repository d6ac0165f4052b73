"""Checkpoint or bundle -> the same network with fewer channels, as a checkpoint to export or to distil."""

import copy
import logging
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torch_pruning
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from tqdm import tqdm

from trashlens.bundle import JSON_FILE, MODEL_FILE
from trashlens.errors import TrainingError
from trashlens.files import hash_file
from trashlens.training.checkpoint import (
    WEIGHTS_FILE,
    Checkpoint,
    describe_environment,
    read_checkpoint,
    write_checkpoint,
)
from trashlens.training.data import check_prepared, read_photos
from trashlens.training.parts import drop_auxiliary
from trashlens.training.pruning.config import PruneConfig
from trashlens.training.pruning.cost import count_macs, count_parameters
from trashlens.training.pruning.unfolding import unfold_bundle

__all__ = ["prune_checkpoint", "prune_network"]

BATCH = 32
STATISTICS_BATCH = 128
"""Photos in a batch when batch norm's statistics are taken anew; small batches tell the variance badly."""

logger = logging.getLogger(__name__)


def prune_checkpoint(source: Path, config: PruneConfig) -> Path:
    """Prune the network in `source`, a checkpoint or a bundle, into a checkpoint; return its folder.

    Raises:
        TrainingError: there is no whole checkpoint, the bundle's graph cannot be read back, or no channels are
            left to take before the target is met.
        DataError: there are no prepared photos, or of another data set or split than the network's.
    """
    if config.output.resolve() == source.resolve():
        raise TrainingError(f"{source} would be overwritten; give another --output.")
    is_bundle = (source / JSON_FILE).is_file()
    checkpoint = unfold_bundle(source, config) if is_bundle else read_checkpoint(source)
    learned, photos = checkpoint.record.get("data") or {}, config.processed / "train"
    check_prepared(learned, photos, option="--processed")
    images, classes = read_photos(photos, checkpoint.labels, checkpoint.preprocess, sample=config.photos)
    network = copy.deepcopy(checkpoint.network)
    drop_auxiliary(network)
    steps = prune_network(network, torch.from_numpy(images), torch.from_numpy(classes), config)
    weights = source / (MODEL_FILE if is_bundle else WEIGHTS_FILE)
    record = {
        "recipe": _pruned_recipe(checkpoint, config),
        "inputs": {"weights": hash_file(weights)},
        "labels": list(checkpoint.labels),
        "data": checkpoint.record["data"],
        "weights": {"source": source.name},
        "environment": describe_environment(),
        "epoch": 0,
        "history": [],
        "pruning": {"settings": _to_json(config), "steps": steps},
    }
    write_checkpoint(config.output, network, record)
    return config.output


def prune_network(
    network: nn.Module, photos: Tensor, labels: Tensor, config: PruneConfig
) -> list[dict[str, float]]:
    """Take channels from the network, in place, until the targets are met; return the shares after each step.

    `photos` is float32 [N, 3, H, W], `labels` int64 [N]; the multiply-adds are counted at H × W. The classifier
    keeps its outputs. Batch norm's statistics are then those of `photos`.

    Raises:
        TrainingError: the targets cannot be met; the network is then no longer what it was.
    """
    example = photos[:1]
    whole = count_macs(network, example), count_parameters(network)
    generator = torch.Generator().manual_seed(config.seed)
    pruner = _make_pruner(network, example, config)
    steps: list[dict[str, float]] = []
    for _ in tqdm(range(config.steps), desc="prune", unit="step", leave=False):
        if config.importance == "taylor":
            _accumulate_gradients(network, photos, labels, generator)
        met = False
        for group in pruner.step(interactive=True):
            group.prune()
            # In the midst of a step: the channels that the target leaves are worth having.
            met = _is_met(_count_shares(network, example, whole), config)
            if met:
                break
        network.zero_grad()
        steps.append(_count_shares(network, example, whole))
        if met:
            take_statistics(network, photos)
            return steps
    raise TrainingError(
        f"With max_share={config.max_share} it ends at {steps[-1]['macs_share']:.0%} of the multiply-adds and "
        f"{steps[-1]['parameters_share']:.0%} of the parameters. Choose larger targets or a larger max_share."
    )


@torch.no_grad()
def take_statistics(network: nn.Module, photos: Tensor) -> None:
    """Set batch norm's statistics to those of `photos`, float32 [N, 3, H, W]; leave the network in `eval()`.

    Without the channels that are gone the others see other values than the statistics tell.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
    network.train()
    # Of the same size, since they weigh alike.
    for batch in torch.tensor_split(photos, math.ceil(len(photos) / STATISTICS_BATCH)):
        network(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def _make_pruner(network: nn.Module, example: Tensor, config: PruneConfig) -> Any:
    importance: Any = torch_pruning.importance
    head: Any = network
    return torch_pruning.pruner.BasePruner(
        network.eval(),
        example,
        importance=(
            importance.GroupTaylorImportance()
            if config.importance == "taylor"
            else importance.GroupMagnitudeImportance(p=2)
        ),
        global_pruning=config.scope != "layer",
        isomorphic=config.scope == "alike",
        # The last step takes the most that may be taken: nearly all that the bound on each layer leaves.
        pruning_ratio=config.max_share,
        max_pruning_ratio=config.max_share,
        iterative_steps=config.steps,
        round_to=config.round_to,
        ignored_layers=[head.get_classifier()],
    )


def _accumulate_gradients(
    network: nn.Module, photos: Tensor, labels: Tensor, generator: torch.Generator
) -> None:
    """Set the gradients of the loss on photos drawn at random, as serving sees them."""
    network.eval()
    network.zero_grad()
    chosen = torch.randperm(len(photos), generator=generator)[:BATCH]
    torch.autograd.backward(F.cross_entropy(network(photos[chosen]), labels[chosen]))


def _pruned_recipe(checkpoint: Checkpoint, config: PruneConfig) -> dict[str, Any]:
    """Return the recipe of what was pruned, with the widths it has now."""
    recipe = checkpoint.record["recipe"]
    arguments = {k: v for k, v in recipe["network"]["arguments"].items() if k != "aux_logits"}
    widths = {"weights": WEIGHTS_FILE, "widths": "weights", "rename": {}, "arguments": arguments}
    return {
        **recipe,
        "network": {**recipe["network"], **widths},
        "preprocess": asdict(checkpoint.preprocess),
        "output": config.output.name,
    }


def _count_shares(network: nn.Module, example: Tensor, whole: tuple[int, int]) -> dict[str, float]:
    return {
        "macs_share": count_macs(network, example) / whole[0],
        "parameters_share": count_parameters(network) / whole[1],
    }


def _is_met(share: dict[str, float], config: PruneConfig) -> bool:
    wanted = {"macs_share": config.macs_share, "parameters_share": config.parameters_share}
    return all(most is None or share[name] <= most for name, most in wanted.items())


def _to_json(config: PruneConfig) -> dict[str, Any]:
    """Return the settings as plain values; folders by name, so that they fit any machine."""
    return {k: v.name if isinstance(v, Path) else v for k, v in asdict(config).items()}
