"""From a recipe to a checkpoint: prepare, train and validate every epoch, keep the best and the state."""

import dataclasses
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import set_seed
from tqdm import tqdm

from trashlens.errors import RecipeError
from trashlens.files import hash_file
from trashlens.training.checkpoint import describe_environment, write_checkpoint
from trashlens.training.data import TACO, crops_differ, prepare_data, read_data_record
from trashlens.training.fit.answers import name_views
from trashlens.training.fit.conclusion import conclude, data_of
from trashlens.training.fit.epoch import train_epoch, validate
from trashlens.training.fit.state import Progress, find_state, read_progress, remove_states, save_state
from trashlens.training.fit.teachers import check_teacher
from trashlens.training.fit.trainer import Trainer, make_accelerator, make_trainer
from trashlens.training.recipe import Recipe
from trashlens.training.tracking import Tracker, track

__all__ = ["Watch", "ensure_data", "fit"]

Watch = Callable[[int, Mapping[str, float]], bool]
"""Looks at an epoch, counted from 1, and its metrics; says whether training is to stop after it."""

logger = logging.getLogger(__name__)


def fit(
    recipe: Recipe,
    *,
    group: str | None = None,
    watch: Watch | None = None,
    splits: Sequence[str] = ("val", "test"),
) -> Path:
    """Train by the recipe, or go on where an interrupted run stopped; return the checkpoint folder.

    The checkpoint is the epoch of highest validation accuracy (the later one of equals). In W&B the run is one
    of `group`, by default of those with the same role and network. `watch` sees each epoch, those again that an
    interrupted run had done, and may stop a run of a single process: its checkpoint is then not marked complete.
    A complete one is asked about the photos of `splits`; runs that are chosen from leave out `test`.

    Raises:
        RecipeError: the recipe cannot work, or its output folder belongs to another recipe.
        DataError: the photos cannot be prepared.
        TrainingError: the loss is not finite.
    """
    recipe.output.mkdir(parents=True, exist_ok=True)  # fails now, not after the first epoch
    accelerator = make_accelerator(recipe)
    progress = read_progress(recipe, processes=accelerator.num_processes)
    if progress is None:
        logger.info("%s is complete already.", recipe.output)
        return recipe.output
    with accelerator.main_process_first():
        data = ensure_data(recipe, write=accelerator.is_main_process)
    if recipe.objective.distill is not None:
        check_teacher(recipe.objective.distill.teacher, data)
    set_seed(recipe.seed)
    trainer, report = make_trainer(
        recipe,
        accelerator,
        resuming=progress.epoch > 0,
        views=_name_views(recipe, accelerator, data, progress),
    )
    if progress.epoch:
        accelerator.load_state(str(find_state(recipe.output)))
        logger.info("Continuing after epoch %d of %d.", progress.epoch, recipe.schedule.epochs)
    record = {
        "recipe": recipe.to_json(),
        "inputs": progress.inputs,
        "labels": list(trainer.labels),
        "data": data,
        "weights": dataclasses.asdict(report),
        "environment": {
            **describe_environment(),
            "precision": accelerator.mixed_precision,
            "processes": accelerator.num_processes,
        },
    }
    if accelerator.is_main_process:
        with track(
            record,
            name=recipe.output.name,
            folder=recipe.output,
            job_type="train",
            group=group or f"{recipe.role} {recipe.network.name}",
            run_id=progress.run_id,
        ) as tracker:
            progress.run_id = tracker.run_id
            tracker.use(data_of(recipe, data))
            own = {**record, "run": tracker.address}
            if _run_epochs(recipe, trainer, progress, own, tracker, watch):
                step = recipe.schedule.epochs * len(trainer.train) + 1
                conclude(recipe, progress, tracker, device=accelerator.device, step=step, splits=splits)
            else:
                tracker.summarise({"stopped_after": progress.epoch})
            remove_states(recipe.output)
    else:
        _run_epochs(recipe, trainer, progress, record, Tracker(None))
    accelerator.end_training()
    logger.info("Checkpoint: %s", recipe.output)
    return recipe.output


