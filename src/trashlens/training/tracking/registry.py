"""Bundles on W&B: fetch versions, verify them and put them in place, or make one the version in production."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import wandb
from wandb.errors import CommError
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from trashlens.bundle import JSON_FILE, MODEL_FILE, ROLES, Bundle
from trashlens.classifier import Classifier
from trashlens.errors import BundleError, TrackingError, first_line
from trashlens.files import replace_folder
from trashlens.training.tracking.web import send

__all__ = ["PRODUCTION", "Promotion", "Reference", "promote_bundle", "pull_bundles"]

PRODUCTION = "production"
CALL_TIMEOUT_SEC = 10
"""For each of the two attempts that W&B's own process has; by default it would go on trying."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Which bundles on W&B are meant."""

    project: str
    """`entity/project`."""
    collection: str | None
    """`<role>-bundle`, in a registry also `<role>`; None means every role's bundle."""
    alias: str
    """An alias, or a version such as `v3`."""

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Return what `wandb:entity/project/student-bundle:production` names.

        Raises:
            TrackingError: the text has another form, or names no role's bundle.
        """
        parts = re.fullmatch(r"wandb:([^/:]+/[^/:]+)(?:/([^/:]+))?:([^/:]+)", text)
        if parts is None:
            raise TrackingError(
                f"{text!r} names no bundle. Write wandb:ENTITY/PROJECT/student-bundle:production, "
                "or wandb:ENTITY/PROJECT:production for those of all roles."
            )
        reference = cls(project=parts[1], collection=parts[2], alias=parts[3])
        if not set(reference.roles) <= set(ROLES):
            names = ", ".join(f"{role}-bundle" for role in ROLES)
            raise TrackingError(f"{reference.collection!r} is no role's bundle. There are {names}.")
        return reference

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles whose bundles are meant."""
        return ROLES if self.collection is None else (self.collection.removesuffix("-bundle"),)

    def path(self, role: str, alias: str | None = None) -> str:
        """Return W&B's name of a role's bundle at this alias, or at another one."""
        return f"{self.project}/{self.collection or f'{role}-bundle'}:{alias or self.alias}"


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What a promotion changed."""

    bundle: str
    """`entity/project/artifact:version` that has the alias now."""
    previous: str | None
    """The one that had it before; None if there was none."""


class _MissingError(TrackingError):
    """W&B has no such bundle."""


def pull_bundles(reference: str, models: Path) -> dict[str, str | None]:
    """Fetch bundles into `models`/<role>; return by role the version and hash, None where W&B has none.

    All of them are verified before the first one takes its predecessor's place.

    Raises:
        TrackingError: the reference is none, or W&B has no such bundle, refuses or does not answer.
        BundleError: a bundle is damaged, of another role, cannot run, or has other labels than its neighbours.
    """
    wanted = Reference.parse(reference)
    api = _connect()
    found, missing = {}, {}
    for role in wanted.roles:
        try:
            found[role] = _find(api, wanted.path(role))
        except _MissingError as error:
            missing[role] = error
    if not found:
        raise next(iter(missing.values()))
    with TemporaryDirectory() as temporary:
        fetched = {role: _fetch(found[role], role, Path(temporary) / role) for role in found}
        staying = [role for role in ROLES if role not in found and (models / role).exists()]
        _check_labels(fetched | {role: Bundle.load(models / role) for role in staying})
        for role in fetched:
            with replace_folder(models / role) as staging:
                # The bytes as published: what a visitor downloads is what W&B holds.
                for name in (MODEL_FILE, JSON_FILE):
                    shutil.copyfile(Path(temporary) / role / name, staging / name)
    versions = {role: f"{_name(found[role])} (sha256 {b.sha256})" for role, b in fetched.items()}
    return {role: versions.get(role) for role in wanted.roles}


def promote_bundle(reference: str, *, alias: str = PRODUCTION) -> Promotion:
    """Verify a bundle, then give it the alias; whichever version had the alias loses it.

    Raises:
        TrackingError: the reference or alias is none, or W&B has no such bundle, refuses or does not answer.
        BundleError: the bundle is damaged, of another role, or cannot run.
    """
    wanted = Reference.parse(reference)
    if wanted.collection is None:
        raise TrackingError(
            f"Promote one bundle at a time: wandb:{wanted.path('student')}, for example."
        )
    if re.fullmatch(r"[^/:]+", alias) is None or re.fullmatch(r"latest|v\d+", alias):
        raise TrackingError(f"{alias!r} cannot be given to a version. Use {PRODUCTION}, for example.")
    (role,) = wanted.roles
    api = _connect()
    artifact = _find(api, wanted.path(role))
    bundle = _name(artifact)
    with TemporaryDirectory() as temporary:
        _fetch(artifact, role, Path(temporary))
    try:
        previous = _name(_find(api, wanted.path(role, alias)))
    except _MissingError:
        previous = None
    if previous != bundle:
        artifact.aliases.append(alias)
        try:
            artifact.save()
        except wandb.Error as error:
            raise TrackingError(f"W&B did not move the alias ({_reason(error)}).") from error
    return Promotion(bundle=bundle, previous=previous)


def _connect() -> wandb.Api:
    settings = wandb.Settings(
        silent=True,
        x_graphql_timeout_seconds=CALL_TIMEOUT_SEC,
        x_graphql_retry_max=1,
        x_graphql_retry_wait_max_seconds=1,
    )
    wandb.setup(settings)
    try:
        if not wandb.login(prompt=False, verify=False):
            raise TrackingError("W&B needs a key. Set WANDB_API_KEY, or run `wandb login`.")
        return wandb.Api(timeout=3 * CALL_TIMEOUT_SEC)
    except wandb.Error as error:
        raise TrackingError(
            f"W&B let nobody in ({_reason(error)}). "
            "Check WANDB_API_KEY, and WANDB_BASE_URL if the server is your own."
        ) from error


def _find(api: wandb.Api, path: str) -> wandb.Artifact:
    try:
        artifact: wandb.Artifact = api.artifact(path, type="bundle")
    except CommError as error:
        if isinstance(error.exc, ValueError):
            raise _MissingError(f"W&B has no bundle {path} ({first_line(error)}).") from error
        raise TrackingError(f"W&B could not look for {path} ({_reason(error)}).") from error
    return artifact


def _name(artifact: wandb.Artifact) -> str:
    """Return `entity/project/artifact:version`; W&B's own property keeps the alias it was found by."""
    return f"{artifact.entity}/{artifact.project}/{artifact.name.partition(':')[0]}:{artifact.version}"


