"""Train what a study still lacks, run after run, and keep a record of each."""

import dataclasses
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trashlens.errors import RecipeError, TrainingError
from trashlens.files import hash_file
from trashlens.training.checkpoint import PREDICTIONS_FILE, WEIGHTS_FILE
from trashlens.training.checkpoint import read_record as read_checkpoint_record
from trashlens.training.evaluate import calibration_error, change_temperature, score
from trashlens.training.export import fit_temperature
from trashlens.training.fit import fit
from trashlens.training.fit.state import hash_weights
from trashlens.training.study.config import Study
from trashlens.training.study.plan import Run, describe_recipe
from trashlens.training.study.records import Answer, RunRecord, name_network, write_record
from trashlens.training.study.standing import (
    Standing,
    estimate_left_s,
    find_standings,
    format_duration,
)

__all__ = ["conduct", "make_record"]

DIGITS = 4
"""Decimals of the probabilities that are kept."""
LEAST = 5e-6
"""What a probability of 0 may have been before training rounded it to five decimals."""

logger = logging.getLogger(__name__)


def conduct(study: Study, runs: Sequence[Run], records: Path) -> None:
    """Train every run that has no record, in order, and write its record to the folder `records`.

    A run whose loss is not finite does not keep the others from being trained, but its students are left out.

    Raises:
        RecipeError: a run cannot work, its record or folder belongs to another recipe, or it would start from
            other weights than those that are done.
        DataError: the photos cannot be prepared, or a record is damaged.
        TrainingError: some runs stopped, or their teachers did; the others are done.
    """
    standings = find_standings(runs, records)
    _check_weights(standings)
    failed: dict[Path, str] = {}
    for index, standing in enumerate(standings):
        if standing.state == "done":
            continue
        run, start, start_cpu = standing.run, time.perf_counter(), time.process_time()
        distill = run.recipe.objective.distill
        if distill is not None and distill.teacher in failed:
            logger.error("%s is left out: its teacher stopped.", run.name)
            failed[run.recipe.output] = f"{run.name} (its teacher stopped)"
            continue
        left_s = estimate_left_s(find_standings(runs, records))
        left = f", about {format_duration(left_s)} left" if left_s is not None else ""
        logger.info("Run %d of %d: %s%s.", index + 1, len(runs), run.name, left)
        try:
            fit(run.recipe, group=study.name)
        except TrainingError as error:
            logger.error("%s stopped: %s", run.name, error)
            failed[run.recipe.output] = run.name
            continue
        whole = standing.state == "to do"
        wall_s = time.perf_counter() - start if whole else None
        cpu_s = time.process_time() - start_cpu if whole else None
        record = dataclasses.replace(make_record(study, run, wall_s), cpu_s=cpu_s)
        write_record(records / f"{run.name}.json", record)
    if failed:
        named = ", ".join(failed.values())
        raise TrainingError(f"Of {len(runs)} runs {len(failed)} stopped: {named}.")


def _check_weights(standings: Sequence[Standing]) -> None:
    """Refuse to start from a file of other weights than the runs that are done: they could not be compared."""
    known = {
        name_network(standing.record.recipe): standing.record
        for standing in standings
        if standing.record is not None and standing.record.weights_sha256
    }
    begun_from = {
        (name_network(describe_recipe(recipe)), recipe.network.weights): recipe
        for recipe in (standing.run.recipe for standing in standings if standing.state == "to do")
    }
    for (network, weights), recipe in begun_from.items():
        done = known.get(network)
        if done and done.weights and hash_weights(recipe) not in (None, done.weights_sha256):
            raise RecipeError(
                f"{weights} holds other weights than {done.weights['source']}, from which {network} was trained "
                "already. Give the same, or remove the records that are out of date."
            )


def make_record(study: Study, run: Run, wall_s: float | None) -> RunRecord:
    """Return the record of a finished run, from what training left in its folder.

    Raises:
        TrainingError: the folder lacks something of a finished run.
    """
    folder = run.recipe.output
    checkpoint = read_checkpoint_record(folder)
    try:
        predictions = json.loads((folder / PREDICTIONS_FILE).read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(
            f"{folder} has no {PREDICTIONS_FILE}, which training writes at its end. Remove the folder, "
            "then run the study again."
        ) from error
    assert checkpoint is not None  # fit returned its folder
    labels, data, environment = checkpoint["labels"], checkpoint["data"], checkpoint["environment"]
    temperature, ece_scaled = _scale(predictions)
    return RunRecord(
        study=study.name,
        variant=run.variant,
        seed=run.recipe.seed,
        fold=run.recipe.data.fold if study.folds else None,
        recipe=describe_recipe(run.recipe),
        labels=labels,
        val=_score(predictions["val"], labels),
        test={**_score(predictions["test"], labels), "ece_scaled": ece_scaled},
        answers=_answers(predictions["test"]),
        temperature=temperature,
        data={
            **{key: data.get(key) for key in ("split", "manifest_sha256", "content_sha256")},
            "photos": {
                split: sum(by_class.values()) for split, by_class in data.get("photos", {}).items()
            },
        },
        wall_s=wall_s,
        machine=environment["device"],
        commit=environment["commit"],
        teacher_sha256=checkpoint["inputs"].get("teacher"),
        checkpoint_sha256=hash_file(folder / WEIGHTS_FILE),
        precision=environment.get("precision"),
        processes=environment.get("processes"),
        weights=_describe_weights(checkpoint),
    )


def _describe_weights(checkpoint: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the source of the starting weights and, of a file, its SHA-256; None where nothing is known."""
    report, digest = checkpoint.get("weights"), checkpoint["inputs"].get("weights")
    if not report:
        return None
    return {"source": report["source"], **({"sha256": digest} if digest else {})}


def _score(split: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """Return those of `evaluate.score`'s numbers that are kept."""
    metrics = score(*_arrays(split), classes=classes)
    return {key: metrics[key] for key in ("photos", "accuracy", "macro_f1", "ece", "f1", "confusion")}


def _scale(predictions: Mapping[str, Any]) -> tuple[float, float]:
    """Return the temperature fitted on the validation photos, and the test photos' ECE with it."""
    labels, probabilities = _arrays(predictions["val"])
    # softmax ignores a constant, so log probabilities are as good as logits.
    temperature = fit_temperature(np.log(np.maximum(probabilities, LEAST)), labels)
    labels, probabilities = _arrays(predictions["test"])
    scaled = change_temperature(np.maximum(probabilities, LEAST), old=1.0, new=temperature)
    return temperature, calibration_error(labels, scaled)


def _arrays(split: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return labels [N] and probabilities [N, classes]."""
    return np.array(split["labels"], np.int64), np.array(split["probabilities"], np.float64)


def _answers(split: Mapping[str, Any]) -> list[Answer]:
    rows = zip(split["paths"], split["labels"], split["probabilities"], strict=True)
    return sorted(
        Answer(path, label, int(np.argmax(row)), tuple(round(float(value), DIGITS) for value in row))
        for path, label, row in rows
    )
