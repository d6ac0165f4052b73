"""Group TrashNet's photos anew: what pretrained networks see in them, kept in a file, and what follows from it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from trashlens.files import hash_file
from trashlens.image import Preprocess
from trashlens.training.data import FOLDS, GroupedPhoto, Photo, leak_of
from trashlens.training.data.groups import count_colours, describe_photos, embed_photos
from trashlens.training.networks import NetworkConfig, create_network, make_probe

__all__ = ["COLOURS", "EyesConfig", "Probe", "describe", "probe_splits", "see_photos"]

COLOURS = "colours"
COMPONENTS = {"mobilenet": 256, "resnet": 256, COLOURS: 64}
"""Of each kind of features, those that are compared; found best on objects known by eye."""


@dataclass(frozen=True, kw_only=True)
class EyesConfig:
    """The pretrained networks that look at the photos."""

    mobilenet: str = "hub"
    """Weights of mobilenetv2_100: `hub`, or a safetensors file."""
    resnet: str = "hub"
    """Weights of resnetv2_50, of which stages 1 to 3 are used: `hub`, or a safetensors file."""
    features: Path = Path("runs/groups.safetensors")
    """What they saw is kept here, and taken from here another time."""

    @property
    def networks(self) -> dict[str, NetworkConfig]:
        """The networks by the name of their features."""
        stage3 = {"layers": [3, 4, 6], "channels": [256, 512, 1024]}
        return {
            "mobilenet": NetworkConfig(name="mobilenetv2_100", weights=self.mobilenet),
            "resnet": NetworkConfig(
                name="resnetv2_50",
                weights=self.resnet,
                arguments=stage3,
                rename={"stages.3.blocks.0.norm1": "norm"},
            ),
        }


def see_photos(
    config: EyesConfig, photos: Sequence[Photo], files: Mapping[str, bytes]
) -> dict[str, NDArray[np.float32]]:
    """Return the features of the photos, in their order, float32 [N, features], by kind.

    They are read from `config.features` where that was made of the same photos by the same weights.

    Raises:
        RecipeError: a network's weights cannot be had.
        ImageError: a photo cannot be read.
    """
    made_of = _made_of(config, photos, files)
    kept = _read_features(config.features, made_of)
    if kept is not None:
        return kept
    contents = [files[photo.path] for photo in photos]
    seen = {COLOURS: count_colours(contents)}
    for name, network_config in config.networks.items():
        network, _ = create_network(network_config, classes=0)
        seen[name] = embed_photos(network, contents, Preprocess())
    config.features.parent.mkdir(parents=True, exist_ok=True)
    save_file(seen, config.features, metadata=made_of)
    return seen


def describe(seen: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return one unit vector a photo, [N, D], of all that was seen of it."""
    return describe_photos([(seen[name], count) for name, count in COMPONENTS.items()])


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Accuracy of a linear probe on frozen features, on both splits."""

    official: float
    """On the official test photos."""
    seen: float
    """On those whose object was trained on."""
    unseen: float
    """On all others."""
    folds: tuple[float, ...]
    """On the test photos of each grouped fold."""


def probe_splits(
    features: NDArray[np.float32], official: Sequence[Photo], grouped: Sequence[GroupedPhoto]
) -> Probe:
    """Return what a linear probe reaches, trained on the training photos of each split; rows as in `official`.

    Nothing is chosen on validation photos, so that one number stands beside the other.
    """
    of = {photo.path: photo for photo in grouped}
    leak = leak_of(official, {photo.path: photo.group for photo in grouped})
    paths = np.array([photo.path for photo in official])
    labels = np.array([photo.label for photo in official])

    def right(splits: Sequence[str]) -> dict[str, bool]:
        train, test = (np.array([split == part for split in splits]) for part in ("train", "test"))
        answers = make_probe().fit(features[train], labels[train]).predict(features[test])
        return dict(zip(paths[test].tolist(), answers == labels[test], strict=True))

    plain = right([photo.split for photo in official])
    folds = [right([of[path].split_in(fold) for path in paths.tolist()]) for fold in range(FOLDS)]
    return Probe(
        official=float(np.mean(list(plain.values()))),
        seen=float(np.mean([plain[path] for path in leak.seen])),
        unseen=float(np.mean([plain[path] for path in leak.unseen])),
        folds=tuple(float(np.mean(list(fold.values()))) for fold in folds),
    )


def _made_of(config: EyesConfig, photos: Sequence[Photo], files: Mapping[str, bytes]) -> dict[str, str]:
    """Return what the features depend on, as text: the photos and the weights."""
    content = hashlib.sha256()
    for photo in photos:
        content.update(f"{photo.path},{hashlib.sha256(files[photo.path]).hexdigest()}\n".encode())
    weights = {
        name: network.weights if network.weights == "hub" else hash_file(Path(network.weights))
        for name, network in config.networks.items()
    }
    return {"photos": content.hexdigest(), **weights}


def _read_features(path: Path, made_of: Mapping[str, str]) -> dict[str, NDArray[np.float32]] | None:
    try:
        with safe_open(path, framework="numpy") as file:
            if file.metadata() == dict(made_of):
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        pass  # not there, or cut off: seen anew
    return None
