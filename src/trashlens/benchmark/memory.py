"""A fresh process that opens and runs one network, and says by how much it grew."""

import gc
from pathlib import Path

import numpy as np
import onnxruntime as ort
import psutil
from onnxruntime.datasets import get_example

from trashlens.benchmark.children import read_settings, write_result
from trashlens.bundle import Bundle
from trashlens.classifier import Classifier

__all__ = ["main"]

RUNS = 20
"""ONNX Runtime takes its working memory in the first runs."""


def main() -> None:
    """Print `grown_mb`, the growth of resident memory in 10⁶ bytes, as JSON."""
    settings = read_settings()
    # What the runtime itself takes with its first session belongs to no network.
    ort.InferenceSession(get_example("sigmoid.onnx"), providers=["CPUExecutionProvider"])
    before = _resident_bytes()
    bundle = Bundle.load(Path(settings["bundle"]))
    classifier = Classifier(bundle, threads=settings["threads"])
    size_px = bundle.preprocess.size_px
    image = np.random.default_rng(0).standard_normal((1, 3, size_px, size_px)).astype(np.float32)
    for _ in range(RUNS):
        classifier.infer(image)
    write_result({"grown_mb": (_resident_bytes() - before) / 1e6})


def _resident_bytes() -> int:
    gc.collect()
    resident: int = psutil.Process().memory_info().rss
    return resident


if __name__ == "__main__":
    main()
