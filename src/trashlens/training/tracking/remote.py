"""W&B from afar: what a reference names, the version it leads to, and its files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import wandb
from wandb.errors import CommError
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from trashlens.bundle import ROLES
from trashlens.errors import TrackingError, first_line
from trashlens.training.tracking.web import send

__all__ = [
    "REGISTRY_PREFIX",
    "MissingError",
    "Reference",
    "connect",
    "download_files",
    "explain",
    "find_version",
    "name_version",
]

REGISTRY_PREFIX = "wandb-registry-"
"""How W&B names a registry among an organisation's projects."""

CALL_TIMEOUT_SEC = 10
"""For each of the two attempts that W&B's own process has; by default it would go on trying."""

GAVE_UP = "giving up after"
"""What W&B's own process says when its last attempt had no answer, or one of 500 or more."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Which bundles, or which checkpoint, on W&B are meant."""

    project: str
    """`entity/project`."""
    collection: str | None
    """`<role>-bundle`, in a registry also `<role>` or `trashlens-<role>`; `<role>` in a project is a checkpoint;
    None means every role's bundle."""
    alias: str
    """An alias, or a version such as `v3`."""

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Return what `wandb:entity/project/student-bundle:production` names.

        Raises:
            TrackingError: the text has another form, or names no role.
        """
        parts = re.fullmatch(r"wandb:([^/:]+/[^/:]+)(?:/([^/:]+))?:([^/:]+)", text)
        if parts is None:
            raise TrackingError(
                f"{text!r} names no bundle. Write wandb:ENTITY/PROJECT/student-bundle:production, "
                "wandb:ENTITY/PROJECT:production for those of all roles, or wandb:ENTITY/PROJECT/teacher:latest "
                "for a checkpoint."
            )
        if parts[1].startswith(REGISTRY_PREFIX):
            raise TrackingError(
                f"{text!r} lacks the organisation whose registry it is. "
                f"Write wandb:ORGANISATION/{parts[1]}:{parts[3]}."
            )
        reference = cls(project=parts[1], collection=parts[2], alias=parts[3])
        if not set(reference.roles) <= set(ROLES):
            names = ", ".join(f"{role}-bundle" for role in ROLES)
            raise TrackingError(f"{reference.collection!r} is no role's bundle. There are {names}.")
        return reference

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that are meant."""
        if self.collection is None:
            return ROLES
        return (self.collection.removeprefix("trashlens-").removesuffix("-bundle"),)

    @property
    def is_checkpoint(self) -> bool:
        """Whether a checkpoint is meant, not a bundle."""
        return self.collection in ROLES and not self._in_registry

    def path(self, role: str, alias: str | None = None) -> str:
        """Return W&B's name of a role's bundle at this alias, or at another one."""
        own = f"trashlens-{role}" if self._in_registry else f"{role}-bundle"
        return f"{self.project}/{self.collection or own}:{alias or self.alias}"

    @property
    def _in_registry(self) -> bool:
        return self.project.partition("/")[2].startswith(REGISTRY_PREFIX)


class MissingError(TrackingError):
    """W&B has no such version."""


def connect() -> wandb.Api:
    """Return W&B's client, which gives up after seconds.

    Raises:
        TrackingError: there is no key, or W&B does not accept it.
    """
    settings = wandb.Settings(
        silent=True,
        x_graphql_timeout_seconds=CALL_TIMEOUT_SEC,
        x_graphql_retry_max=1,
        x_graphql_retry_wait_max_seconds=1,
    )
    wandb.setup(settings)
    try:
        if not wandb.login(prompt=False, verify=False):
            raise TrackingError(
                "W&B needs a key: set WANDB_API_KEY or run `wandb login`, and do not set WANDB_MODE."
            )
        return wandb.Api(timeout=3 * CALL_TIMEOUT_SEC)
    except wandb.Error as error:
        raise TrackingError(
            f"W&B let nobody in ({explain(error)}). "
            "Check WANDB_API_KEY, and WANDB_BASE_URL if the server is your own."
        ) from error


def find_version(api: wandb.Api, path: str, type_: str) -> wandb.Artifact:
    """Return the version that `entity/project/artifact:alias` names.

    Raises:
        MissingError: there is none of this type.
        TrackingError: W&B refuses or does not answer.
    """
    try:
        artifact: wandb.Artifact = api.artifact(path, type=type_)
    except CommError as error:
        if isinstance(error.exc, ValueError):
            raise MissingError(f"W&B has no {type_} {path} ({first_line(error)}).") from error
        raise TrackingError(f"W&B could not look for {path} ({explain(error)}).") from error
    return artifact


def name_version(artifact: wandb.Artifact) -> str:
    """Return `entity/project/artifact:version`; W&B's own property keeps the alias it was found by."""
    return f"{artifact.entity}/{artifact.project}/{artifact.name.partition(':')[0]}:{artifact.version}"


def download_files(artifact: wandb.Artifact, names: Sequence[str], folder: Path) -> None:
    """Write those files of a version that it has into `folder`.

    Raises:
        TrackingError: W&B refuses or does not answer.
    """
    version = name_version(artifact)
    folder.mkdir(exist_ok=True)
    try:
        # `Artifact.download` would ask a server that has died for another 20 minutes.
        urls = {file.name: file.direct_url for file in artifact.files(names=list(names))}
    except Exception as error:  # this call has no exception of its own
        raise TrackingError(f"W&B could not list {version} ({explain(error)}).") from error
    for name in [name for name in names if name in urls]:
        response = send("GET", urls[name])
        if not response.is_success:
            raise TrackingError(f"W&B refused {name} of {version} (HTTP {response.status_code}).")
        (folder / name).write_bytes(response.content)


def explain(error: Exception) -> str:
    """Return what W&B answered, or that it did not."""
    failure = error.exc if isinstance(error, CommError) and error.exc else error.__cause__ or error
    if isinstance(failure, WandbApiFailedError) and (
        failure.response is None or GAVE_UP in failure.response.message
    ):
        return "no answer"
    return first_line(error).rstrip(".")