def _fetch(artifact: wandb.Artifact, role: str, folder: Path) -> Bundle:
    """Download the two files of a bundle into `folder`, and see that they are whole and run."""
    name = _name(artifact)
    folder.mkdir(exist_ok=True)
    try:
        # `Artifact.download` would ask a server that has died for another 20 minutes.
        files = {file.name: file.direct_url for file in artifact.files(names=[MODEL_FILE, JSON_FILE])}
    except Exception as error:  # this call has no exception of its own
        raise TrackingError(f"W&B could not list {name} ({_reason(error)}).") from error
    for file in files:
        response = send("GET", files[file])
        if not response.is_success:
            raise TrackingError(f"W&B refused {file} of {name} (HTTP {response.status_code}).")
        (folder / file).write_bytes(response.content)
    try:
        bundle = Bundle.load(folder)
        if bundle.role != role:
            raise BundleError(f"It is a {bundle.role}")
        Classifier(bundle)
    except BundleError as error:
        problem = str(error).replace(str(folder), name).partition(". ")[0]
        raise BundleError(f"{name} on W&B cannot be used: {problem.rstrip('.')}.") from error
    return bundle


def _check_labels(bundles: Mapping[str, Bundle]) -> None:
    """Raise BundleError unless all bundles name the same classes in the same order."""
    first = next(iter(bundles.values()))
    for role, bundle in bundles.items():
        if bundle.labels != first.labels:
            raise BundleError(
                f"The {role} names {', '.join(bundle.labels)}, the {first.role} {', '.join(first.labels)}. "
                "Bundles that stand side by side must name the same classes in the same order."
            )


def _reason(error: Exception) -> str:
    """Return what W&B answered, or that it did not."""
    failure = error.exc if isinstance(error, CommError) and error.exc else error.__cause__ or error
    if isinstance(failure, WandbApiFailedError) and not (
        failure.response and failure.response.http_status
    ):
        return "no answer"
    return first_line(error).rstrip(".")
