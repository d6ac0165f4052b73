"""The teacher of a student: a checkpoint, or a bundle, whose weights are all that is needed of a published one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from trashlens.bundle import JSON_FILE, MODEL_FILE, Bundle
from trashlens.errors import RecipeError, TrainingError
from trashlens.image import Preprocess
from trashlens.training.checkpoint import WEIGHTS_FILE, read_checkpoint, read_record
from trashlens.training.class_maps import drop_class_maps
from trashlens.training.data import datasets_differ, splits_differ

__all__ = ["Teacher", "check_teacher", "describe_teacher", "read_teacher", "teacher_file"]


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A trained network to learn from."""

    network: nn.Module
    """Normalised images, float32 [B, 3, H, W] of any size -> logits [B, classes]."""
    labels: tuple[str, ...]
    """Class names in the order of the logits."""
    preprocess: Preprocess
    """How its own evaluation makes its input."""


def teacher_file(folder: Path) -> Path:
    """Return the file of the teacher's weights: that of a bundle, or of a checkpoint."""
    return folder / (MODEL_FILE if _is_bundle(folder) else WEIGHTS_FILE)


def describe_teacher(folder: Path) -> tuple[Mapping[str, Any], str | None] | None:
    """Return the record of the teacher's training and its checkpoint's SHA-256, where they are known."""
    if _is_bundle(folder):
        made_from = Bundle.load(folder).provenance
        return (made_from, made_from.get("checkpoint_sha256")) if made_from.get("recipe") else None
    record = read_record(folder)
    return None if record is None else (record, None)


def check_teacher(folder: Path, data: Mapping[str, Any]) -> None:
    """Refuse a teacher that learned from another split: its student would know photos that it is tested on.

    `data` is the record of the student's photos. A teacher of unknown training passes.

    Raises:
        RecipeError: the teacher's photos were parted differently.
        BundleError: the teacher's bundle is damaged.
    """
    known = describe_teacher(folder)
    learned = (known[0].get("data") if known else None) or {}
    if splits_differ(learned, data):
        keys = ("dataset", "split") if datasets_differ(learned, data) else ("split",)
        theirs, own = (", ".join(str(record.get(key)) for key in keys) for record in (learned, data))
        raise RecipeError(
            f"The teacher {folder} learned from another split ({theirs}) than the student's ({own}): it has seen "
            "some of the student's test photos. Train one on the same split."
        )


def read_teacher(folder: Path) -> Teacher:
    """Return the teacher in a checkpoint's or a bundle's folder.

    Raises:
        TrainingError: there is no whole checkpoint, or its training has not come to its end.
        BundleError: the bundle is damaged.
    """
    if _is_bundle(folder):
        bundle = Bundle.load(folder)
        return Teacher(
            network=_GraphNetwork(bundle.model), labels=bundle.labels, preprocess=bundle.preprocess
        )
    checkpoint = read_checkpoint(folder)
    if not checkpoint.record.get("complete"):
        raise TrainingError(
            f"The teacher {folder} is not trained to its end. Start its training again, which continues it."
        )
    return Teacher(
        network=checkpoint.network.to(memory_format=torch.channels_last),
        labels=checkpoint.labels,
        preprocess=checkpoint.preprocess,
    )


def _is_bundle(folder: Path) -> bool:
    return (folder / JSON_FILE).is_file()


class _GraphNetwork(nn.Module):
    """An ONNX graph as a module without gradients; ONNX Runtime is as fast as torch on a CPU."""

    def __init__(self, model: bytes) -> None:
        """Open the graph for images of any size: the exported networks pool over whatever there is."""
        super().__init__()
        graph = onnx.load_model_from_string(drop_class_maps(model))
        del graph.graph.value_info[:]  # shapes for the size that it serves
        for axis, name in ((2, "height"), (3, "width")):
            graph.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
        options = ort.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = ort.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [B, classes], on the device of the images."""
        feed = {self.session.get_inputs()[0].name: images.float().contiguous().cpu().numpy()}
        logits = torch.from_numpy(self.session.run(None, feed)[0])
        return logits.to(images.device)
