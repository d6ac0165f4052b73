"""Read, verify and write a bundle: `model.onnx` + `bundle.json`, all that serving needs.

bundle.json holds `format` (of this file), `role`, `architecture`, `labels`, `preprocess`, `temperature`,
`threshold`, `model` (file, sha256, bytes, parameters, weights), `metrics` and `provenance`.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from trashlens.errors import BundleError
from trashlens.files import replace_folder
from trashlens.image import Preprocess

__all__ = [
    "JSON_FILE",
    "LIVE",
    "MAPS",
    "MODEL_FILE",
    "ROLES",
    "Bundle",
    "load_bundle",
    "load_bundles",
    "load_copies",
]

ROLES = ("teacher", "baseline", "student")
FORMAT = 1
MODEL_FILE = "model.onnx"
JSON_FILE = "bundle.json"
LIVE = "live"
"""Below the folder of the three bundles, the folder of copies that answer a webcam's frames, `live/<role>`."""
MAPS = "maps"
"""Name of a graph's second output."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A network ready to serve: the ONNX graph, its preprocessing and everything known about it."""

    role: str
    """`teacher`, `baseline` or `student`."""
    architecture: str
    """timm's name of the network."""
    labels: tuple[str, ...]
    """Class names in the order of the logits."""
    preprocess: Preprocess
    """What turns an RGB image into the graph's input, float32 [B, 3, size_px, size_px]."""
    model: bytes = field(repr=False)
    """The ONNX graph: input `images`, output `logits` float32 [B, len(labels)]; where the network's head allows
    it, a second output `maps` float32 [B, len(labels), h, w], whose means over h and w are the logits."""
    parameters: int
    """Number of weights of the network."""
    weights: str = "float32"
    """How the weights are stored; arithmetic is float32, or int8 with int8."""
    temperature: float = 1.0
    """Divides the logits before softmax; fitted on the validation photos (Guo et al. 2017)."""
    threshold: float | None = None
    """Calibrated probability of the best class from which on its answer counts as sure, in (0, 1]; chosen on the
    validation photos. Without one, as in bundles of earlier versions, every answer does."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """What was measured: by split, and `latency`."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Recipe, data, code and libraries it was made from."""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise BundleError(f"A bundle's role is one of {', '.join(ROLES)}, not {self.role!r}.")
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise BundleError("A bundle needs at least two different labels.")
        if not self.temperature > 0:
            raise BundleError("A bundle's temperature must be positive.")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise BundleError("A bundle's threshold must lie in (0, 1], or be left out.")

    @classmethod
    def load(cls, folder: Path) -> "Bundle":
        """Read and verify the bundle in `folder`.

        Raises:
            BundleError: a file is missing or damaged, the hash differs, or the format is unknown.
        """
        advice = (
            "Name the right folder with --models, check it out again, or `trashlens export` it anew."
        )
        try:
            record = json.loads((folder / JSON_FILE).read_text(encoding="utf-8"))
            model = (folder / MODEL_FILE).read_bytes()
        except OSError as error:
            name = Path(error.filename or folder).name
            raise BundleError(f"The bundle {folder} has no readable {name}. {advice}") from error
        except ValueError as error:
            raise BundleError(f"{folder / JSON_FILE} is not valid JSON. {advice}") from error
        try:
            if record["format"] != FORMAT:
                raise BundleError(
                    f"The bundle {folder} has format {record['format']}; this version reads {FORMAT}. {advice}"
                )
            bundle = cls(
                role=record["role"],
                architecture=record["architecture"],
                labels=tuple(record["labels"]),
                preprocess=Preprocess.from_json(record["preprocess"]),
                model=model,
                parameters=record["model"]["parameters"],
                weights=record["model"]["weights"],
                temperature=record["temperature"],
                threshold=record.get("threshold"),
                metrics=record["metrics"],
                provenance=record["provenance"],
            )
            if record["model"]["sha256"] != bundle.sha256:
                raise BundleError(
                    f"The SHA-256 of {folder / MODEL_FILE} differs from the one in {JSON_FILE}. {advice}"
                )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{folder / JSON_FILE} is incomplete: {error!r}. {advice}") from error
        return bundle

    @classmethod
    def from_hub(cls, repo: str, *, role: str = "student", revision: str | None = None) -> "Bundle":
        """Read and verify a role's bundle in a model repository of the Hub, `user/name`; downloads are cached.

        `revision` is a branch, tag or commit; without one it is what the repository holds now.

        Raises:
            BundleError: the bundle cannot be fetched, or what was fetched is damaged or another role's.
        """
        # Imported here, since serving starts without it.
        from huggingface_hub import hf_hub_download

        name = f"{repo}@{revision}" if revision else repo
        try:
            record = Path(hf_hub_download(repo, f"{role}/{JSON_FILE}", revision=revision))
            # The cache keeps a file below its commit: the graph must come from the same one.
            commit = record.parents[1].name
            hf_hub_download(repo, f"{role}/{MODEL_FILE}", revision=commit)
        except Exception as error:  # no connection, repository, revision, file or right to read
            raise BundleError(
                f"The {role} bundle of {name} could not be fetched from the Hub ({type(error).__name__}). "
                "Check its name, the revision and the connection, and HF_TOKEN if it is private."
            ) from error
        bundle = cls.load(record.parent)
        if bundle.role != role:
            raise BundleError(f"{name} holds a {bundle.role} bundle where the {role} should be.")
        return bundle

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the ONNX graph, hexadecimal; identifies the bundle's weights."""
        return hashlib.sha256(self.model).hexdigest()

    @property
    def original_sha256(self) -> str | None:
        """SHA-256 of the graph that this one is a copy of, in int8, or None where it is no copy."""
        return (self.provenance.get("copy_of") or {}).get("sha256")

    @property
    def short_id(self) -> str:
        """The first twelve digits of `sha256`, by which people and answers name the bundle."""
        return self.sha256[:12]

    @cached_property
    def size_bytes(self) -> int:
        """Size of the ONNX graph's file."""
        return len(self.model)

    def without_model(self) -> "Bundle":
        """Return the record alone, for who has a session of the graph and no use for its bytes."""
        record = dataclasses.replace(self, model=b"")
        # What the cached properties would compute of nothing.
        vars(record).update(sha256=self.sha256, size_bytes=self.size_bytes)
        return record

    def write(self, folder: Path) -> None:
        """Write the bundle as `folder`, replacing what is there only once the new one is complete."""
        record = {
            "format": FORMAT,
            "role": self.role,
            "architecture": self.architecture,
            "labels": self.labels,
            "preprocess": dataclasses.asdict(self.preprocess),
            "temperature": self.temperature,
            "threshold": self.threshold,
            "model": {
                "file": MODEL_FILE,
                "sha256": self.sha256,
                "bytes": len(self.model),
                "parameters": self.parameters,
                "weights": self.weights,
            },
            "metrics": self.metrics,
            "provenance": self.provenance,
        }
        with replace_folder(folder) as staging:
            (staging / MODEL_FILE).write_bytes(self.model)
            text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
            (staging / JSON_FILE).write_text(text, encoding="utf-8")


def load_bundle(models: Path, role: str) -> Bundle:
    """Read the bundle of `role` below `models`; a folder named `live` has the one above it where it has none.

    Raises:
        BundleError: it is missing or damaged, or another role's lies in its folder.
    """
    # So that whatever takes a folder of three bundles takes one of live copies too.
    folder = models.parent if models.name == LIVE and not (models / role).exists() else models
    bundle = Bundle.load(folder / role)
    if bundle.role != role:
        raise BundleError(f"The bundle in {folder / role} is a {bundle.role}. Export the {role} there.")
    return bundle


def load_copies(models: Path) -> dict[str, Bundle]:
    """Read the copies for webcams below `models`, by role; there may be none.

    Raises:
        BundleError: one is damaged, or lies in another role's folder.
    """
    roles = [role for role in ROLES if (models / LIVE / role).exists()]
    return load_bundles(models / LIVE, roles=roles)


def load_bundles(models: Path, *, roles: Sequence[str] = ROLES) -> dict[str, Bundle]:
    """Read the bundle of each role below `models`, by role and in this order.

    Raises:
        BundleError: one of them is missing or damaged, or lies in another role's folder.
    """
    return {role: load_bundle(models, role) for role in roles}