def _name_views(
    recipe: Recipe, accelerator: Accelerator, data: dict[str, Any], progress: Progress
) -> dict[str, Any] | None:
    """Return what determines the views whose answers are remembered, if they are to be."""
    if recipe.objective.distill is None or recipe.objective.distill.remember is None:
        return None
    arithmetic = f"{accelerator.device.type} {accelerator.mixed_precision}"
    return name_views(
        recipe, data=data, teacher_sha256=progress.inputs["teacher"], arithmetic=arithmetic
    )


def ensure_data(recipe: Recipe, *, write: bool) -> dict[str, Any]:
    """Return the record of the prepared photos; with `write`, prepare them first where there are none.

    Raises:
        RecipeError: they were prepared by other settings than the recipe's.
        DataError: they cannot be prepared.
    """
    if write and not recipe.data.processed.is_dir():
        prepare_data(recipe.data)
    data = read_data_record(recipe.data.processed)
    wanted = {
        "split": recipe.data.split,
        "seed": recipe.data.seed if recipe.data.split == "random" else None,
        "fold": recipe.data.fold if recipe.data.split == "grouped" else None,
        "short_side_px": recipe.data.short_side_px,
    }
    if recipe.data.source == TACO and crops_differ(data, recipe.data.taco, recipe.data.images):
        raise RecipeError(
            f"{recipe.data.processed} holds crops of other classes, annotations, margin or smallest side than the "
            "recipe's. Run `trashlens data` with the recipe's settings first."
        )
    # Photos prepared before there were folds have none in their record.
    if any(data.get(key) != value for key, value in wanted.items()):
        raise RecipeError(
            f"{recipe.data.processed} was prepared otherwise (split {data['split']}, seed {data['seed']}, "
            f"fold {data.get('fold')}, {data['short_side_px']} px). "
            "Run `trashlens data` with the recipe's settings first."
        )
    # A random split's manifest is made with the photos; the others are given, and may have been made anew.
    if recipe.data.manifest.is_file() and data["manifest_sha256"] != hash_file(recipe.data.manifest):
        raise RecipeError(
            f"{recipe.data.processed} was prepared by another {recipe.data.manifest.name} than the present one. "
            "Run `trashlens data` with the recipe's settings again."
        )
    return data


def _run_epochs(
    recipe: Recipe,
    trainer: Trainer,
    progress: Progress,
    record: dict[str, Any],
    tracker: Tracker,
    watch: Watch | None = None,
) -> bool:
    """Train and validate the epochs that are left, keeping the best checkpoint and the state to resume.

    Says whether they were all of them: `watch` may end it earlier.
    """
    accelerator, epochs, steps = trainer.accelerator, recipe.schedule.epochs, len(trainer.train)
    bar = tqdm(
        desc=recipe.role,
        total=epochs * steps,
        initial=progress.epoch * steps,
        unit="step",
        disable=not accelerator.is_main_process,
        # A log file gets a line now and then, a terminal a lively bar.
        mininterval=0.5 if sys.stderr.isatty() else 30,
    )
    with bar:
        if watch and any(watch(known["epoch"], known) for known in progress.history):
            return False
        for epoch in range(progress.epoch, epochs):
            with trainer.answers.epoch(epoch + 1) if trainer.answers else nullcontext():
                metrics = train_epoch(trainer, recipe, epoch=epoch, bar=bar, tracker=tracker)
            network = accelerator.unwrap_model(trainer.network)
            with trainer.averaging.applied(network):
                metrics |= validate(trainer)
                progress.epoch = epoch + 1
                progress.history.append({"epoch": epoch + 1, **metrics})
                if metrics["val/accuracy"] >= progress.best_accuracy:
                    progress.best_accuracy = metrics["val/accuracy"]
                    if accelerator.is_main_process:
                        write_checkpoint(recipe.output, network, _best(record, progress, metrics))
            bar.set_postfix(loss=f"{metrics['train/loss']:.3f}", val=f"{metrics['val/accuracy']:.3f}")
            tracker.log({"epoch": epoch + 1, **metrics}, step=progress.epoch * steps)
            save_state(recipe.output, accelerator, progress)
            if watch and watch(progress.epoch, metrics):
                return False
    return True


def _best(record: dict[str, Any], progress: Progress, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a checkpoint: the run's, with the epoch it is from and the curves up to there."""
    val = {name: value for name, value in metrics.items() if name.startswith("val/")}
    return {**record, "epoch": progress.epoch, "val": val, "history": progress.history}
