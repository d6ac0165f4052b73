"""Several networks side by side on one image: what they say, and what each step cost."""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trashlens.classifier import Classifier, Prediction
from trashlens.image import DEFAULT_LIMITS, ImageLimits, Preprocess, decode_image

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What several networks say about the same request, and what each step of it cost."""

    decode_ms: float
    """From the file's bytes to an upright RGB image, milliseconds."""
    preprocess_ms: float
    """From the image to the networks' inputs, milliseconds; shared where they agree on it."""
    predictions: Mapping[str, Prediction]
    """By role."""
    size_px: tuple[int, int] = (0, 0)
    """Width and height of the photo as it was decoded; a large JPEG is decoded at a part of its size."""
    explained: bool = False
    """Whether the networks were asked for their maps."""

    @property
    def steps_ms(self) -> dict[str, float]:
        """Time of each step by name, milliseconds, in their order."""
        steps = {"decode": self.decode_ms, "preprocess": self.preprocess_ms}
        return steps | {f"infer, {role}": one.infer_ms for role, one in self.predictions.items()}

    @property
    def total_ms(self) -> float:
        """Decode, preprocess and every network, milliseconds; more than passed where networks ran at once."""
        return sum(self.steps_ms.values())

    def to_json(self) -> dict[str, Any]:
        """Return the object that the API and the command line answer with; only explained ones have a `map`."""
        return {
            "decode_ms": self.decode_ms,
            "preprocess_ms": self.preprocess_ms,
            "results": {
                role: {
                    "label": prediction.label,
                    "sure": prediction.sure,
                    "confidences": dict(prediction.confidences),
                    "infer_ms": prediction.infer_ms,
                    "bundle": prediction.bundle,
                    **({"map": prediction.map} if self.explained else {}),
                }
                for role, prediction in self.predictions.items()
            },
        }


def compare(
    classifiers: Mapping[str, Classifier],
    source: bytes | str | os.PathLike[str] | Image.Image,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
    seen: Callable[[Image.Image], None] | None = None,
    explain: bool = False,
    at_once: bool = False,
) -> Comparison:
    """Decode the photo once, preprocess it once for each definition, and ask every classifier.

    Where asked to `explain`, those that can also say which places of the photo speak for their answer. The
    networks run one after the other, or, `at_once`, the largest beside the others: on two cores, with one thread
    each, three networks are done a tenth sooner, though each takes longer than alone. At last `seen` is called
    with the decoded photo, for whoever wants to show it.

    Raises:
        ImageError: the source is not a photo that can be read.
    """
    start = time.perf_counter()
    image = decode_image(source, limits=limits)
    decoded = time.perf_counter()
    inputs: dict[Preprocess, NDArray[np.float32]] = {}
    for classifier in classifiers.values():
        preprocess = classifier.bundle.preprocess
        if preprocess not in inputs:
            inputs[preprocess] = preprocess(image)[np.newaxis]
    preprocessed = time.perf_counter()
    ask = _ask_at_once if at_once and len(classifiers) > 1 else _ask
    predictions = ask(classifiers, inputs, explain)
    if seen:
        seen(image)
    return Comparison(
        decode_ms=(decoded - start) * 1e3,
        preprocess_ms=(preprocessed - decoded) * 1e3,
        predictions=predictions,
        size_px=image.size,
        explained=explain,
    )


def _ask(
    classifiers: Mapping[str, Classifier],
    inputs: Mapping[Preprocess, NDArray[np.float32]],
    explain: bool,
) -> dict[str, Prediction]:
    return {
        role: classifier.predict(inputs[classifier.bundle.preprocess], explain=explain)[0]
        for role, classifier in classifiers.items()
    }


def _ask_at_once(
    classifiers: Mapping[str, Classifier],
    inputs: Mapping[Preprocess, NDArray[np.float32]],
    explain: bool,
) -> dict[str, Prediction]:
    """Ask the largest network in this thread, the others meanwhile in another one."""
    largest = max(classifiers, key=lambda role: classifiers[role].bundle.parameters)
    others = {role: classifier for role, classifier in classifiers.items() if role != largest}
    with ThreadPoolExecutor(1) as beside:
        coming = beside.submit(_ask, others, inputs, explain)
        predictions = _ask({largest: classifiers[largest]}, inputs, explain) | coming.result()
    return {role: predictions[role] for role in classifiers}
