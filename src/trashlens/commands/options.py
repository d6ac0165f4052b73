"""What several commands share: options, and settings that refuse contradictions in a sentence."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import ArgumentParser

from trashlens.errors import RecipeError

__all__ = ["add_models", "construct", "default_models"]

ConfigT = TypeVar("ConfigT")


def construct(config: type[ConfigT], values: Mapping[str, Any]) -> ConfigT:
    """Return the settings as their dataclass.

    Raises:
        RecipeError: a value is out of range.
    """
    try:
        return config(**values)
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
