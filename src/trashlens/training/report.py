"""Measure the bundles on photos through the calls that serve."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from trashlens.benchmark.inference import measure_memory
from trashlens.benchmark.timing import Times
from trashlens.bundle import ROLES, Bundle, load_bundles
from trashlens.classifier import Classifier
from trashlens.comparison import Comparison, compare
from trashlens.errors import DataError
from trashlens.image import list_labelled
from trashlens.machine import count_cores, processor_name
from trashlens.scoreboard import draw_pictures
from trashlens.training.data import (
    HUB_DATASET,
    TACO,
    DataConfig,
    datasets_differ,
    leak_of,
    read_groups,
    read_originals,
    read_split,
    splits_differ,
)
from trashlens.training.evaluate import accepted, compare_paired, score
from trashlens.training.tracking.evaluation import record_evaluation
from trashlens.training.unrelated import rejection_rate

__all__ = [
    "RESERVED",
    "OriginalPhotos",
    "check_split",
    "collect_answers",
    "compare_photos",
    "evaluate_bundles",
    "labelled_photos",
    "original_photos",
]


RESERVED = ("latency", "parity", "robustness", "unrelated", "val")
"""Keys of a record's metrics that are no measured photos' name."""


@dataclass(frozen=True, kw_only=True)
class OriginalPhotos:
    """The original test photos of a split."""

    photos: list[tuple[bytes, str]]
    """Each file's content and its class."""
    groups: list[str] | None
    """The object on each photo; None where no object is known."""
    trained: list[bool] | None
    """Whether that object is on a training photo too; None where no object is known."""


def evaluate_bundles(
    models: Path,
    photos: Sequence[tuple[bytes | Path, str]],
    *,
    name: str = "test",
    write: bool = False,
    runs: Path | None = None,
    roles: Collection[str] = ROLES,
    groups: Sequence[str] | None = None,
    trained: Sequence[bool] | None = None,
    unrelated: Sequence[tuple[str, Image.Image]] = (),
) -> dict[str, Bundle]:
    """Return the bundles with `metrics[name]` and `metrics["latency"]` measured on photos and their classes.

    Every photo is one request to all three networks in turn, so their times are interleaved. `metrics[name]` is
    what `score` returns, with `accepted`, what is left where the network is sure, and `paired`: by role, the
    comparison with each other network. `groups` names the object on each photo, over which intervals are drawn;
    `trained` says whether it is on a training photo too, by which `metrics[name]["objects"]` parts the score.
    `unrelated` are named photos of no waste; `metrics["unrelated"]` says how many were rejected. With `write`
    the numbers are kept in each bundle.json, with the memory that each network takes, which costs fresh processes;
    with `runs` the bundles and what they answer are recorded in W&B,
    as a run whose files lie there. `roles` are those of which a new version is kept and recorded.

    Raises:
        BenchmarkError: a process that measures memory did not end well.
        BundleError: a bundle is missing or damaged.
        DataError: there are no photos, one is of a class that a bundle does not know, or `name` is one of
            `RESERVED`.
        ImageError: one of them cannot be read.
    """
    if name in RESERVED:
        raise DataError(
            f"Photos cannot be named {name!r}: the bundles' records keep something else under it. "
            "Give their folder another name."
        )
    bundles = load_bundles(models)
    for role, bundle in bundles.items():
        unknown = sorted({label for _, label in photos} - set(bundle.labels))
        if unknown:
            raise DataError(
                f"The {role} knows no {unknown[0]}, but {', '.join(bundle.labels)}. Give photos of these."
            )
    classifiers = {role: Classifier(bundle) for role, bundle in bundles.items()}
    comparisons = compare_photos(classifiers, photos)
    answers = {role: collect_answers(photos, comparisons, bundle) for role, bundle in bundles.items()}
    members = None if groups is None else np.array(groups)
    known = None if trained is None else np.array(trained)
    memory_mb = measure_memory(models, [role for role in bundles if role in roles]) if write else {}
    measured = {}
    for role, bundle in bundles.items():
        metrics = {
            name: {
                **score(*answers[role], classes=bundle.labels, groups=members),
                "accepted": accepted(*answers[role], bundle.threshold, groups=members),
                "paired": _compare_with_others(bundles, answers, role, groups=members),
                **_part_by_object(*answers[role], bundle, groups=members, trained=known),
            },
            "latency": {
                **_latency(comparisons, role, teacher=bundles["teacher"].short_id),
                **({"memory_mb": memory_mb[role]} if role in memory_mb else {}),
            },
        }
        if unrelated:
            metrics["unrelated"] = rejection_rate(classifiers[role], unrelated)
        measured[role] = dataclasses.replace(bundle, metrics={**bundle.metrics, **metrics})
        if write and role in roles:
            measured[role].write(models / role)
    if runs is not None:
        drawings = draw_pictures(measured, name=name)
        pictured = [photo for photo, _ in photos]
        record_evaluation(
            measured, models, pictured, answers, drawings, name=name, folder=runs, roles=roles
        )
    return measured


def compare_photos(
    classifiers: Mapping[str, Classifier], photos: Sequence[tuple[bytes | Path, str]]
) -> list[Comparison]:
    """Return what the networks say about each photo, one request each, as serving answers it.

    Raises:
        DataError: there are no photos.
        ImageError: one of them cannot be read.
    """
    if not photos:
        raise DataError("There are no photos to evaluate on.")
    for photo, _ in photos[:10]:  # the first calls pay for cold caches
        compare(classifiers, photo)
    return [compare(classifiers, photo) for photo, _ in tqdm(photos, "photos", unit="photo")]


