"""Bundles on W&B: fetch versions, verify them and put them in place, or make one the version in production."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import wandb

from trashlens.bundle import JSON_FILE, MODEL_FILE, ROLES, Bundle
from trashlens.classifier import Classifier
from trashlens.errors import BundleError, TrackingError
from trashlens.files import replace_folder
from trashlens.published import note_place
from trashlens.training.tracking.remote import (
    MissingError,
    Reference,
    connect,
    download_files,
    explain,
    find_version,
    name_version,
)

__all__ = ["PRODUCTION", "Promotion", "promote_bundle", "pull_bundles"]

PRODUCTION = "production"


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What a promotion changed."""

    bundle: str
    """`entity/project/artifact:version` that has the alias now."""
    previous: str | None
    """The one that had it before; None if there was none."""


def pull_bundles(wanted: Reference, models: Path) -> dict[str, str | None]:
    """Fetch bundles into `models`/<role>; return by role the version and hash, None where W&B has none.

    All of them are verified before the first one takes its predecessor's place. Their records then name
    the version as `provenance.artifact`, which they could not before; the graphs are the bytes that W&B holds.

    Raises:
        TrackingError: W&B has no such bundle, refuses or does not answer.
        BundleError: a bundle is damaged, of another role, cannot run, or has other labels than its neighbours.
    """
    api = connect()
    found, missing = {}, {}
    for role in wanted.roles:
        try:
            found[role] = find_version(api, wanted.path(role), "bundle")
        except MissingError as error:
            missing[role] = error
    if not found:
        raise next(iter(missing.values()))
    with TemporaryDirectory() as temporary:
        fetched = {role: _fetch(found[role], role, Path(temporary) / role) for role in found}
        staying = [role for role in ROLES if role not in found and (models / role).exists()]
        _check_labels(fetched | {role: Bundle.load(models / role) for role in staying})
        for role in fetched:
            with replace_folder(models / role) as staging:
                shutil.copyfile(Path(temporary) / role / MODEL_FILE, staging / MODEL_FILE)
                record = (Path(temporary) / role / JSON_FILE).read_bytes()
                (staging / JSON_FILE).write_bytes(note_place(record, artifact=_locate(found[role])))
    versions = {role: f"{name_version(found[role])} (sha256 {b.sha256})" for role, b in fetched.items()}
    return {role: versions.get(role) for role in wanted.roles}


def promote_bundle(wanted: Reference, *, alias: str = PRODUCTION) -> Promotion:
    """Verify a bundle, then give it the alias; whichever version had the alias loses it.

    Raises:
        TrackingError: the reference or alias is none, or W&B has no such bundle, refuses or does not answer.
        BundleError: the bundle is damaged, of another role, or cannot run.
    """
    if wanted.collection is None or wanted.is_checkpoint:
        raise TrackingError(
            f"Promote one bundle at a time: wandb:{wanted.project}/student-bundle:v3, for example. "
            "A checkpoint is none."
        )
    if re.fullmatch(r"[^/:]+", alias) is None or re.fullmatch(r"latest|v\d+", alias):
        raise TrackingError(f"{alias!r} cannot be given to a version. Use {PRODUCTION}, for example.")
    (role,) = wanted.roles
    api = connect()
    artifact = find_version(api, wanted.path(role), "bundle")
    bundle = name_version(artifact)
    with TemporaryDirectory() as temporary:
        _fetch(artifact, role, Path(temporary))
    try:
        previous = name_version(find_version(api, wanted.path(role, alias), "bundle"))
    except MissingError:
        previous = None
    if previous != bundle:
        artifact.aliases.append(alias)
        try:
            artifact.save()
        except wandb.Error as error:
            raise TrackingError(f"W&B did not move the alias ({explain(error)}).") from error
    return Promotion(bundle=bundle, previous=previous)


def _fetch(artifact: wandb.Artifact, role: str, folder: Path) -> Bundle:
    """Download the two files of a bundle into `folder`, and see that they are whole and run."""
    name = name_version(artifact)
    download_files(artifact, (MODEL_FILE, JSON_FILE), folder)
    try:
        bundle = Bundle.load(folder)
        if bundle.role != role:
            raise BundleError(f"It is a {bundle.role}")
        Classifier(bundle)
    except BundleError as error:
        problem = str(error).replace(str(folder), name).partition(". ")[0]
        raise BundleError(f"{name} on W&B cannot be used: {problem.rstrip('.')}.") from error
    return bundle


def _locate(artifact: wandb.Artifact) -> dict[str, str]:
    """Return the name of a version and its address, in the project it was made in where a registry links it."""
    # W&B's own property asks the server once more.
    collection, _, version = artifact.source_name.partition(":")
    place = f"{artifact.source_entity}/{artifact.source_project}/artifacts/bundle/{collection}/{version}"
    return {
        "name": name_version(artifact),
        "url": f"{wandb.setup().settings.app_url.rstrip('/')}/{place}",
    }


def _check_labels(bundles: Mapping[str, Bundle]) -> None:
    """Raise BundleError unless all bundles name the same classes in the same order."""
    first = next(iter(bundles.values()))
    for role, bundle in bundles.items():
        if bundle.labels != first.labels:
            raise BundleError(
                f"The {role} names {', '.join(bundle.labels)}, the {first.role} {', '.join(first.labels)}. "
                "Bundles that stand side by side must name the same classes in the same order."
            )
