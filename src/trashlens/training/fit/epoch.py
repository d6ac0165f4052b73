"""One epoch of each kind: a pass over the training photos, and one over the validation photos."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from accelerate.utils import set_seed

from trashlens.errors import DivergenceError
from trashlens.training.checkpoint import WEIGHTS_FILE
from trashlens.training.evaluate import score
from trashlens.training.fit.trainer import Trainer
from trashlens.training.networks import train_unfrozen
from trashlens.training.recipe import Recipe
from trashlens.training.tracking import Tracker

__all__ = ["train_epoch", "validate"]

OTHER_STREAM = 1 << 32
"""Sets the seeds of dropout apart from those of augmentation."""


def train_epoch(
    trainer: Trainer, recipe: Recipe, *, epoch: int, bar: Any, tracker: Tracker
) -> dict[str, Any]:
    """Take one pass over the training photos; return the mean of each loss part and the throughput.

    The means are over the first process's photos, the throughput is that of all.

    Raises:
        DivergenceError: the loss is not finite.
    """
    accelerator = trainer.accelerator
    seed = recipe.seed + 1000 * (epoch + 1)
    set_seed(seed, device_specific=True)
    trainer.generator.manual_seed(seed + accelerator.process_index)
    dropout = torch.Generator().manual_seed(OTHER_STREAM + seed + accelerator.process_index)
    trainer.train.set_epoch(epoch)
    network = accelerator.unwrap_model(trainer.network)
    trainer.network.train()
    train_unfrozen(network, recipe.network)
    trainer.objective.train()
    sums: dict[str, float] = defaultdict(float)
    photos, start = 0, time.perf_counter()
    for index, (images, labels) in enumerate(trainer.train):
        step = epoch * len(trainer.train) + index + 1
        images = images.contiguous(memory_format=torch.channels_last)
        with _drawing_from(dropout):
            logits = trainer.network(images)
        with accelerator.autocast():
            parts = trainer.objective(logits, images, labels)
        # Together: each fetch waits for the device.
        values = dict(zip(parts, torch.stack(list(parts.values())).tolist(), strict=True))
        if not np.isfinite(values["loss"]):
            kept = recipe.output if (recipe.output / WEIGHTS_FILE).is_file() else "none yet"
            raise DivergenceError(
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


@contextlib.contextmanager
def _drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Let torch's global draws on the CPU come from `generator`.

    Augmentation draws from the global generator too: with dropout drawing there as well, the views of an epoch
    would depend on the network.
    """
    outer = torch.get_rng_state()
    torch.set_rng_state(generator.get_state())
    try:
        yield
    finally:
        generator.set_state(torch.get_rng_state())
        torch.set_rng_state(outer)


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
