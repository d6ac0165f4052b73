"""A finished bundle's copy in int8: another network by its answers, so gated, calibrated and measured as one."""

import dataclasses
from pathlib import Path

import numpy as np

from trashlens.bundle import Bundle
from trashlens.classifier import Classifier
from trashlens.errors import BundleError, ExportError
from trashlens.training.class_maps import drop_class_maps
from trashlens.training.data import read_photos
from trashlens.training.export import (
    CALIBRATION_PHOTOS,
    ExportConfig,
    calibrate_bundle,
    check_photos,
    quantise_bundle,
)
from trashlens.training.graph import PERCENTILE, resize_input

__all__ = ["copy_bundle"]

HOW = (
    f"int8 after training: weights of 7 bits, with a scale for each channel; activations with ranges that hold "
    f"{PERCENTILE} % of their values on {CALIBRATION_PHOTOS} training photos"
)


def copy_bundle(folder: Path, models: Path, config: ExportConfig) -> Path:
    """Write the bundle in `folder` as int8 to `models/<role>` and return that folder.

    It passes the gate that int8 of a checkpoint does, also where it sees less, at `config.size_px`; its
    temperature, its threshold and `metrics["val"]` are its own. It has no heat maps, which no webcam's frame asks
    for.

    Raises:
        BundleError: the bundle is missing or damaged.
        DataError: there are no prepared photos, or of another data set or split.
        ExportError: int8 costs too much, or this cannot be copied so; what lay there stays in place.
    """
    former = Bundle.load(folder)
    target = models / former.role
    if former.weights == "int8":
        raise ExportError(f"{folder} is int8 already. Name the bundle that it was made from.")
    size_px = config.size_px or former.preprocess.size_px
    if size_px > former.preprocess.size_px:
        raise ExportError(
            f"A copy is there to be faster. Give a --size_px of at most {former.preprocess.size_px}."
        )
    if target.exists() and target.samefile(folder):
        raise ExportError(
            f"The copy would replace {folder}, which others are measured against. Give another folder with "
            "--models, such as models/live."
        )
    check_photos(former.provenance.get("data") or {}, config)
    images, labels = read_photos(config.photos, former.labels, former.preprocess)
    classifier = Classifier(former)
    exact = np.concatenate([classifier.infer(image[None]) for image in images])
    plain = dataclasses.replace(
        former,
        model=resize_input(drop_class_maps(former.model), size_px=size_px),
        preprocess=dataclasses.replace(former.preprocess, size_px=size_px),
    )
    try:
        Classifier(plain)
    except BundleError as error:
        raise ExportError(
            f"This network sees {former.preprocess.size_px} px and nothing else. Leave out --size_px."
        ) from error
    seen, _ = read_photos(config.photos, former.labels, plain.preprocess)
    cause = "int8" if size_px == former.preprocess.size_px else f"int8 at {size_px} px"
    quantised, logits, loss = quantise_bundle(plain, config, seen, labels, exact, cause=cause)
    copy = calibrate_bundle(quantised, logits, labels, config)
    difference = float(np.abs(logits - exact).mean())
    parity = {
        "accuracy_loss": loss,
        "mean_logit_difference": difference,
        "same_answer": float(np.mean(logits.argmax(axis=1) == exact.argmax(axis=1))),
        "photos": len(images),
        "batches": (1,),
    }
    origin = {"sha256": former.sha256, "weights": former.weights, "how": f"{HOW}; at {size_px} px"}
    # That heat maps were added is the original's history alone.
    provenance = {key: value for key, value in former.provenance.items() if key != "maps"}
    dataclasses.replace(
        copy,
        metrics={**copy.metrics, "parity": parity},
        provenance={**provenance, "copy_of": origin},
    ).write(target)
    return target
