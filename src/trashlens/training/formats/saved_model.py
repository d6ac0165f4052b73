"""TensorFlow's SavedModel, for TensorFlow Serving; onnx2tf makes it of the graph."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trashlens.bundle import Bundle
from trashlens.training.class_maps import drop_class_maps

__all__ = ["convert", "open_network"]


def convert(bundle: Bundle, path: Path) -> None:
    """Write the bundle's graph, without heat maps, as the folder `path`."""
    import onnx2tf

    source = path.with_name("source.onnx")
    source.write_bytes(drop_class_maps(bundle.model))
    try:
        onnx2tf.convert(
            input_onnx_file_path=str(source),
            output_folder_path=str(path),
            keep_shape_absolutely_input_names=["images"],  # channels stay first, as the bundle has them
            output_signaturedefs=True,
            verbosity="error",
        )
    finally:
        source.unlink()
    for extra in path.glob("*.tflite"):  # which it writes along, and nobody asked for
        extra.unlink()


def open_network(bundle: Bundle, path: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:  # noqa: ARG001
    """Return what maps preprocessed images [B, 3, size_px, size_px] to the model's logits [B, classes]."""
    import tensorflow

    network = tensorflow.saved_model.load(str(path)).signatures["serving_default"]

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        (logits,) = network(images=tensorflow.constant(images)).values()
        return np.array(logits)

    return run
