"""A recipe: the YAML file that fully determines one training run, as typed dataclasses."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentError, ArgumentParser

from trashlens.errors import RecipeError
from trashlens.image import Preprocess
from trashlens.training.data import TACO, AugmentConfig, DataConfig, LoaderConfig, describe_crops
from trashlens.training.networks import NetworkConfig
from trashlens.training.objectives import ObjectiveConfig
from trashlens.training.shipped import Shelf

__all__ = ["RECIPES", "Recipe", "ScheduleConfig", "as_options", "make_parser", "parse_recipe"]

RECIPES = Shelf("recipe", "recipes")
"""The recipes that come with the package."""


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """AdamW or SGD under one cycle (Smith 2018): a cosine up to the peak, then a cosine down to zero."""

    epochs: int = 18
    """Passes over the training photos."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW (Loshchilov and Hutter 2019), or SGD with Nesterov's momentum of 0.9."""
    learning_rate: float = 2.5e-4
    """Peak. 1e-3 on all layers destroys pretrained features."""
    weight_decay: float = 0.05
    """Decoupled with AdamW, a part of the gradient with SGD; not applied to biases and norms."""
    warmup: float = 0.1
    """Share of the steps that the rate rises."""
    max_grad_norm: float = 1.0
    """Gradients are clipped to this norm; 0 for never."""
    ema: float = 0.0
    """Validate and keep an exponential average of the weights, with this decay a step; 0 for the last ones."""
    keep_start: float = 0.0
    """Share of the starting weights in those that are validated and kept (WiSE-FT, Wortsman et al. 2022)."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError("schedule.epochs must be at least 1.")
        if not self.learning_rate > 0:
            raise ValueError("schedule.learning_rate must be positive.")
        if self.weight_decay < 0 or self.max_grad_norm < 0:
            raise ValueError("schedule.weight_decay and schedule.max_grad_norm must not be negative.")
        if not 0 < self.warmup < 1:
            raise ValueError("schedule.warmup must lie in (0, 1).")
        if not (0 <= self.ema < 1 and 0 <= self.keep_start < 1):
            raise ValueError("schedule.ema and schedule.keep_start must lie in [0, 1).")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that determines a training run."""

    role: Literal["teacher", "baseline", "student"]
    """The part the network will play."""
    network: NetworkConfig
    """Which network, and what it starts from."""
    output: Path
    """Folder of the checkpoint and, until the run is complete, of the state to resume from."""
    data: DataConfig = field(default_factory=DataConfig)
    """Where the photos come from and how they are split."""
    preprocess: Preprocess = field(default_factory=Preprocess)
    """How evaluation and serving turn a photo into the network's input. ImageNet's normalisation by default,
    whatever timm states for a network: teacher and student must see the same."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """What happens to training photos on top."""
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    """How photos are grouped into batches."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """What training minimises."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """Optimiser and learning rate over time."""
    precision: Literal["auto", "no", "bf16", "fp16"] = "auto"
    """Arithmetic of forward and backward; `auto` takes bf16 or fp16 where the hardware is faster with it."""
    seed: int = 0
    """Determines initial weights, order and augmentation."""

    def __post_init__(self) -> None:
        if (self.role == "student") != (self.objective.distill is not None):
            raise ValueError("A student, and only a student, needs objective.distill.teacher.")
        distill = self.objective.distill
        if distill is not None and distill.method == "matching" and self.augment.mixup < 1:
            raise ValueError(
                "objective.distill.method matching needs photos mixed by any share alike: augment.mixup 1."
            )

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as plain values; files and folders by name only, so that it fits any machine."""
        record: dict[str, Any] = dataclasses.asdict(
            self, dict_factory=lambda items: {k: v.name if isinstance(v, Path) else v for k, v in items}
        )
        for section, key in (("network", "weights"), ("data", "source")):
            record[section][key] = Path(record[section][key]).name
        # How images are fetched changes nothing of a run.
        del record["data"]["taco"]
        if self.data.source == TACO:
            record["data"]["taco"] = describe_crops(self.data.taco)
        return record


def as_options(settings: Mapping[str, Any]) -> list[str]:
    """Return settings by dotted name as the options that `parse_recipe` takes."""
    texts = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()
    }
    return [f"--{name}={text}" for name, text in texts.items()]


def make_parser(**options: Any) -> ArgumentParser:
    """Return the parser of recipes: `--recipe FILE` and an option for each setting."""
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False, **options)
    parser.add_argument("--recipe", action="config", help="a YAML file with any of the settings below")
    parser.add_class_arguments(Recipe)
    return parser


def parse_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe `name` (a file or a shipped name), changed by options like `--seed=1`.

    Raises:
        RecipeError: there is no such recipe, or a setting is unknown or contradicts another.
    """
    parser = make_parser(
        prog=f"trashlens train {name}", usage=f"trashlens train {name} [--setting=VALUE ...]"
    )
    try:
        settings = parser.instantiate(parser.parse_args([f"--recipe={RECIPES.find(name)}", *overrides]))
        return Recipe(**{field.name: settings[field.name] for field in dataclasses.fields(Recipe)})
    except (ArgumentError, TypeError, ValueError) as error:
        raise RecipeError(f"The recipe {name} does not hold: {error}") from error
