"""What several commands share: options, and settings that refuse contradictions in a sentence."""

import os
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from jsonargparse import ArgumentParser

from trashlens.errors import RecipeError

__all__ = ["add_models", "construct", "default_models"]

ConfigT = TypeVar("ConfigT")


def construct(config: type[ConfigT], values: Mapping[str, Any]) -> ConfigT:
    """Return the settings as their dataclass; one inside it comes as a mapping.

    Raises:
        RecipeError: a value is out of range.
    """
    kinds = get_type_hints(config)
    try:
        made = {
            name: kinds[name](**value) if is_dataclass(kinds[name]) else value
            for name, value in values.items()
        }
        return config(**made)
    except ValueError as error:
        raise RecipeError(str(error)) from error


def default_models() -> Path:
    """Return the folder of the three bundles where none is named."""
    return Path(os.environ.get("TRASHLENS_MODELS", "models"))


def add_models(parser: ArgumentParser) -> None:
    """Add `--models`, the folder of the three bundles."""
    parser.add_argument(
        "--models",
        type=Path,
        default=default_models(),
        help="folder of the three bundles; by default `models`, or what TRASHLENS_MODELS names",
    )
