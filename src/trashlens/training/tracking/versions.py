"""What a run takes in and gives out: versions of data, checkpoints and bundles, named by their content.

Each version has an alias by which the next run finds it, and its metadata names its own inputs as
`{"name", "type", "alias", "sha256"}`: offline, W&B cannot record what a run uses, and `trashlens sync` reads
it from there.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wandb

from trashlens.bundle import Bundle
from trashlens.checkpoint_files import CHECKPOINT_FILES, WEIGHTS_FILE
from trashlens.files import hash_file

__all__ = ["Version", "bundle_version", "checkpoint_reference", "checkpoint_version", "data_version"]

DATASET = "trashnet"
CANDIDATE = "candidate"


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a W&B artifact."""

    name: str
    """`trashnet`, `taco`, `<role>` or `<role>-bundle`."""
    type: str
    """`dataset`, `model` or `bundle`."""
    aliases: tuple[str, ...]
    """The first one is what others refer to."""
    sha256: str
    """Of the split manifest, the weights or the ONNX graph, hexadecimal."""
    files: tuple[Path, ...]
    """What it holds."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What is known about it."""
    inputs: Sequence[Mapping[str, Any]] = ()
    """References to what it was made from."""

    @property
    def reference(self) -> dict[str, Any]:
        """How a later version names this one among its inputs."""
        return _reference(self.name, self.type, self.aliases[0], self.sha256)

    def to_artifact(self) -> wandb.Artifact:
        """Return W&B's form of it."""
        # W&B does not keep the order of aliases.
        own = {"alias": self.aliases[0], "sha256": self.sha256, "inputs": [dict(i) for i in self.inputs]}
        artifact = wandb.Artifact(self.name, type=self.type, metadata={**self.metadata, **own})
        for path in self.files:
            artifact.add_file(str(path))
        return artifact


def data_version(data: Mapping[str, Any], *, manifest: Path, record: Path) -> Version:
    """Return the version of the photos that `data`, read from the file `record`, was written about.

    It holds the split manifest alone, so that the same split is the same version wherever it is prepared.
    """
    sha256 = _identify(data)
    # A manifest that has changed since is not the one the photos were split by, and one that feedback was added
    # to does not name all of them.
    unchanged = manifest.is_file() and hash_file(manifest) == sha256
    return Version(
        name=_name_dataset(data),
        type="dataset",
        aliases=(_short(sha256),),
        sha256=sha256,
        files=(manifest if unchanged else record,),
        metadata=data,
    )


def checkpoint_version(
    folder: Path, record: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]
) -> Version:
    """Return the version of a complete checkpoint; `record` is its checkpoint.json."""
    reference = checkpoint_reference(record, hash_file(folder / WEIGHTS_FILE))
    known = ("epoch", "val", "test", "environment")
    return Version(
        name=reference["name"],
        type=reference["type"],
        aliases=(reference["alias"], _short(reference["sha256"])),
        sha256=reference["sha256"],
        files=tuple(folder / name for name in CHECKPOINT_FILES),
        metadata={"network": record["recipe"]["network"]["name"], **{k: record.get(k) for k in known}},
        inputs=inputs,
    )


def checkpoint_reference(record: Mapping[str, Any], sha256: str | None) -> dict[str, Any]:
    """Return how a later version names a checkpoint: by the run that made it, or by its weights' hash.

    `record` is a checkpoint.json or a bundle's provenance.
    """
    run = record.get("run") or {}
    alias = f"run-{run['id']}" if run.get("id") else _short(sha256 or "unknown")
    return _reference(record["recipe"]["role"], "model", alias, sha256)


def bundle_version(bundle: Bundle, folder: Path) -> Version:
    """Return the version of the bundle in `folder`, a candidate for production."""
    made_from = bundle.provenance
    inputs = []
    if sha256 := _identify(made_from.get("data") or {}):
        name = _name_dataset(made_from["data"])
        inputs.append(_reference(name, "dataset", _short(sha256), sha256))
    if made_from.get("run") or made_from.get("checkpoint_sha256"):
        inputs.append(checkpoint_reference(made_from, made_from.get("checkpoint_sha256")))
    return Version(
        name=f"{bundle.role}-bundle",
        type="bundle",
        aliases=(_short(bundle.sha256), CANDIDATE),
        sha256=bundle.sha256,
        files=tuple(sorted(folder.iterdir())),
        metadata={"network": bundle.architecture, "metrics": bundle.metrics},
        inputs=inputs,
    )


def _reference(name: str, type_: str, alias: str, sha256: str | None) -> dict[str, Any]:
    return {"name": name, "type": type_, "alias": alias, "sha256": sha256}


def _name_dataset(data: Mapping[str, Any]) -> str:
    """Return W&B's name of a data set; records from before there were several name TrashNet or none."""
    return "taco" if data.get("dataset") == "TACO" else DATASET


def _identify(data: Mapping[str, Any]) -> str:
    """Return the hash of the manifest, or of both where feedback was added; empty where there is none."""
    sha256 = data.get("manifest_sha256") or ""
    if not data.get("added"):
        return sha256
    return hashlib.sha256(f"{sha256}\n{data['added']['manifest_sha256']}\n".encode()).hexdigest()


def _short(sha256: str) -> str:
    return sha256[:12]
