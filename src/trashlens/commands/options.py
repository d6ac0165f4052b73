"""What several commands share: options, and settings that refuse contradictions in a sentence."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import ArgumentParser

from trashlens.errors import RecipeError

__all__ = ["add_models", "construct"]

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


def add_models(parser: ArgumentParser) -> None:
    """Add `--models`, the folder of the three bundles."""
    default = Path(os.environ.get("TRASHLENS_MODELS", "models"))
    parser.add_argument(
        "--models",
        type=Path,
        default=default,
        help="folder of the three bundles; by default `models`, or what TRASHLENS_MODELS names",
    )
