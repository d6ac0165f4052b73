"""Checkpoint: what training writes, `model.safetensors` and readable `checkpoint.json` beside it.

A complete run adds `predictions.json`: its answers to the validation and test photos, for paired statistics.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import nn

from trashlens.bundle import JSON_FILE as BUNDLE_FILE
from trashlens.checkpoint_files import RECORD_FILE, WEIGHTS_FILE
from trashlens.errors import TrainingError, first_line
from trashlens.files import replace_file
from trashlens.image import Preprocess
from trashlens.machine import code_commit, processor_name
from trashlens.training.networks import NetworkConfig, create_network

__all__ = [
    "PREDICTIONS_FILE",
    "WEIGHTS_FILE",
    "Checkpoint",
    "describe_environment",
    "read_checkpoint",
    "read_record",
    "write_checkpoint",
    "write_predictions",
    "write_record",
]

PREDICTIONS_FILE = "predictions.json"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trained network and what is known about its training."""

    network: nn.Module
    """In evaluation mode, on the CPU, float32."""
    labels: tuple[str, ...]
    """Class names in the order of the logits."""
    preprocess: Preprocess
    """How evaluation and serving make its input."""
    record: Mapping[str, Any]
    """checkpoint.json: recipe, labels, epoch, val, history, data, weights, environment, complete."""


def write_checkpoint(folder: Path, network: nn.Module, record: Mapping[str, Any]) -> None:
    """Write weights and record, each replaced in one step so that a kill leaves the old or the new."""
    folder.mkdir(parents=True, exist_ok=True)
    # Contiguous: channels_last tensors cannot be saved as they lie.
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    replace_file(folder / WEIGHTS_FILE, save(state))
    write_record(folder, record)


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write checkpoint.json alone."""
    replace_file(folder / RECORD_FILE, (json.dumps(record, indent=2) + "\n").encode())


def write_predictions(
    folder: Path,
    predictions: Mapping[str, tuple[Sequence[Path], NDArray[np.int64], NDArray[np.float64]]],
) -> None:
    """Write predictions.json: by split, `paths`, `labels` and `probabilities`.

    Each split comes as the photos' files [N], their class indices [N] and the probabilities [N, classes]. Paths
    are kept as `<class>/<file name>`, probabilities to five digits.
    """
    record = {
        split: {
            "paths": [f"{path.parent.name}/{path.name}" for path in paths],
            "labels": labels.tolist(),
            "probabilities": probabilities.round(5).tolist(),
        }
        for split, (paths, labels, probabilities) in predictions.items()
    }
    replace_file(folder / PREDICTIONS_FILE, (json.dumps(record) + "\n").encode())


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return checkpoint.json, or None where there is none."""
    path = folder / RECORD_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def read_checkpoint(folder: Path) -> Checkpoint:
    """Rebuild the trained network in `folder`.

    Raises:
        TrainingError: there is no checkpoint, or it is damaged.
    """
    try:
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        recipe = record["recipe"]
        # A pruned network's own weights tell how wide it is.
        pruned = recipe["network"].get("widths") == "weights"
        source = str(folder / WEIGHTS_FILE) if pruned else "none"
        config = NetworkConfig(**{**recipe["network"], "weights": source})
        network, _ = create_network(config, classes=len(record["labels"]))
        network.load_state_dict(load_file(folder / WEIGHTS_FILE))
        preprocess = Preprocess.from_json(recipe["preprocess"])
    except FileNotFoundError as error:
        if not folder.exists():
            raise TrainingError(f"There is no {folder}.") from error
        what = "holds a bundle, not a" if (folder / BUNDLE_FILE).is_file() else "holds no"
        raise TrainingError(f"{folder} {what} checkpoint. Train one with `trashlens train`.") from error
    except Exception as error:  # JSON, keys, shapes, safetensors header: all mean a damaged checkpoint
        reason = first_line(error)
        raise TrainingError(f"The checkpoint {folder} is damaged ({reason}). Train it again.") from error
    return Checkpoint(
        network=network.eval(), labels=tuple(record["labels"]), preprocess=preprocess, record=record
    )


def describe_environment() -> dict[str, Any]:
    """Return what a run was made with: library versions, device and git commit; no path, no host name."""
    packages = ("torch", "torchvision", "timm", "accelerate", "datasets")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else processor_name()
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
        "device": device,
        "commit": code_commit(),
    }
