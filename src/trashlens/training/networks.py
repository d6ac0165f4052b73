"""Create a timm network, load weights, keep parts of it as they are, start its head from a linear probe."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import timm
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trashlens.errors import RecipeError, first_line
from trashlens.training.parts import answer_once_in_use, share_of_parts
from trashlens.training.widths import resize_layers

__all__ = [
    "LoadReport",
    "NetworkConfig",
    "create_network",
    "fit_head",
    "freeze",
    "frozen_parts",
    "make_probe",
    "train_unfrozen",
]


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Which network, and what it starts from."""

    name: str
    """timm's name, for instance `resnet50` or `mobilenetv2_100`."""
    weights: str = "hub"
    """`hub` (timm's default weights), `none`, or the path of a safetensors file; a partial file is allowed."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Passed to the network's constructor, for instance `layers: [3, 4, 6]`."""
    widths: Literal["own", "weights"] = "own"
    """Channels of each layer: the network's own, or those of the weights file, as of a pruned network."""
    rename: dict[str, str] = field(default_factory=dict)
    """Prefixes of the weights' tensor names and what they are called in the network; with `hub`, the tensors of
    timm's whole network that fit are taken."""
    head: Literal["probe", "random"] = "probe"
    """Start the head from a linear probe on the frozen features (Kumar et al. 2022), or at random; always at
    random where the weights are `none`."""
    frozen: tuple[str, ...] = ()
    """Parts that stay as they are, weights and batch norm's statistics, for instance
    `[conv_stem, bn1, blocks.0]`; steps are faster where they are the first ones."""
    frozen_share: float = 0.0
    """Instead of `frozen`: the first parts that stay as they are, as a share of the network's top-level parts
    (`trashlens.training.parts.name_parts`), rounded down: 0.6 of ResNet-50's ten are six."""
    batch_norm: Literal["batch", "kept"] = "batch"
    """Normalise by each batch's statistics while training, or by those that the weights came with. Batches of
    few photos, half of them on drawn grounds, have statistics that no single photo has in use; `kept` also
    stays nearer to what the weights knew of other photos."""

    def __post_init__(self) -> None:
        if not 0 <= self.frozen_share < 1:
            raise ValueError("network.frozen_share must lie in [0, 1): the head is always trained.")
        if self.frozen and self.frozen_share:
            raise ValueError("network.frozen and network.frozen_share exclude each other.")
        if self.widths == "weights" and (self.weights in ("hub", "none") or self.rename):
            raise ValueError(
                "network.widths weights needs a pruned network's own file, such as "
                "--network.weights=runs/pruned/model.safetensors, and no network.rename."
            )


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """What a weights file gave to a network; lists of tensor names."""

    source: str
    """`hub`, `none` or the file's name."""
    loaded: int = 0
    """Number of tensors taken from the file, or from the whole network of which this is a part."""
    missing: tuple[str, ...] = ()
    """In the network, not in the file: left at their initial values."""
    unused: tuple[str, ...] = ()
    """In the file, not in the network, or of another shape."""

    def __str__(self) -> str:
        """Say it in a line."""
        if not self.loaded:
            return f"weights: {self.source}"
        named = ", ".join(self.missing[:4]) + (", …" if len(self.missing) > 4 else "")
        missing = f"; {len(self.missing)} start fresh ({named})" if self.missing else ""
        unused = f"; {len(self.unused)} of the file are not used" if self.unused else ""
        return f"weights: {self.loaded} tensors from {self.source}{missing}{unused}"


def create_network(config: NetworkConfig, *, classes: int) -> tuple[nn.Module, LoadReport]:
    """Return the network, float32 [B, 3, H, W] -> logits [B, classes], and what its weights came from.

    Raises:
        RecipeError: timm does not know the network, or the weights cannot be read or fetched.
    """
    if not timm.is_model(config.name):
        close = ", ".join(timm.list_models(f"*{config.name.split('_')[0]}*")[:5]) or "none similar"
        raise RecipeError(f"timm has no network {config.name!r} (it has: {close}).")
    from_hub = config.weights == "hub"
    auxiliary = {key: value for key, value in config.arguments.items() if key == "aux_logits" and value}
    # Part of a network that is published whole, or one whose auxiliary head timm would take for 1,000 classes:
    # it takes its tensors from the whole.
    in_part = from_hub and bool(config.rename or auxiliary)
    try:
        network: nn.Module = timm.create_model(
            config.name,
            pretrained=from_hub and not in_part,
            num_classes=classes,
            **config.arguments,
        )
        whole = timm.create_model(config.name, pretrained=True, **auxiliary) if in_part else None
    except Exception as error:  # offline, no such weights, bad arguments: the sentence names all three
        raise RecipeError(
            f"{config.name} could not be created with weights {config.weights!r} and arguments "
            f"{config.arguments} ({type(error).__name__}: {first_line(error)}). "
            "Without a connection give a local file with --network.weights, or `none`."
        ) from error
    network = answer_once_in_use(network)
    if whole is not None:
        return network, _copy_tensors(network, whole.state_dict(), config)
    if config.weights in ("hub", "none"):
        return network, LoadReport(source=config.weights)
    tensors = _read_tensors(Path(config.weights))
    if config.widths == "weights":
        _take_widths(network, tensors, config)
    return network, _copy_tensors(network, tensors, config)


