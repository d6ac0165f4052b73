"""Checkpoints on W&B: fetch one, so that a student can learn from a teacher that was trained elsewhere."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from trashlens.errors import TrackingError
from trashlens.files import hash_file, replace_folder
from trashlens.training.tracking.remote import (
    Reference,
    connect,
    download_files,
    find_version,
    name_version,
)

__all__ = ["pull_checkpoint"]

FILES = ("model.safetensors", "checkpoint.json")


def pull_checkpoint(wanted: Reference, runs: Path) -> str:
    """Fetch a checkpoint into `runs`/<role>, in place of what is there; return its version and hash.

    Raises:
        TrackingError: W&B has no such checkpoint, refuses or does not answer, or its files are not those that
            were logged.
    """
    (role,) = wanted.roles
    artifact = find_version(connect(), wanted.path(role), "model")
    version = name_version(artifact)
    with TemporaryDirectory() as temporary:
        fetched = Path(temporary) / role
        download_files(artifact, FILES, fetched)
        present = [name for name in FILES if (fetched / name).is_file()]
        if present != list(FILES) or hash_file(fetched / FILES[0]) != artifact.metadata.get("sha256"):
            raise TrackingError(
                f"{version} on W&B is no whole checkpoint: {runs / role} stays as it is."
            )
        sha256 = hash_file(fetched / FILES[0])
        with replace_folder(runs / role) as staging:
            for name in FILES:
                shutil.copyfile(fetched / name, staging / name)
    return f"{version} (sha256 {sha256})"