def collect_answers(
    photos: Sequence[tuple[bytes | Path, str]], comparisons: Sequence[Comparison], bundle: Bundle
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the true class indices [N] and one network's calibrated probabilities [N, classes]."""
    labels = np.array([bundle.labels.index(label) for _, label in photos])
    confidences = [comparison.predictions[bundle.role].confidences for comparison in comparisons]
    return labels, np.array([list(one.values()) for one in confidences])


def check_split(models: Path, split: Mapping[str, Any], *, own: bool) -> None:
    """Refuse photos that bundles may have learned from; `split` has their `dataset`, `split`, `seed` and `fold`.

    With `own` those of another data set are refused too: what is kept in a bundle's record is of its own.

    Raises:
        BundleError: a bundle is missing or damaged.
        DataError: a bundle learned from another split, of whose training photos some are test photos here, or
            from another data set.
    """
    for role, bundle in load_bundles(models).items():
        learned = bundle.provenance.get("data") or {}
        if own and datasets_differ(learned, split):
            raise DataError(
                f"The {role} learned from {learned['dataset']}, and these photos are of {split['dataset']}: its "
                "record keeps numbers of its own data set alone."
            )
        if splits_differ(learned, split):
            named = _name_split(learned)
            if datasets_differ(learned, split):
                named = f"{named} of {learned['dataset']}"
            raise DataError(
                f"The {role} learned from other training photos, split {named}: some of them "
                "would be test photos here. Measure it on its own split, with --split, --seed and --fold."
            )


def original_photos(models: Path, config: DataConfig) -> OriginalPhotos:
    """Return the original test photos with their classes, and what is known of the objects on them.

    Raises:
        BundleError: a bundle is missing or damaged.
        DataError: the source or the manifest is missing or damaged, or none of TrashNet, or a bundle learned from
            another data set, or from another split, of whose training photos some are test photos here.
    """
    if config.source == TACO:
        raise DataError(
            "Original test photos are read of TrashNet alone. Measure crops as prepared: --photos "
            f"{config.processed / 'test'}."
        )
    about = {"dataset": HUB_DATASET, "split": config.split, "seed": config.seed, "fold": config.fold}
    check_split(models, about, own=True)
    originals = read_originals(config, "test")
    photos = [(one.data, one.label) for one in originals]
    if all(one.group == one.path for one in originals):
        return OriginalPhotos(photos=photos, groups=None, trained=None)
    leak = leak_of(read_split(config), read_groups(config.folder))
    return OriginalPhotos(
        photos=photos,
        groups=[one.group for one in originals],
        trained=[one.path in leak.seen for one in originals],
    )


def _name_split(record: Mapping[str, Any]) -> str:
    """Return a split's name, with the seed or the fold that it needs."""
    needed = {"random": "seed", "grouped": "fold"}.get(record["split"])
    return f"{record['split']}, {needed} {record.get(needed)}" if needed else str(record["split"])


def labelled_photos(folder: Path, classes: Sequence[str]) -> list[tuple[Path, str]]:
    """Return the photos of `folder/<class>/` with their classes.

    Raises:
        DataError: there are none.
    """
    photos = list_labelled(folder, classes)
    if not photos:
        raise DataError(f"{folder} holds no photos in folders named {', '.join(classes)}.")
    return photos


def _compare_with_others(
    bundles: Mapping[str, Bundle],
    answers: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]],
    role: str,
    *,
    groups: NDArray[np.str_] | None,
) -> dict[str, dict[str, Any]]:
    """Return by how much a network is better than each other one; `bundle` names the other's graph.

    A network whose classes come in another order is left out: their answers cannot be laid side by side.
    """
    labels, own = answers[role]
    return {
        other: {
            "bundle": bundle.short_id,
            **compare_paired(labels, answers[other][1], own, groups=groups),
        }
        for other, bundle in bundles.items()
        if other != role and bundle.labels == bundles[role].labels
    }


def _part_by_object(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    bundle: Bundle,
    *,
    groups: NDArray[np.str_] | None,
    trained: NDArray[np.bool_] | None,
) -> dict[str, Any]:
    """Return `objects`: the scores on objects that were `trained` on and on `new` ones, if there are both.

    Each has `photos`, `accuracy`, `accuracy_interval` and `accepted`, what is left where the network is sure.
    """
    if groups is None or trained is None or trained.all() or not trained.any():
        return {}
    parts = {}
    for part, members in (("trained", trained), ("new", ~trained)):
        answers, objects = (labels[members], probabilities[members]), groups[members]
        scored = score(*answers, classes=bundle.labels, groups=objects)
        parts[part] = {
            **{key: scored[key] for key in ("photos", "accuracy", "accuracy_interval")},
            "accepted": accepted(*answers, bundle.threshold, groups=objects),
        }
    return {"objects": parts}


def _latency(comparisons: list[Comparison], role: str, *, teacher: str) -> dict[str, Any]:
    """Return the network's time over all requests, and its speed as the median ratio to the teacher's.

    `teacher` is the short id of the teacher's bundle, which the speed holds for alone.
    """
    times = Times(
        ms={
            one: [comparison.predictions[one].infer_ms for comparison in comparisons]
            for one in ("teacher", role)
        }
    )
    summary = times.summary(role)
    return {
        "infer_ms_p50": summary.p50_ms,
        "infer_ms_p95": summary.p95_ms,
        "times_teacher_speed": times.ratio("teacher", role).median,
        "teacher": teacher,
        "requests": summary.runs,
        "threads": count_cores(),
        "cpu": processor_name(),
    }
