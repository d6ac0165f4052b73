"""What the loop works with: network, objective and optimiser on the device."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from trashlens.errors import RecipeError
from trashlens.training.data import Loaders, make_loaders
from trashlens.training.fit.answers import RememberingTeacher
from trashlens.training.fit.averaging import Averaging
from trashlens.training.fit.teachers import read_teacher
from trashlens.training.networks import (
    LoadReport,
    create_network,
    fit_head,
    freeze,
    frozen_parts,
)
from trashlens.training.objectives import Distilled, Supervised, WithAuxiliary, class_weights
from trashlens.training.recipe import Recipe

__all__ = ["Trainer", "make_accelerator", "make_trainer"]

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
    answers: RememberingTeacher | None


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
    recipe: Recipe, accelerator: Accelerator, *, resuming: bool, views: Mapping[str, Any] | None
) -> tuple[Trainer, LoadReport]:
    """Create everything the loop needs; the order of random draws here is part of a run's identity.

    `views` (see `name_views`) is needed where the teacher's answers are to be remembered.
    """
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
    freeze(network, frozen_parts(network, recipe.network))
    network = network.to(memory_format=torch.channels_last)  # the layout convolutions are fastest in
    objective = _make_objective(recipe, loaders, views).to(accelerator.device)
    schedule = recipe.schedule
    optimizer = create_optimizer_v2(
        network, opt=schedule.optimizer, lr=schedule.learning_rate, weight_decay=schedule.weight_decay
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
            answers=next((m for m in objective.modules() if isinstance(m, RememberingTeacher)), None),
        ),
        report,
    )


def _make_objective(recipe: Recipe, loaders: Loaders, views: Mapping[str, Any] | None) -> nn.Module:
    """Return the loss of a batch; of a network with an auxiliary head, both of its answers count."""
    inner, supervised = _make_inner_objective(recipe, loaders, views)
    if not recipe.network.arguments.get("aux_logits"):
        return inner
    return WithAuxiliary(inner, supervised, recipe.objective.auxiliary_weight)


def _make_inner_objective(
    recipe: Recipe, loaders: Loaders, views: Mapping[str, Any] | None
) -> tuple[nn.Module, Supervised]:
    """Return the loss of one answer, and its supervised part."""
    config = recipe.objective
    supervised = Supervised(
        class_weights(loaders.class_counts, config.class_weight_power),
        config.label_smoothing,
        loss=config.loss,
        focal_gamma=config.focal_gamma,
    )
    if config.distill is None:
        return supervised, supervised
    teacher = read_teacher(config.distill.teacher)
    seen = recipe.preprocess
    if teacher.labels != loaders.labels:
        raise RecipeError(f"The teacher {config.distill.teacher} knows other classes: {teacher.labels}.")
    if (teacher.preprocess.mean, teacher.preprocess.std) != (seen.mean, seen.std):
        raise RecipeError(
            f"The teacher {config.distill.teacher} normalises differently; both must see the same view."
        )
    network = teacher.network
    if config.distill.remember is not None:
        assert views is not None, "the loop names the views"
        network = RememberingTeacher(network, config.distill.remember, views)
    return Distilled(supervised, network, config.distill), supervised
