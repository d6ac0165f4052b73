"""The ordinary app of this kind, which the benchmark compares serving with: Pillow, torchvision, eager torch."""

import io
from collections.abc import Callable, Mapping

import torch
from PIL import Image
from torch import nn
from torchvision import transforms

from trashlens.bundle import Bundle
from trashlens.errors import RecipeError
from trashlens.image import Preprocess
from trashlens.training.networks import NetworkConfig, create_network

__all__ = ["make_ordinary_app"]


def make_ordinary_app(
    bundles: Mapping[str, Bundle], *, threads: int
) -> Callable[[bytes], dict[str, str]]:
    """Return what answers a photo's bytes with a class by role, as most apps around torch networks do.

    The networks are those of the bundles with random weights, which cost as much time as trained ones. torch
    uses `threads` from here on, whatever the environment says.

    Raises:
        RecipeError: a bundle does not say how its network was made, or timm cannot make it.
    """
    torch.set_num_threads(threads)
    networks = {role: _create(bundle) for role, bundle in bundles.items()}
    # Even an ordinary app transforms once for networks that agree on it.
    definitions = {role: bundle.preprocess for role, bundle in bundles.items()}
    transformations = {one: _make_transform(one) for one in definitions.values()}

    @torch.inference_mode()
    def answer(data: bytes) -> dict[str, str]:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        tensors = {one: transform(image).unsqueeze(0) for one, transform in transformations.items()}
        answers = {}
        for role, network in networks.items():
            probabilities = network(tensors[definitions[role]]).softmax(dim=1)
            answers[role] = bundles[role].labels[int(probabilities.argmax())]
        return answers

    return answer


def _create(bundle: Bundle) -> nn.Module:
    made = bundle.provenance.get("recipe", {}).get("network")
    if made is None:
        raise RecipeError(
            f"The {bundle.role} bundle does not say how its network was made. Export it anew."
        )
    config = NetworkConfig(name=made["name"], arguments=made["arguments"], weights="none")
    network, _ = create_network(config, classes=len(bundle.labels))
    return network.eval()


def _make_transform(preprocess: Preprocess) -> transforms.Compose:
    return transforms.Compose(
        [
            transforms.Resize(round(preprocess.size_px / preprocess.crop_share)),
            transforms.CenterCrop(preprocess.size_px),
            transforms.ToTensor(),
            transforms.Normalize(preprocess.mean, preprocess.std),
        ]
    )
