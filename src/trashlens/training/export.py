"""Checkpoint -> bundle, through a gate: ONNX Runtime must agree with torch on real photos."""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from torch import nn

from trashlens.bundle import Bundle
from trashlens.classifier import Classifier
from trashlens.errors import ExportError
from trashlens.files import hash_file
from trashlens.training.checkpoint import WEIGHTS_FILE, Checkpoint, read_checkpoint
from trashlens.training.class_maps import explain_bundle
from trashlens.training.data import check_prepared, read_photos
from trashlens.training.evaluate import NEVER, accepted, choose_threshold, score
from trashlens.training.graph import quantise, to_onnx

__all__ = [
    "CALIBRATION_PHOTOS",
    "ExportConfig",
    "calibrate_bundle",
    "check_photos",
    "export_bundle",
    "fit_temperature",
    "quantise_bundle",
]

BATCHES = (1, 8)
"""Batch sizes at which both runtimes are compared."""
TOLERANCE = {"float32": 1e-3, "float16": 5e-2}
"""Largest difference of a logit that passes, by storage of the weights; logits span about ±10."""
ACCURACY_LOSS = 0.003
"""Largest loss of accuracy that quantisation may cost."""
MAP_PHOTOS = 32
"""Photos on which the heat maps are compared with the logits."""
CALIBRATION_PHOTOS = 48
"""Training photos from which quantisation learns the ranges of what flows through the network."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """How a checkpoint becomes a bundle."""

    weights: Literal["float32", "float16", "int8"] = "float32"
    """How the graph stores its weights. float16 halves the file and leaves the arithmetic float32; int8 quarters
    it and reckons in int8, if that costs at most 0.3 points of accuracy."""
    size_px: int | None = None
    """Side of the network's input, by default the recipe's, or that of the bundle that is copied: a smaller one is
    faster and mostly less accurate."""
    photos: Path = Path("data/processed/val")
    """Prepared photos, `<class>/<file>`, on which parity is checked and temperature and threshold are chosen."""
    calibration: Path = Path("data/processed/train")
    """Prepared photos, `<class>/<file>`, of which int8 sees 48 to learn the ranges of the activations."""
    precision: float = 0.98
    """Share of right answers among those the network is sure of, by which its threshold is chosen."""
    coverage: float = 0.8
    """Largest share of these photos it may be sure of; a smaller one rejects more of what is no waste."""

    def __post_init__(self) -> None:
        if self.size_px is not None and self.size_px < 1:
            raise ValueError("size_px must be positive.")
        if not 0 < self.precision < 1:
            raise ValueError("precision must lie between 0 and 1, such as 0.98.")
        if not 0 < self.coverage <= 1:
            raise ValueError("coverage must lie in (0, 1].")


def export_bundle(folder: Path, models: Path, config: ExportConfig = ExportConfig()) -> Path:
    """Export the checkpoint in `folder` to `models/<role>` and return that folder.

    Raises:
        TrainingError: there is no whole checkpoint.
        DataError: there are no prepared photos, or of another data set or split than the checkpoint's.
        ExportError: torch and ONNX Runtime disagree, or int8 costs too much; an earlier bundle stays in place.
    """
    checkpoint = read_checkpoint(folder)
    check_photos(checkpoint.record["data"], config)
    recipe = checkpoint.record["recipe"]
    preprocess = checkpoint.preprocess
    if config.size_px is not None:
        preprocess = dataclasses.replace(preprocess, size_px=config.size_px)
    images, labels = read_photos(config.photos, checkpoint.labels, preprocess)
    stored = "float16" if config.weights == "float16" else "float32"  # int8 is made from float32
    bundle = Bundle(
        role=recipe["role"],
        architecture=recipe["network"]["name"],
        labels=checkpoint.labels,
        preprocess=preprocess,
        model=to_onnx(checkpoint.network, size_px=preprocess.size_px, weights=stored),
        parameters=sum(parameter.numel() for parameter in checkpoint.network.parameters()),
        weights=stored,
    )
    logits, difference = _check_parity(checkpoint.network, bundle, images)
    parity = {"max_logit_difference": difference, "photos": len(images), "batches": BATCHES}
    if config.weights == "int8":
        bundle, logits, loss = quantise_bundle(bundle, config, images, labels, logits)
        parity = {"float32": parity, "accuracy_loss": loss, "photos": len(images), "batches": (1,)}
    logger.info("Largest logit difference %.1e on %d photos.", difference, len(images))
    bundle = calibrate_bundle(_explain(bundle, images), logits, labels, config)
    final = dataclasses.replace(
        bundle,
        metrics={**bundle.metrics, "parity": parity},
        provenance=_provenance(folder, checkpoint),
    )
    final.write(models / final.role)
    return models / final.role


def check_photos(learned: Mapping[str, Any], config: ExportConfig) -> None:
    """Refuse photos of another data set or split than the network `learned` from, by its record.

    Raises:
        DataError: those of `config` are.
    """
    check_prepared(learned, config.photos, option="--photos")
    if config.weights == "int8":
        check_prepared(learned, config.calibration, option="--calibration")


def calibrate_bundle(
    bundle: Bundle, logits: NDArray[np.float32], labels: NDArray[np.int64], config: ExportConfig
) -> Bundle:
    """Return the bundle with the temperature and the threshold that suit its logits [N, classes], and `val`."""
    temperature = fit_temperature(logits, labels)
    logger.info("Temperature %.3f on %d photos.", temperature, len(labels))
    probabilities = softmax(logits.astype(np.float64) / temperature, axis=1)
    threshold = _choose_threshold(labels, probabilities, config)
    val = {
        **score(labels, probabilities, classes=bundle.labels),
        "accepted": {**accepted(labels, probabilities, threshold), "wanted": config.precision},
    }
    return dataclasses.replace(
        bundle, temperature=temperature, threshold=threshold, metrics={"val": val}
    )


def fit_temperature(logits: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """Return the T > 0 that minimises the negative log likelihood of logits / T (Guo et al. 2017).

    `logits` is [N, classes], `labels` [N]; T is sought in 0.05..20.
    """

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits.astype(np.float64) / np.exp(log_temperature), axis=1)
        return -float(scaled[np.arange(len(labels)), labels].mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))


def _choose_threshold(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], config: ExportConfig
) -> float:
    """Return the threshold by which the network is sure, and log what it means."""
    threshold = choose_threshold(
        labels, probabilities, precision=config.precision, coverage=config.coverage
    )
    if threshold == NEVER:
        logger.warning(
            "No threshold makes it likely that %.1f %% of the answers are right, as seen on %d photos: the "
            "network will be sure of none. Export with a lower --precision, or with more --photos.",
            100 * config.precision,
            len(labels),
        )
        return threshold
    kept = accepted(labels, probabilities, threshold)
    logger.info(
        "Sure from %.3f on: %.1f %% of the photos, of which %.1f %% right.",
        threshold,
        100 * kept["coverage"],
        100 * kept["precision"],
    )
    return threshold


@torch.inference_mode()
def _check_parity(
    network: nn.Module, bundle: Bundle, images: NDArray[np.float32]
) -> tuple[NDArray[np.float32], float]:
    """Return the graph's logits [N, classes] and their largest difference from torch's, over all batches."""
    expected = np.concatenate(
        [network(torch.from_numpy(images[i : i + 32])).numpy() for i in range(0, len(images), 32)]
    )
    classifier = Classifier(bundle)
    differences = []
    for batch in BATCHES:
        parts = [classifier.infer(images[i : i + batch]) for i in range(0, len(images), batch)]
        logits = np.concatenate(parts)
        differences.append(float(np.abs(logits - expected).max()))
    allowed = TOLERANCE[bundle.weights]
    difference = float(np.max(differences))  # unlike max(), NaN wins
    if not difference <= allowed:
        raise ExportError(
            f"torch and ONNX Runtime differ by {difference:.2g} in a logit on {len(images)} photos; "
            f"{allowed:.2g} is allowed with {bundle.weights} weights. No bundle was written."
        )
    return logits, difference


def quantise_bundle(
    bundle: Bundle,
    config: ExportConfig,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    exact: NDArray[np.float32],
    *,
    cause: str = "int8",
) -> tuple[Bundle, NDArray[np.float32], float]:
    """Return the bundle in int8, its logits [N, classes], and the accuracy that it lost on the photos.

    `exact` are the logits [N, classes] of the bundle as it is; `cause` is what makes the difference, in words.

    Raises:
        DataError: there are no photos to learn the ranges from.
        ExportError: int8 costs too much.
    """
    seen, _ = read_photos(
        config.calibration, bundle.labels, bundle.preprocess, sample=CALIBRATION_PHOTOS
    )
    quantised = dataclasses.replace(bundle, model=quantise(bundle.model, seen), weights="int8")
    classifier = Classifier(quantised)
    logits = np.concatenate([classifier.infer(image[None]) for image in images])
    loss = float(np.mean(exact.argmax(axis=1) == labels) - np.mean(logits.argmax(axis=1) == labels))
    if loss > ACCURACY_LOSS:
        raise ExportError(
            f"{cause} costs {100 * loss:.1f} points of accuracy on {len(images)} photos; "
            f"{100 * ACCURACY_LOSS:.1f} are allowed. No bundle was written."
        )
    logger.info("%s costs %.1f points of accuracy on %d photos.", cause, 100 * loss, len(images))
    return quantised, logits, loss


def _explain(bundle: Bundle, images: NDArray[np.float32]) -> Bundle:
    """Return the bundle with heat maps, or as it is where it can have none, and log why."""
    try:
        return explain_bundle(bundle, images[:: max(1, len(images) // MAP_PHOTOS)])
    except ExportError as error:
        logger.warning("%s The bundle is written without.", error)
        return bundle


def _provenance(folder: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what the bundle was made from."""
    record = checkpoint.record
    keys = ("recipe", "inputs", "data", "weights", "environment", "run", "epoch", "history")
    known = {key: record.get(key) for key in keys}
    return {**known, "checkpoint_sha256": hash_file(folder / WEIGHTS_FILE)}
