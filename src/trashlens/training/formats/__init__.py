"""A bundle's network for other runtimes: phones, C++ servers, Intel's processors.

`trashlens export models/student --format tflite` converts a finished bundle, and keeps the result only if it
answers as the bundle does on real photos. Of a checkpoint, `trashlens export` makes the bundle first: temperature
and threshold are known only then. They travel in the `record.json` beside the network, with labels and
preprocessing.

| format | for | input | converter |
|---|---|---|---|
| tflite | Android and iOS, with LiteRT (see phones.md) | `uint8 [1, size, size, 3]`, RGB | litert-torch |
| openvino | servers with Intel's processors | as the bundle's | OpenVINO |
| torchscript | C++ with libtorch, where it is in use already | as the bundle's | torch |

A phone's network normalises the pixels itself and answers with calibrated probabilities, so that the phone only
crops and scales. The others take what the bundle's `Preprocess` makes and answer with logits. torchscript needs
nothing beyond the train packages; torch keeps it, and develops it no further.

TensorFlow's SavedModel is missing: of its converters, onnx2tf pins NumPy 1.26, which the readers of photos here no
longer run with, and the others are not kept.

The other converters bring, or pin, a torch of their own and stay out of the lock. Each has a list of what it needs
beside this file, for an environment of its own, here tflite's:

    python -m venv build/tflite
    build/tflite/bin/pip install -e . -r src/trashlens/training/formats/tflite.txt
    build/tflite/bin/trashlens export models/student --format tflite
"""

from trashlens.training.formats.conversion import convert_bundle
from trashlens.training.formats.converters import FORMATS

__all__ = ["FORMATS", "convert_bundle"]
