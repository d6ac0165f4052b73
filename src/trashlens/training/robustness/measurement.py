"""Folders of bundles -> what each network answers on changed photos, through the calls that serve."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from trashlens.bundle import ROLES, Bundle, load_bundles
from trashlens.classifier import Classifier
from trashlens.image import Preprocess
from trashlens.training.robustness.corruptions import VARIANTS, Corruptor, Scene
from trashlens.training.robustness.summary import Answers, compare_answers, disagreement, summarise

__all__ = ["Measured", "compare_folders", "measure_folders"]

BATCH = 32
"""Photos that a network sees at once."""


class Measured(NamedTuple):
    """One folder of bundles and what they said."""

    bundles: dict[str, Bundle]
    """By role, with `metrics["robustness"]`."""
    answers: dict[str, Answers]
    """By role."""


def measure_folders(
    folders: Sequence[Path],
    scenes: Sequence[Scene],
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
    about: Mapping[str, Any] | None = None,
) -> list[Measured]:
    """Return each folder's three networks measured on the same changed photos.

    `metrics["robustness"]` is what `summarise` returns, with `disagreement` (what `disagreement` returns, and
    the bundles' short ids by role in `between`), `seed`, and what `about` says of the photos.

    Raises:
        BundleError: a bundle is missing, damaged or cannot run.
    """
    loaded = [load_bundles(folder) for folder in folders]
    networks = {_key(bundle): bundle for bundles in loaded for bundle in bundles.values()}
    said = collect_answers(
        {key: Classifier(bundle) for key, bundle in networks.items()}, scenes, seed=seed
    )
    labels = np.array([scene.label for scene in scenes])
    results = []
    for bundles in loaded:
        answers = {role: said[_key(bundle)] for role, bundle in bundles.items()}
        together = {
            **disagreement(answers),
            "between": {role: bundle.short_id for role, bundle in bundles.items()},
        }
        measured = {}
        for role, bundle in bundles.items():
            summary = summarise(labels, answers[role], classes=bundle.labels, groups=groups, seed=seed)
            record = {**(about or {}), "seed": seed, **summary, "disagreement": together}
            metrics = {**bundle.metrics, "robustness": record}
            measured[role] = dataclasses.replace(bundle, metrics=metrics)
        results.append(Measured(measured, answers))
    return results


def _key(bundle: Bundle) -> tuple[Any, ...]:
    """Return what decides a network's answers: bundles that share it, in several folders, are asked once."""
    return bundle.sha256, bundle.preprocess, bundle.labels, bundle.temperature, bundle.threshold


def collect_answers(
    classifiers: Mapping[tuple[Any, ...], Classifier], scenes: Sequence[Scene], *, seed: int
) -> dict[tuple[Any, ...], Answers]:
    """Return every classifier's answers on every variant of every photo.

    A batch is changed once, preprocessed once for each definition, and shown to all networks.
    """
    corrupt = Corruptor(seed=seed)
    named: dict[tuple[Any, ...], list[list[str]]] = {key: [] for key in classifiers}
    sure: dict[tuple[Any, ...], list[list[bool]]] = {key: [] for key in classifiers}
    with tqdm(total=len(VARIANTS) * len(scenes), desc="changed photos", unit="photo") as progress:
        for name, strength in VARIANTS:
            for key in classifiers:
                named[key].append([])
                sure[key].append([])
            for start in range(0, len(scenes), BATCH):
                batch = scenes[start : start + BATCH]
                views = [Image.fromarray(corrupt(scene, name, strength)) for scene in batch]
                inputs: dict[Preprocess, NDArray[np.float32]] = {}
                for key, classifier in classifiers.items():
                    preprocess = classifier.bundle.preprocess
                    if preprocess not in inputs:
                        inputs[preprocess] = np.stack([preprocess(view) for view in views])
                    predictions = classifier.predict(inputs[preprocess])
                    named[key][-1].extend(one.label for one in predictions)
                    sure[key][-1].extend(one.sure for one in predictions)
                progress.update(len(batch))
    return {key: Answers(np.array(named[key]), np.array(sure[key])) for key in classifiers}


def compare_folders(
    results: Sequence[Measured],
    scenes: Sequence[Scene],
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> list[dict[str, dict[str, Any]]]:
    """Return, for each folder after the first, by role what `compare_answers` says of it against the first."""
    labels = np.array([scene.label for scene in scenes])
    first = results[0].answers
    return [
        {
            role: compare_answers(labels, first[role], other.answers[role], groups=groups, seed=seed)
            for role in ROLES
        }
        for other in results[1:]
    ]
