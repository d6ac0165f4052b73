"""What the loop works with: network, objective and optimiser on the device; one epoch of each kind."""

import logging
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, set_seed
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from trashlens.errors import RecipeError, TrainingError
from trashlens.training.checkpoint import WEIGHTS_FILE, read_checkpoint
from trashlens.training.data import Loaders, make_loaders
from trashlens.training.evaluate import score
from trashlens.training.fit.averaging import Averaging
from trashlens.training.networks import (
    LoadReport,
    create_network,
    fit_head,
    freeze,
    train_unfrozen,
)
from trashlens.training.objectives import Distilled, Supervised, class_weights
from trashlens.training.recipe import Recipe
from trashlens.training.tracking import Tracker

__all__ = ["Trainer", "make_accelerator", "make_trainer", "train_epoch", "validate"]

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Trainer:
    """What the loop works with, already placed on the device by accelerate."""

    accelerator: Accelerator
    network: nn.Module
    objective: nn.Module
    optimizer: Any
    scheduler: OneCycleLR
    averaging: Averaging
    train: Any
    val: Any
    labels: tuple[str, ...]
    generator: torch.Generator


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


def make_trainer(
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
        # Features of random weights tell a probe nothing.
        if recipe.network.head == "probe" and recipe.network.weights != "none" and not resuming:
            # The other processes get the head when accelerate broadcasts the first one's network.
            with accelerator.autocast():
                accuracy = fit_head(network, loaders.probe, device=accelerator.device)
            logger.info("Linear probe: %.3f of the training photos.", accuracy)
    freeze(network, recipe.network.frozen)
    network = network.to(memory_format=torch.channels_last)  # the layout convolutions are fastest in
    objective = _make_objective(recipe, loaders).to(accelerator.device)
    schedule = recipe.schedule
    optimizer = create_optimizer_v2(
        network, opt="adamw", lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    averaging = Averaging(
        network, ema=schedule.ema, keep_start=schedule.keep_start, device=accelerator.device
    )
    network, optimizer, train, val = accelerator.prepare(network, optimizer, loaders.train, loaders.val)
    if len(train) == 0:
        raise RecipeError(
            f"There are fewer training photos than loader.batch_size={recipe.loader.batch_size} asks for."
        )
    scheduler = OneCycleLR(
        optimizer.optimizer,
        max_lr=schedule.learning_rate,
        total_steps=schedule.epochs * len(train),
        pct_start=schedule.warmup,
        cycle_momentum=False,
    )
    averaging.begin(accelerator.unwrap_model(network))
    accelerator.register_for_checkpointing(scheduler, averaging)
    return (
        Trainer(
            accelerator=accelerator,
            network=network,
            objective=objective,
            optimizer=optimizer,
            scheduler=scheduler,
            averaging=averaging,
            train=train,
            val=val,
            labels=loaders.labels,
            generator=loaders.generator,
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


def train_epoch(
    trainer: Trainer, recipe: Recipe, *, epoch: int, bar: Any, tracker: Tracker
) -> dict[str, Any]:
    """Take one pass over the training photos; return the mean of each loss part and the throughput.

    The means are over the first process's photos, the throughput is that of all.

    Raises:
        TrainingError: the loss is not finite.
    """
    accelerator = trainer.accelerator
    seed = recipe.seed + 1000 * (epoch + 1)
    set_seed(seed, device_specific=True)
    trainer.generator.manual_seed(seed + accelerator.process_index)
    trainer.train.set_epoch(epoch)
    network = accelerator.unwrap_model(trainer.network)
    trainer.network.train()
    train_unfrozen(network, recipe.network.frozen)
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
            kept = recipe.output if (recipe.output / WEIGHTS_FILE).is_file() else "none yet"
            raise TrainingError(
                f"The loss became {values['loss']} at step {step} (epoch {epoch + 1}). Last good checkpoint: "
                f"{kept}. Try a lower --schedule.learning_rate or --precision=no, with another --output."
            )
        accelerator.backward(parts["loss"])
        if recipe.schedule.max_grad_norm:
            accelerator.clip_grad_norm_(trainer.network.parameters(), recipe.schedule.max_grad_norm)
        trainer.optimizer.step()
        if not trainer.optimizer.step_was_skipped:  # fp16 skips a step whose gradients overflow
            trainer.scheduler.step()
            trainer.averaging.update(network)
        trainer.optimizer.zero_grad()
        for name, value in values.items():
            sums[name] += value
        photos += len(labels) * accelerator.num_processes
        tracker.log(
            {
                **{f"step/{name}": value for name, value in values.items()},
                "step/learning_rate": trainer.scheduler.get_last_lr()[0],
                "step/photos_per_sec": photos / (time.perf_counter() - start),
            },
            step=step,
        )
        bar.update()
    return {
        **{f"train/{name}": total / len(trainer.train) for name, total in sums.items()},
        "train/photos_per_sec": photos / (time.perf_counter() - start),
    }


@torch.no_grad()
def validate(trainer: Trainer) -> dict[str, float]:
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
