"""Trashlens: three networks name the class of waste in a photo, side by side, each with its time."""

import os

# ONNX Runtime's wheels tell their maker about machine and use, from the first import on, unless told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from trashlens.bundle import Bundle, load_bundles
from trashlens.classifier import Classifier, Prediction, load_classifiers
from trashlens.comparison import Comparison, compare
from trashlens.errors import TrashlensError
from trashlens.image import Preprocess, decode_image

__all__ = [
    "Bundle",
    "Classifier",
    "Comparison",
    "Prediction",
    "Preprocess",
    "TrashlensError",
    "compare",
    "decode_image",
    "load_bundles",
    "load_classifiers",
]
