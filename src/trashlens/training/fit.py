"""The one training loop, supervised and distilled alike, on accelerate: any device, any number of processes.

An epoch is determined by the recipe's seed and its number alone, and the state after each epoch is kept, so
a run killed at any moment continues from the last whole epoch to the weights it would have had anyway.
"""

import dataclasses
import json
import shutil
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.logging import get_logger
from accelerate.utils import DataLoaderConfiguration, set_seed
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from trashlens.errors import RecipeError, TrainingError
from trashlens.training.checkpoint import (
    describe_environment,
    read_checkpoint,
    read_record,
    replace_file,
    write_checkpoint,
    write_record,
)
from trashlens.training.data import Loaders, make_loaders, prepare_data
from trashlens.training.data import read_record as read_data_record
from trashlens.training.evaluate import score
from trashlens.training.networks import LoadReport, create_network, fit_head
from trashlens.training.objectives import Distilled, Supervised, class_weights
from trashlens.training.recipe import Recipe
from trashlens.training.tracking import Tracker, track

__all__ = ["fit"]

STATE_FOLDER = "state"
PROGRESS_FILE = "progress.json"

logger = get_logger(__name__)  # speaks once, however many processes train


@dataclass(kw_only=True)
class Progress:
    """How far a run has come; kept in the state folder."""

    recipe: dict[str, Any]
    """The recipe the state belongs to."""
    epoch: int = 0
    """Whole epochs done."""
    best_accuracy: float = -1.0
    """Highest validation accuracy so far."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """One record of metrics an epoch."""
    run_id: str | None = None
    """W&B's id of the run."""


@dataclass(kw_only=True)
class Trainer:
    """What the loop works with, already placed on the device by accelerate."""

    accelerator: Accelerator
    network: nn.Module
    objective: nn.Module
    optimizer: Any
    scheduler: OneCycleLR
    train: Any
    val: Any
    labels: tuple[str, ...]
    max_grad_norm: float


def fit(recipe: Recipe) -> Path:
    """Train by the recipe, or go on where an interrupted run stopped; return the checkpoint folder.

    The checkpoint is the epoch of highest validation accuracy (the later one of equals).

    Raises:
        RecipeError: the recipe cannot work, or its output folder belongs to another recipe.
        DataError: the photos cannot be prepared.
        TrainingError: the loss is not finite.

    """
    accelerator = make_accelerator(recipe)
    progress = _read_progress(recipe)
    if progress is None:
        logger.info("%s is complete already.", recipe.output)
        return recipe.output
    with accelerator.main_process_first():
        data = _ensure_data(recipe, write=accelerator.is_main_process)
    set_seed(recipe.seed)
    trainer, report = _make_trainer(recipe, accelerator, resuming=progress.epoch > 0)
    if progress.epoch:
        accelerator.load_state(str(_find_state(recipe.output)))
        logger.info("Continuing after epoch %d of %d.", progress.epoch, recipe.schedule.epochs)
    record = {
        "recipe": recipe.to_json(),
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
            record, name=recipe.output.name, folder=recipe.output, run_id=progress.run_id
        ) as tracker:
            progress.run_id = tracker.run_id
            _run_epochs(recipe, trainer, progress, record, tracker)
    else:
        _run_epochs(recipe, trainer, progress, record, Tracker(None))
    accelerator.end_training()
    logger.info("Checkpoint: %s", recipe.output)
    return recipe.output


def make_accelerator(recipe: Recipe) -> Accelerator:
    """Return the accelerator: the device that is there, and the precision it is fast with."""
    return Accelerator(
        # Left to itself, accelerate takes each of several processes without a GPU for the only one.
        cpu=not torch.accelerator.is_available(),
        mixed_precision=_choose_precision(recipe.precision),
        dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True, data_seed=recipe.seed),
    )


