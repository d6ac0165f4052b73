"""A network as it would be served, before it is trained: for measuring what its training does not change."""

from collections.abc import Sequence

from trashlens.bundle import Bundle
from trashlens.classifier import Classifier
from trashlens.image import Preprocess
from trashlens.training.graph import to_onnx
from trashlens.training.networks import NetworkConfig, create_network

__all__ = ["open_untrained"]


def open_untrained(
    config: NetworkConfig,
    preprocess: Preprocess,
    *,
    role: str,
    labels: Sequence[str],
    threads: int = 0,
) -> Classifier:
    """Return a network exported as bundles are, in ONNX Runtime; 0 threads for one a core.

    Of the settings only those count that determine its operations, `name` and `arguments`, and of a pruned network
    the weights file that has its widths. Other networks get random weights.

    Raises:
        RecipeError: the network cannot be created, or its weights file cannot be read.
    """
    plain = NetworkConfig(
        name=config.name,
        arguments=config.arguments,
        weights=config.weights if config.widths == "weights" else "none",
        widths=config.widths,
    )
    network, _ = create_network(plain, classes=len(labels))
    return Classifier(
        Bundle(
            role=role,
            architecture=config.name,
            labels=tuple(labels),
            preprocess=preprocess,
            model=to_onnx(network.eval(), size_px=preprocess.size_px),
            parameters=sum(parameter.numel() for parameter in network.parameters()),
        ),
        threads=threads,
    )