def frozen_parts(network: nn.Module, config: NetworkConfig) -> tuple[str, ...]:
    """Return the names of the parts that stay as they are, given by name or as a share."""
    return config.frozen or share_of_parts(network, config.frozen_share)


def freeze(network: nn.Module, names: Sequence[str]) -> None:
    """Take the gradients from the named parts of a network.

    Raises:
        RecipeError: there is no such part, or nothing is left to train.
    """
    parts = {name for name, _ in network.named_modules() if name}
    for name in names:
        if name not in parts:
            close = ", ".join(name for name, _ in network.named_children())
            raise RecipeError(f"The network has no part {name!r} to freeze; it is made of {close}.")
        network.get_submodule(name).requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise RecipeError("network.frozen leaves nothing to train.")


def train_unfrozen(network: nn.Module, config: NetworkConfig) -> None:
    """Set training mode, but for the frozen parts, whose batch norm would follow the batches otherwise.

    With `batch_norm: kept` the other batch norms keep their statistics too; their weights are trained.
    """
    network.train()
    for name in frozen_parts(network, config):
        network.get_submodule(name).eval()
    if config.batch_norm == "kept":
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


def make_probe() -> Pipeline:
    """Return an unfitted linear probe: a logistic regression on standardised features, classes weighing alike."""
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, max_iter=500, class_weight="balanced")
    )


@torch.inference_mode()
def fit_head(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], *, device: torch.device | str = "cpu"
) -> float:
    """Set the network's linear head to a logistic regression on its frozen features.

    Fine-tuning from there keeps the pretrained features (LP-FT, Kumar et al. 2022), and it is the only way
    to start where pooled features are tiny: the regression sees them standardised, and the scaling is then
    folded into the head's weights. Returns the accuracy on the batches it was fitted on.
    """
    model: Any = network.to(device).eval()  # timm's extras over nn.Module are untyped
    features, labels = [], []
    for images, targets in batches:
        pooled = model.forward_head(model.forward_features(images.to(device)), pre_logits=True)
        features.append(pooled.flatten(1).float().cpu().numpy())
        labels.append(targets.cpu().numpy())
    x, y = np.concatenate(features), np.concatenate(labels)
    probe = make_probe()
    probe.fit(x, y)
    scaler, regression = probe[0], probe[1]
    weight = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - weight @ scaler.mean_
    head = model.get_classifier()
    # Some heads are 1×1 convolutions: the same numbers in another shape.
    head.weight.copy_(torch.from_numpy(weight).float().view_as(head.weight))
    head.bias.copy_(torch.from_numpy(bias).float())
    return float(probe.score(x, y))


def _take_widths(network: nn.Module, tensors: Mapping[str, Tensor], config: NetworkConfig) -> None:
    """Make the layers as wide as their tensors.

    Raises:
        RecipeError: a tensor is missing, or belongs to another network or number of classes.
    """
    head: Any = network
    classes = head.get_classifier().weight.shape[0]
    try:
        resize_layers(network, tensors)
        network.load_state_dict(tensors)
        if head.get_classifier().weight.shape[0] != classes:
            raise ValueError(f"it knows another number of classes than {classes}")
    except (RuntimeError, ValueError) as error:
        raise RecipeError(
            f"{config.weights} holds no pruned {config.name} ({first_line(error)}). Give the file that "
            "`trashlens prune` wrote, or leave out network.widths."
        ) from error


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except Exception as error:
        raise RecipeError(
            f"The weights {path} cannot be read ({type(error).__name__}). Give a safetensors file."
        ) from error


def _copy_tensors(
    network: nn.Module, tensors: Mapping[str, Tensor], config: NetworkConfig
) -> LoadReport:
    """Copy the tensors that fit, by name and shape, and report the rest."""
    for old, new in config.rename.items():
        tensors = {
            new + name.removeprefix(old) if name.startswith(f"{old}.") else name: tensor
            for name, tensor in tensors.items()
        }
    state = network.state_dict()
    fitting = {
        name: tensor
        for name, tensor in tensors.items()
        if name in state and state[name].shape == tensor.shape
    }
    if not fitting:
        raise RecipeError(
            f"No tensor of {config.weights} fits the network; is it of another architecture?"
        )
    network.load_state_dict(fitting, strict=False)
    # Batch counters only matter for cumulative averages, which no network here uses.
    missing = [
        name for name in state if name not in fitting and not name.endswith("num_batches_tracked")
    ]
    return LoadReport(
        source=Path(config.weights).name,
        loaded=len(fitting),
        missing=tuple(missing),
        unused=tuple(name for name in tensors if name not in fitting),
    )
