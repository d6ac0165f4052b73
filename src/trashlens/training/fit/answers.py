"""The teacher's answers to an epoch's views, kept for the other students that will see the same views.

On a CPU the teacher's forward pass costs as much as the student's whole step. What a view shows depends on
the photos, the augmentation, the loader and the seed alone, so the students of a study need it only once.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from trashlens.errors import TrainingError
from trashlens.files import replace_file
from trashlens.training.recipe import Recipe

__all__ = ["RememberingTeacher", "name_views"]

SAME_VIEW = 1e-5
"""Largest difference of two views' mean, in normalised units, that arithmetic explains."""


def name_views(
    recipe: Recipe, *, data: Mapping[str, Any], teacher_sha256: str, arithmetic: str
) -> dict[str, Any]:
    """Return what determines the views of a run's epochs and the teacher's answers to them, as plain values.

    `data` is the record of the prepared photos, `arithmetic` the device and precision. Neither the student nor
    what it minimises is part of it.
    """
    libraries = ("numpy", "torch", "torchvision")
    distill = recipe.objective.distill
    return {
        "teacher": teacher_sha256,
        "teacher_size_px": None if distill is None else distill.size_px,
        "data": dict(data),
        "augment": dataclasses.asdict(recipe.augment),
        "loader": dataclasses.asdict(recipe.loader),
        "normalisation": [list(recipe.preprocess.mean), list(recipe.preprocess.std)],
        "seed": recipe.seed,
        "arithmetic": arithmetic,
        "libraries": {name: metadata.version(name) for name in libraries},
    }


class RememberingTeacher(nn.Module):
    """A teacher that answers from a file where it has seen an epoch before, and writes the file otherwise."""

    def __init__(self, teacher: nn.Module, folder: Path, views: Mapping[str, Any]) -> None:
        """Keep the answers to `views` (see `name_views`) in a folder of their own below `folder`."""
        super().__init__()
        self.teacher = teacher
        text = json.dumps(views, indent=2, sort_keys=True)
        self.folder = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_file(self.folder / "views.json", text.encode())
        self.known: dict[str, Tensor] | None = None
        self.logits: list[Tensor] = []
        self.means: list[Tensor] = []

    @contextmanager
    def epoch(self, number: int) -> Iterator[None]:
        """Answer the batches of an epoch, counted from 1; only a whole one is kept."""
        path = self.folder / f"epoch-{number:04d}.safetensors"
        self.known, self.logits, self.means = _read(path), [], []
        yield
        if self.known is None:
            tensors = {"logits": torch.stack(self.logits), "means": torch.stack(self.means)}
            replace_file(path, save(tensors))

    def forward(self, images: Tensor) -> Tensor:
        """Return the teacher's logits, float32 [B, classes], for the next batch, [B, 3, H, W].

        Raises:
            TrainingError: the file is about other views.
        """
        means = images.mean(dim=(1, 2, 3), dtype=torch.float64).cpu()
        step = len(self.means)
        self.means.append(means)
        if self.known is None:
            logits: Tensor = self.teacher(images).float()
            self.logits.append(logits.cpu())
            return logits
        expected = self.known["means"]
        if step >= len(expected) or not torch.allclose(expected[step], means, rtol=0, atol=SAME_VIEW):
            raise TrainingError(
                f"The answers in {self.folder} are to other views than those of this run (step {step + 1} of "
                "an epoch). Delete the folder, or train without objective.distill.remember."
            )
        return self.known["logits"][step].to(images.device)


def _read(path: Path) -> dict[str, Tensor] | None:
    """Return an epoch's `logits` [steps, B, classes] and its views' `means` [steps, B], if it is there whole."""
    try:
        return load_file(path)
    except (FileNotFoundError, SafetensorError):
        return None
