"""Feedback that goes on to a dataset on the Hugging Face Hub."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import CommitScheduler, HfApi

from trashlens.errors import FeedbackError, first_line
from trashlens.given import METADATA_FILE
from trashlens.hub_token import hide_token, read_token
from trashlens.server.feedback import Feedback

__all__ = ["EVERY_MIN", "open_dataset"]

EVERY_MIN = 5
"""How often what is new is pushed, minutes; nothing new makes no commit."""
LAST_S = 30.0
"""How long the last push may take when the server is stopped, seconds."""
ABSENT = (
    "There is no token for the dataset {repo}. Create one that may write at "
    "https://huggingface.co/settings/tokens and set HF_TOKEN to it."
)

logger = logging.getLogger(__name__)


@contextmanager
def open_dataset(repo: str, folder: Path | None, most_bytes: int) -> Iterator[Feedback]:
    """Yield feedback that is pushed to the dataset `repo`, from a folder that is removed at the end unless given.

    In a given folder it has a place of its own: what visitors gave to this server alone goes nowhere else. The
    last of it is pushed at the end; if that fails, the folder stays and a line in the log names it.

    Raises:
        FeedbackError: the Hub refuses or does not answer, or the folder cannot be written to.
    """
    api = _connect(repo)
    given = folder / repo.replace("/", "--") if folder else None
    place = given or Path(tempfile.mkdtemp(prefix="trashlens-feedback-"))
    pushed = True
    try:
        feedback = Feedback(place, most_bytes=most_bytes)
        scheduler = _start(api, repo, place)
        feedback.dataset, feedback.public = scheduler.repo_id, api.public
        feedback.lock = scheduler.lock
        pushed = False  # also where the last push is broken off
        try:
            yield feedback
        finally:
            pushed = _push_last(scheduler)
    finally:
        if given is None and pushed:
            shutil.rmtree(place, ignore_errors=True)


def _start(api: "_Api", repo: str, folder: Path) -> CommitScheduler:
    """Return what pushes the folder. The dataset is made, and private, where there is none.

    Its history is kept: what was trained on stays there.

    Raises:
        FeedbackError: the Hub refuses or does not answer.
    """
    try:
        api.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
        # Before anything is pushed: visitors are told.
        api.public, api.folder = not api.repo_info(repo, repo_type="dataset").private, folder
        return CommitScheduler(
            repo_id=repo,
            repo_type="dataset",
            private=True,
            folder_path=folder,
            every=EVERY_MIN,
            # Not a photo that was being written when an earlier server was killed, nor what somebody put there.
            allow_patterns=[f"*/{METADATA_FILE}", "*/*/*.jpg"],
            ignore_patterns=["**/.*"],
            hf_api=api,
        )
    except Exception as error:  # HTTP, connection, offline mode: the same to whoever starts the server
        raise FeedbackError(
            f"Feedback cannot go to the dataset {repo}: {_reason(error)}. Check its name, the connection, and "
            "that HF_TOKEN may write there."
        ) from error


class _Api(HfApi):
    """Commits only where as many can read it as the visitors were told."""

    public: bool
    folder: Path
    """Where the feedback lies, for the log."""

    # Its files were listed before: nothing that is given after the dataset was made public is in a commit let by.
    def create_commit(self, repo_id: str, *args: Any, **options: Any) -> Any:
        if self.repo_info(repo_id, repo_type="dataset").private == self.public:
            logger.warning(
                "The dataset %s is no longer %s. Feedback stays in %s; start the server again.",
                repo_id,
                "public" if self.public else "private",
                self.folder,
            )
            raise FeedbackError("the dataset's visibility was changed")
        return super().create_commit(repo_id, *args, **options)


def _push_last(scheduler: CommitScheduler) -> bool:
    """Push what is left and stop; return whether all of it is on the Hub."""
    try:
        scheduler.trigger().result(timeout=LAST_S)
    except (Exception, KeyboardInterrupt) as error:
        where = f"It is in {scheduler.folder_path}."
        logger.warning(
            "The last feedback did not reach %s: %s. %s", scheduler.repo_id, _reason(error), where
        )
        return False
    finally:
        scheduler.stop()
    return True


def _connect(repo: str) -> _Api:
    try:
        token = read_token()
    except ValueError as error:
        raise FeedbackError(str(error)) from error
    if not token:
        raise FeedbackError(ABSENT.format(repo=repo))
    return _Api(token=token, library_name="trashlens")


def _reason(error: BaseException) -> str:
    return first_line(error, hide=hide_token).rstrip(".")
