"""The end of a run: its best checkpoint, asked once about validation and test photos, and recorded."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trashlens.image import decode_image, list_labelled
from trashlens.training.checkpoint import (
    Checkpoint,
    read_checkpoint,
    write_predictions,
    write_record,
)
from trashlens.training.data import RECORD_FILE
from trashlens.training.evaluate import score
from trashlens.training.fit.state import Progress
from trashlens.training.fit.teachers import describe_teacher
from trashlens.training.recipe import Recipe
from trashlens.training.tracking import (
    Tracker,
    Version,
    checkpoint_reference,
    checkpoint_version,
    data_version,
)

__all__ = ["conclude", "data_of"]

BATCH = 32

logger = logging.getLogger(__name__)


def conclude(
    recipe: Recipe,
    progress: Progress,
    tracker: Tracker,
    *,
    device: torch.device,
    step: int,
    splits: Sequence[str],
) -> None:
    """Complete checkpoint.json with the test photos' numbers, keep the predictions, tell W&B.

    The epoch was chosen on the validation photos; the test photos are looked at here for the first time, and only
    if they are among the `splits`.

    Raises:
        TrainingError: the checkpoint cannot be read back.
    """
    best = read_checkpoint(recipe.output)
    record = {
        **best.record,
        "history": progress.history,
        "run": tracker.address or best.record.get("run"),
    }
    predictions = {}
    for split in splits:
        photos = list_labelled(recipe.data.processed / split, best.labels)
        if not photos:
            logger.warning("There are no prepared %s photos: the run has no %s numbers.", split, split)
            continue
        labels = np.array([best.labels.index(label) for _, label in photos])
        paths = [path for path, _ in photos]
        probabilities = _predict(best, paths, device)
        predictions[split] = paths, labels, probabilities
        if split == "test":
            record["test"] = score(labels, probabilities, classes=best.labels)
        tracker.log_predictions(split, paths, labels, probabilities, classes=best.labels, step=step)
    # Last: W&B puts each logged value into the summary, and the last epoch need not be the best.
    tracker.summarise({"best_epoch": record["epoch"], **record["val"]})
    if "test" in record:
        tracker.summarise_score("test", record["test"])
    write_predictions(recipe.output, predictions)
    write_record(recipe.output, {**record, "complete": True})
    tracker.give(checkpoint_version(recipe.output, record, _inputs_of(recipe, record)))


def data_of(recipe: Recipe, data: Mapping[str, Any]) -> Version:
    """Return the version of the photos a run learns from; `data` is their record."""
    return data_version(data, manifest=recipe.data.manifest, record=recipe.data.processed / RECORD_FILE)


def _inputs_of(recipe: Recipe, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return references to what the checkpoint was made from: the photos and, for a student, its teacher."""
    inputs = [data_of(recipe, record["data"]).reference]
    if recipe.objective.distill is not None:
        known = describe_teacher(recipe.objective.distill.teacher)
        if known is not None:  # its folder may have gone since the run began
            teacher, sha256 = known
            inputs.append(checkpoint_reference(teacher, sha256 or record["inputs"]["teacher"]))
    return inputs


@torch.inference_mode()
def _predict(
    checkpoint: Checkpoint, photos: Sequence[Path], device: torch.device
) -> NDArray[np.float64]:
    """Return the probabilities [N, classes] of photos, preprocessed as in serving."""
    network, outputs = checkpoint.network.to(device), []
    for start in range(0, len(photos), BATCH):
        batch = np.stack(
            [checkpoint.preprocess(decode_image(path)) for path in photos[start : start + BATCH]]
        )
        outputs.append(network(torch.from_numpy(batch).to(device)).double().softmax(dim=1).cpu().numpy())
    return np.concatenate(outputs)
