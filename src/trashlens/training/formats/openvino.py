"""OpenVINO's own format, for servers with Intel's processors; made of the graph."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trashlens.bundle import Bundle
from trashlens.training.class_maps import drop_class_maps

__all__ = ["convert", "open_network"]


def convert(bundle: Bundle, path: Path) -> None:
    """Write the bundle's graph, without heat maps, as `path` and the weights beside it."""
    import openvino

    source = path.with_name("source.onnx")
    source.write_bytes(drop_class_maps(bundle.model))
    try:
        openvino.save_model(openvino.convert_model(source), path, compress_to_fp16=False)
    finally:
        source.unlink()


def open_network(
    bundle: Bundle,  # noqa: ARG001
    path: Path,
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return what maps preprocessed images [B, 3, size_px, size_px] to the model's logits [B, classes]."""
    import openvino

    # By itself it reckons in bfloat16 where the processor can, which is faster and another network's answers.
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    network = openvino.Core().compile_model(path, "CPU", exact)

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.array(network(images)[0])

    return run