def _choose_precision(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    # bf16 doubles the speed on CPUs with instructions for it and is emulated, slowly, on others.
    able = torch.cpu.get_capabilities()
    return "bf16" if able.get("avx512_bf16") or able.get("amx_bf16") else "no"


def _read_progress(recipe: Recipe) -> Progress | None:
    """Return where to start, or None when the run is complete."""
    done = read_record(recipe.output)
    state = _find_state(recipe.output)
    wanted = json.loads(json.dumps(recipe.to_json()))  # as it reads back: tuples become lists
    progress = Progress(recipe=wanted)
    if state is not None:
        progress = Progress(**json.loads((state / PROGRESS_FILE).read_text(encoding="utf-8")))
    earlier = progress.recipe if state is not None else (done or progress.__dict__)["recipe"]
    if earlier != wanted:
        raise RecipeError(
            f"{recipe.output} holds a run of another recipe. Choose another --output, or delete the folder."
        )
    return None if done and done.get("complete") else progress


def _ensure_data(recipe: Recipe, *, write: bool) -> dict[str, Any]:
    """Return the record of the prepared photos; prepare them first where there are none."""
    if write and not recipe.data.processed.is_dir():
        prepare_data(recipe.data)
    data = read_data_record(recipe.data)
    wanted = {"split": recipe.data.split, "short_side_px": recipe.data.short_side_px}
    if any(data[key] != value for key, value in wanted.items()):
        raise RecipeError(
            f"{recipe.data.processed} was prepared otherwise ({data['split']} split, "
            f"{data['short_side_px']} px). Run `trashlens data` with the recipe's settings first."
        )
    return data


def _make_trainer(
    recipe: Recipe, accelerator: Accelerator, *, resuming: bool
) -> tuple[Trainer, LoadReport]:
    """Create everything the loop needs; the order of random draws here is part of a run's identity."""
    loaders = make_loaders(
        recipe.data.processed,
        preprocess=recipe.preprocess,
        augment=recipe.augment,
        loader=recipe.loader,
        seed=recipe.seed,
    )
    network, report = create_network(recipe.network, classes=len(loaders.labels))
    if accelerator.is_main_process:
        logger.info("%s: %s", recipe.network.name, report)
        if recipe.network.head == "probe" and not resuming:
            # The other processes get the head when accelerate broadcasts the first one's network.
            with accelerator.autocast():
                accuracy = fit_head(network, loaders.probe, device=accelerator.device)
            logger.info("Linear probe: %.3f of the training photos.", accuracy)
    network = network.to(memory_format=torch.channels_last)  # the layout convolutions are fastest in
    objective = _make_objective(recipe, loaders).to(accelerator.device)
    schedule = recipe.schedule
    optimizer = create_optimizer_v2(
        network, opt="adamw", lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    network, optimizer, train, val = accelerator.prepare(network, optimizer, loaders.train, loaders.val)
    scheduler = OneCycleLR(
        optimizer.optimizer,
        max_lr=schedule.learning_rate,
        total_steps=schedule.epochs * len(train),
        pct_start=schedule.warmup,
        cycle_momentum=False,
    )
    accelerator.register_for_checkpointing(scheduler)
    return (
        Trainer(
            accelerator=accelerator,
            network=network,
            objective=objective,
            optimizer=optimizer,
            scheduler=scheduler,
            train=train,
            val=val,
            labels=loaders.labels,
            max_grad_norm=schedule.max_grad_norm,
        ),
        report,
    )


def _make_objective(recipe: Recipe, loaders: Loaders) -> nn.Module:
    config = recipe.objective
    supervised = Supervised(
        class_weights(loaders.class_counts, config.class_weight_power), config.label_smoothing
    )
    if config.distill is None:
        return supervised
    teacher = read_checkpoint(config.distill.teacher)
    seen = recipe.preprocess
    if teacher.labels != loaders.labels:
        raise RecipeError(f"The teacher {config.distill.teacher} knows other classes: {teacher.labels}.")
    if (teacher.preprocess.mean, teacher.preprocess.std) != (seen.mean, seen.std):
        raise RecipeError(
            f"The teacher {config.distill.teacher} normalises differently; both must see the same view."
        )
    return Distilled(supervised, teacher.network.to(memory_format=torch.channels_last), config.distill)


def _run_epochs(
    recipe: Recipe, trainer: Trainer, progress: Progress, record: dict[str, Any], tracker: Tracker
) -> None:
    """Train and validate the epochs that are left, keeping the best checkpoint and the state to resume."""
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
        for epoch in range(progress.epoch, epochs):
            metrics = _train_epoch(trainer, epoch=epoch, seed=recipe.seed, bar=bar, tracker=tracker)
            metrics |= _validate(trainer)
            bar.set_postfix(loss=f"{metrics['train/loss']:.3f}", val=f"{metrics['val/accuracy']:.3f}")
            progress.epoch = epoch + 1
            progress.history.append({"epoch": epoch + 1, **metrics})
            tracker.log({"epoch": epoch + 1, **metrics}, step=progress.epoch * steps)
            if metrics["val/accuracy"] >= progress.best_accuracy:
                progress.best_accuracy = metrics["val/accuracy"]
                record |= {"epoch": epoch + 1, "val": {k: v for k, v in metrics.items() if "val/" in k}}
                if accelerator.is_main_process:
                    write_checkpoint(recipe.output, accelerator.unwrap_model(trainer.network), record)
            _save_state(recipe.output, accelerator, progress)
    if accelerator.is_main_process:
        best = read_record(recipe.output) or {}
        write_record(recipe.output, {**best, "history": progress.history, "complete": True})
        tracker.summarise({"best_epoch": best["epoch"], **best["val"]})
        tracker.log_model(recipe.role, recipe.output, metadata=best)
        shutil.rmtree(recipe.output / STATE_FOLDER, ignore_errors=True)


def _train_epoch(
    trainer: Trainer, *, epoch: int, seed: int, bar: Any, tracker: Tracker
) -> dict[str, Any]:
    """Take one pass over the training photos; return the mean of each loss part and the throughput."""
    accelerator = trainer.accelerator
    set_seed(seed + 1000 * (epoch + 1), device_specific=True)
    trainer.train.set_epoch(epoch)
    trainer.network.train()
    trainer.objective.train()
    sums: dict[str, float] = defaultdict(float)
    photos, start = 0, time.perf_counter()
    for index, (images, labels) in enumerate(trainer.train):
        step = epoch * len(trainer.train) + index + 1
        images = images.contiguous(memory_format=torch.channels_last)
        logits = trainer.network(images)
        with accelerator.autocast():
            parts = trainer.objective(logits, images, labels)
        values = {name: part.item() for name, part in parts.items()}
        if not np.isfinite(values["loss"]):
            raise TrainingError(
                f"The loss became {values['loss']} at step {step} (epoch {epoch + 1}). The checkpoint of "
                "the best epoch so far is kept; try a lower schedule.learning_rate or precision: no."
            )
        accelerator.backward(parts["loss"])
        if trainer.max_grad_norm:
            accelerator.clip_grad_norm_(trainer.network.parameters(), trainer.max_grad_norm)
        trainer.optimizer.step()
        if not trainer.optimizer.step_was_skipped:  # fp16 skips a step whose gradients overflow
            trainer.scheduler.step()
        trainer.optimizer.zero_grad()
        for name, value in values.items():
            sums[name] += value
        photos += len(labels) * accelerator.num_processes
        rate = trainer.scheduler.get_last_lr()[0]
        tracker.log(
            {**{f"step/{name}": v for name, v in values.items()}, "learning_rate": rate}, step=step
        )
        bar.update()
    return {
        **{f"train/{name}": total / len(trainer.train) for name, total in sums.items()},
        "train/photos_per_sec": photos / (time.perf_counter() - start),
    }


@torch.no_grad()
def _validate(trainer: Trainer) -> dict[str, float]:
    """Return accuracy and macro F1 on the validation photos, preprocessed as in serving."""
    trainer.network.eval()
    outputs, targets = [], []
    for images, labels in trainer.val:
        logits = trainer.network(images.contiguous(memory_format=torch.channels_last))
        gathered = trainer.accelerator.gather_for_metrics((logits.float().contiguous(), labels))
        outputs.append(gathered[0].softmax(dim=1).cpu().numpy())
        targets.append(gathered[1].cpu().numpy())
    result = score(np.concatenate(targets), np.concatenate(outputs), classes=trainer.labels)
    return {"val/accuracy": result["accuracy"], "val/macro_f1": result["macro_f1"]}


def _save_state(output: Path, accelerator: Accelerator, progress: Progress) -> None:
    """Keep the state after an epoch; it counts from the moment its progress file is there."""
    folder = output / STATE_FOLDER / f"{progress.epoch:04d}"
    accelerator.save_state(str(folder))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        replace_file(folder / PROGRESS_FILE, json.dumps(dataclasses.asdict(progress)).encode())
        for other in folder.parent.iterdir():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
    accelerator.wait_for_everyone()


def _find_state(output: Path) -> Path | None:
    """Return the folder of the newest complete state, if any."""
    return max(
        (path.parent for path in (output / STATE_FOLDER).glob(f"*/{PROGRESS_FILE}")), default=None
    )
