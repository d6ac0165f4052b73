"""Bundle -> another format, through a gate: it must answer as the bundle does on real photos."""

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trashlens.bundle import JSON_FILE, Bundle
from trashlens.checkpoint_files import CHECKPOINT_FILES
from trashlens.classifier import Classifier
from trashlens.errors import ExportError
from trashlens.files import hash_file, replace_folder
from trashlens.training.data import check_prepared, read_photos
from trashlens.training.formats.converters import FORMATS, Format

__all__ = ["RECORD_FILE", "convert_bundle"]

RECORD_FILE = "record.json"
TOLERANCE = 1e-3
"""Largest difference of a logit that passes, as from torch to ONNX Runtime; logits span about ±10."""

logger = logging.getLogger(__name__)


def convert_bundle(
    folder: Path, name: str, output: Path, *, photos: Path, write: bool = False
) -> dict[str, Any]:
    """Write the bundle in `folder` in the format `name` to the folder `output`, and return what was measured.

    That is `bundle` (its short id), `bytes` and `sha256` of what was written, `max_logit_difference`,
    `same_answer` (share of photos), `photos`, `batches` and the `packages` with their versions. It is kept in
    `record.json`, with all that whoever loads the network needs; with `write` also in the bundle's
    `metrics["formats"]`, which its id does not cover.

    Raises:
        BundleError: the bundle is missing or damaged.
        DataError: there are no prepared photos, or of another data set or split than the bundle's.
        ExportError: a package is missing, something else lies at `output`, or the converted network answers
            otherwise; what lay at `output` stays.
    """
    chosen = FORMATS[name]
    bundle = read_bundle(folder)
    _check_output(output)
    check_prepared(bundle.provenance.get("data") or {}, photos, option="--photos")
    images, _ = read_photos(photos, bundle.labels, bundle.preprocess)
    with replace_folder(output) as staging:
        target = staging / chosen.target
        try:
            chosen.load().convert(bundle, target)
            run = chosen.load().open_network(bundle, target)
        except ModuleNotFoundError as error:
            raise ExportError(_explain_missing(error, name, chosen)) from error
        measured = {
            "bundle": bundle.short_id,
            **_describe_files(staging),
            **_check_parity(bundle, run, images, chosen),
            "packages": {package: metadata.version(package) for package in chosen.packages},
        }
        record = {**_describe_use(bundle, chosen), "measured": measured}
        (staging / RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if write:
        formats = {**(bundle.metrics.get("formats") or {}), name: measured}
        dataclasses.replace(bundle, metrics={**bundle.metrics, "formats": formats}).write(folder)
    return measured


def read_bundle(folder: Path) -> Bundle:
    """Return the bundle in `folder`.

    Raises:
        BundleError: it is missing or damaged.
        ExportError: there is a checkpoint instead.
    """
    is_checkpoint = any((folder / name).is_file() for name in CHECKPOINT_FILES)
    if is_checkpoint and not (folder / JSON_FILE).is_file():
        raise ExportError(
            f"{folder} is a checkpoint, and a bundle is converted: make one with `trashlens export {folder}`, "
            "and name that."
        )
    return Bundle.load(folder)


def _check_output(output: Path) -> None:
    """Let an earlier conversion be replaced, and nothing else.

    Raises:
        ExportError: something else is there.
    """
    is_free = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    if not is_free and not (output / RECORD_FILE).is_file():
        raise ExportError(
            f"{output} holds something else than a converted network. Give another --output."
        )


def _check_parity(
    bundle: Bundle,
    run: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    images: NDArray[np.float32],
    chosen: Format,
) -> dict[str, Any]:
    """Return how far the converted network is from the bundle's, over all batch sizes.

    Raises:
        ExportError: too far.
    """
    classifier = Classifier(bundle)
    expected = np.concatenate([classifier.infer(image[None]) for image in images])
    differences, same = [], []
    for batch in chosen.batches:
        parts = [run(images[i : i + batch]) for i in range(0, len(images), batch)]
        answers = np.concatenate(parts).astype(np.float64)
        if answers.shape != expected.shape:
            raise ExportError(
                f"The converted network answers {answers.shape} where the bundle answers {expected.shape}. "
                "Nothing was written."
            )
        differences.append(_measure_difference(answers, expected, bundle, chosen))
        same.append(float(np.mean(answers.argmax(axis=1) == expected.argmax(axis=1))))
    difference = float(np.max(differences))  # unlike max(), NaN wins
    if not difference <= TOLERANCE:
        raise ExportError(
            f"The converted network differs from the bundle by {difference:.2g} in a logit on {len(images)} "
            f"photos; {TOLERANCE:.2g} is allowed. Nothing was written."
        )
    logger.info("Largest logit difference %.1e on %d photos.", difference, len(images))
    return {
        "max_logit_difference": difference,
        "same_answer": min(same),
        "photos": len(images),
        "batches": chosen.batches,
    }


def _measure_difference(
    answers: NDArray[np.float64], expected: NDArray[np.float32], bundle: Bundle, chosen: Format
) -> float:
    """Return the largest difference of a logit, [N, classes].

    Probabilities say what their logits are but for a constant that softmax ignores, so that it is left out.
    """
    if chosen.answers == "logits":
        return float(np.abs(answers - expected).max())
    with np.errstate(divide="ignore"):
        found = np.log(answers) * bundle.temperature
    wanted = expected.astype(np.float64)
    best = wanted.argmax(axis=1, keepdims=True)
    found, wanted = (part - np.take_along_axis(part, best, axis=1) for part in (found, wanted))
    return float(np.abs(found - wanted).max())


def _describe_files(folder: Path) -> dict[str, Any]:
    """Return the size of all files in `folder`, and the SHA-256 where it is one."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    described: dict[str, Any] = {"bytes": sum(path.stat().st_size for path in files)}
    return {**described, "sha256": hash_file(files[0])} if len(files) == 1 else described


def _describe_use(bundle: Bundle, chosen: Format) -> Mapping[str, Any]:
    """Return what whoever loads the network must know."""
    known = ("role", "architecture", "labels", "temperature", "threshold")
    return {
        "network": chosen.target,
        "answers": chosen.answers,
        **{name: getattr(bundle, name) for name in known},
        "preprocess": dataclasses.asdict(bundle.preprocess),
    }


def _explain_missing(error: ModuleNotFoundError, name: str, chosen: Format) -> str:
    """Return the sentence for a package that is missing, with the commands that install it."""
    if chosen.environment is None:
        return f"{error.name} is missing. Install it with: pipenv sync --categories 'packages train'"
    place = f"build/{name}"
    return (
        f"{error.name} is missing, which {name} needs and the lock leaves out. In an environment of its own: "
        f"python -m venv {place} && {place}/bin/pip install -e . -r "
        f"src/trashlens/training/formats/{chosen.environment}, then {place}/bin/trashlens export"
    )
