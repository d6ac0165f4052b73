"""The Space: staged, checked, pushed in one commit, watched until it answers, and taken back if it does not."""

import logging
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import SpaceStage

from trashlens.bundle import load_bundles
from trashlens.errors import HubError, first_line
from trashlens.hub.changes import Files
from trashlens.hub.checking import check_answer, check_staged
from trashlens.hub.checkout import Checkout
from trashlens.hub.client import connect, explain, retry
from trashlens.hub.models import version_of
from trashlens.hub.repository import Obsolete, Outcome, Repository, check_name
from trashlens.hub.staging import list_files, stage_space
from trashlens.hub_token import read_token

__all__ = ["DeployConfig", "deploy", "publish_space"]

FAILED = (
    SpaceStage.BUILD_ERROR,
    SpaceStage.CONFIG_ERROR,
    SpaceStage.DELETING,
    SpaceStage.NO_APP_FILE,
    SpaceStage.PAUSED,
    SpaceStage.RUNTIME_ERROR,
    SpaceStage.STOPPED,
)
"""From these stages a Space does not come back by itself."""
ASLEEP = "SLEEPING"
"""Nobody has visited the Space for two days."""
GRACE_S = 60.0
"""How long the Hub may still report the stage of the version before."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DeployConfig:
    """How long a deployment may take."""

    timeout_s: float = 1200
    """From the commit until the Space runs it, seconds."""
    answer_s: float = 60
    """How long it may run without a right answer to a photo, seconds."""
    poll_s: float = 5
    """How often the Hub is asked how far it is, seconds."""

    def __post_init__(self) -> None:
        if min(self.timeout_s, self.answer_s, self.poll_s) <= 0:
            raise ValueError("timeout_s, answer_s and poll_s must be positive.")


def publish_space(
    space: str,
    models: Path,
    *,
    checkout: Checkout,
    model_repo: str | None = None,
    private: bool = False,
    dry_run: bool = False,
    config: DeployConfig = DeployConfig(),
) -> Outcome:
    """Make the Space `space` serve the page with the bundles below `models`, and see it answer.

    The staged tree is first checked on this machine, in an environment of its own. A dry run ends there.

    Raises:
        BundleError: a bundle is missing or damaged.
        HubError: the staged tree does not work, the Hub refuses, or the Space does not come to answer; in the
            last case its earlier files are back.
    """
    if model_repo is not None:
        check_name(model_repo)
    bundles = {role: bundle.short_id for role, bundle in load_bundles(models).items()}
    repository = Repository(api=connect(anonymous=dry_run), name=space, kind="space")
    with tempfile.TemporaryDirectory(prefix="trashlens-space-") as folder:
        staged = Path(folder)
        stage_space(staged, checkout=checkout, models=models, model_repo=model_repo)
        files = list_files(staged)
        logger.info("Checking the Space's %d files in a clean environment.", len(files))
        check_staged(staged, bundles=bundles)
        if dry_run:
            return repository.preview(files, obsolete=_all_but(files))
        message = f"Deploy {(checkout.find_commit() or 'code')[:12]} with bundles {version_of(models)}"
        return deploy(
            repository, files, bundles=bundles, message=message, private=private, config=config
        )


def deploy(
    repository: Repository,
    files: Files,
    *,
    bundles: Mapping[str, str],
    message: str,
    private: bool = False,
    config: DeployConfig = DeployConfig(),
) -> Outcome:
    """Make the Space hold exactly these files, and wait until it answers from the bundles with these short ids.

    Ctrl-C takes the files back too.

    Raises:
        HubError: the Hub refuses, or the Space does not come to answer and has its earlier files back.
    """
    outcome = repository.publish(files, message=message, obsolete=_all_but(files), private=private)
    try:
        _await_running(repository, str(outcome.commit), config)
        _await_answer(repository, bundles, config)
    except Exception as error:  # whatever it is, nobody has seen this version answer
        reason = (
            str(error) if isinstance(error, HubError) else f"{type(error).__name__}: {first_line(error)}"
        )
        raise HubError(_take_back(repository, outcome, reason=reason)) from error
    except KeyboardInterrupt:
        logger.warning("%s", _take_back(repository, outcome, reason="the wait was interrupted"))
        raise
    return outcome


def _all_but(files: Files) -> Obsolete:
    """Return what names everything else in a repository: the Space is ours alone."""
    return lambda head: [path for path in head.files if path not in files]


def _await_running(repository: Repository, commit: str, config: DeployConfig) -> None:
    """Wait until the Space runs the commit.

    Raises:
        HubError: it fails, or takes too long.
    """
    start, said = time.monotonic(), ""
    while (stage := _read_stage(repository, commit, waited_s=time.monotonic() - start)) != "RUNNING":
        if stage != said:
            logger.info("The Space is %s.", stage)
            if stage == ASLEEP:
                with explain(f"wake {repository.name}"):
                    retry(lambda: repository.api.restart_space(repository.name))
        said = stage
        if time.monotonic() > start + config.timeout_s:
            raise HubError(f"it was still {stage} after {config.timeout_s:.0f} s")
        time.sleep(config.poll_s)


def _await_answer(repository: Repository, bundles: Mapping[str, str], config: DeployConfig) -> None:
    """Wait until the running Space answers a photo from these bundles.

    Raises:
        HubError: it does not, or not rightly.
    """
    with explain(f"find the address of {repository.name}"):
        info = retry(lambda: repository.api.space_info(repository.name))
    token = read_token() if info.private else None
    deadline = time.monotonic() + config.answer_s
    while True:
        try:
            return check_answer(str(info.host), bundles=bundles, token=token)
        except HubError:
            if time.monotonic() > deadline:
                raise
            time.sleep(config.poll_s)


def _read_stage(repository: Repository, commit: str, *, waited_s: float) -> str:
    """Return the stage of the Space, `RUNNING` only if it runs that commit, as far as the Hub says which.

    Raises:
        HubError: it is in a stage from which it does not come back.
    """
    try:
        with explain(f"read the state of {repository.name}"):
            runtime = retry(lambda: repository.api.get_space_runtime(repository.name)).raw
            stage, sha = str(runtime["stage"]), runtime.get("sha")
    except HubError as error:  # that the Hub cannot say does not mean that the Space fails
        logger.info("%s", error)
        return "not reported"
    is_late = waited_s >= GRACE_S
    if stage in FAILED and (sha == commit or is_late):
        said = str(runtime.get("errorMessage") or "").strip()
        raise HubError(f"it is in stage {stage}" + (f" ({said.splitlines()[0]})" if said else ""))
    # The Hub does not promise to name the commit; without it, what the page answers must tell.
    is_ours = sha == commit or (sha is None and is_late)
    return stage if is_ours or stage != "RUNNING" else "not known to run this commit"


def _take_back(repository: Repository, outcome: Outcome, *, reason: str) -> str:
    """Put the earlier files back, if there were any; return what to tell the user."""
    commit, before = str(outcome.commit), outcome.before
    logs = f"Logs: {repository.url}?logs=build and {repository.url}?logs=container"
    failure = (
        f"The Space {repository.name} does not work with commit {commit[:12]}: {reason.rstrip('.')}."
    )
    if not outcome.changes:
        return f"{failure} Nothing was changed. {logs}"
    if before is None or "app.py" not in before.files:
        return f"{failure} It is the first version, so there is none to go back to. {logs}"
    try:
        restored = repository.restore(
            before, undo=outcome.changes, parent=commit, message=f"Go back to {before.commit[:12]}"
        )
    except HubError as error:
        return f"{failure} Going back failed too ({str(error).rstrip('.')}); the new files are still there. {logs}"
    return f"{failure} The files of {before.commit[:12]} are back, as {restored[:12]}. {logs}"
