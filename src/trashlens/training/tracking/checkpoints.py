"""Checkpoints on W&B: fetch one, so that a student can learn from a teacher that was trained elsewhere."""

from pathlib import Path
from tempfile import TemporaryDirectory

from trashlens.checkpoint_files import CHECKPOINT_FILES, WEIGHTS_FILE
from trashlens.errors import TrackingError
from trashlens.files import hash_file, replace_file
from trashlens.training.tracking.remote import (
    Reference,
    connect,
    download_files,
    find_version,
    name_version,
)

__all__ = ["pull_checkpoint"]


def pull_checkpoint(wanted: Reference, runs: Path) -> str:
    """Fetch a checkpoint into `runs`/<role>, in place of the one there; return its version and hash.

    What else lies there, such as runs that W&B has not got yet, stays.

    Raises:
        TrackingError: W&B has no such checkpoint, refuses or does not answer, or its files are not those that
            were logged; or an unfinished run lies where it should go.
    """
    (role,) = wanted.roles
    folder = runs / role
    if (folder / "state").exists():
        raise TrackingError(
            f"{folder} holds an unfinished run. Finish it, or name another folder with --runs."
        )
    artifact = find_version(connect(), wanted.path(role), "model")
    version = name_version(artifact)
    with TemporaryDirectory() as temporary:
        fetched = Path(temporary) / role
        download_files(artifact, CHECKPOINT_FILES, fetched)
        sha256 = artifact.metadata.get("sha256")
        is_whole = all((fetched / name).is_file() for name in CHECKPOINT_FILES)
        if not is_whole or hash_file(fetched / WEIGHTS_FILE) != sha256:
            raise TrackingError(f"{version} on W&B is no whole checkpoint: {folder} stays as it is.")
        folder.mkdir(parents=True, exist_ok=True)
        for name in CHECKPOINT_FILES:
            replace_file(folder / name, (fetched / name).read_bytes())
    return f"{version} (sha256 {sha256})"
