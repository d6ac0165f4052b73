"""Where feedback goes: nowhere, into a folder, or on to a dataset on the Hugging Face Hub."""

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import CommitScheduler, HfApi

from trashlens.errors import FeedbackError, first_line
from trashlens.server.feedback import Feedback
from trashlens.server.settings import Settings

__all__ = ["EVERY_MIN", "open_feedback"]

EVERY_MIN = 5
"""How often what is new is pushed, minutes; nothing new makes no commit."""
ABSENT = (
    "There is no token for the dataset {repo}. Create one that may write at "
    "https://huggingface.co/settings/tokens and set HF_TOKEN to it."
)
DAMAGED = "HF_TOKEN has characters that no token has. Copy it again."

logger = logging.getLogger(__name__)


@contextmanager
def open_feedback(settings: Settings) -> Iterator[Feedback | None]:
    """Yield what keeps feedback as the settings say, or None where none is asked for.

    Raises:
        FeedbackError: it cannot be kept there; one sentence.
    """
    most_bytes = settings.feedback_mb * 2**20
    if settings.feedback_repo is not None:
        with _open_dataset(settings.feedback_repo, settings.feedback, most_bytes) as feedback:
            yield feedback
    elif settings.feedback is not None:
        yield Feedback(settings.feedback, most_bytes=most_bytes)
    else:
        yield None


@contextmanager
def _open_dataset(repo: str, folder: Path | None, most_bytes: int) -> Iterator[Feedback]:
    """Yield feedback whose folder, by default one that is removed at the end, is pushed to the dataset `repo`.

    The last of it is pushed at the end; if that fails, the folder stays and a line in the log names it.
    """
    api = _connect(repo)
    place = folder or Path(tempfile.mkdtemp(prefix="trashlens-feedback-"))
    pushed = True
    try:
        feedback = Feedback(place, most_bytes=most_bytes)
        scheduler, public = _start(api, repo, place)
        feedback.dataset, feedback.public, feedback.lock = scheduler.repo_id, public, scheduler.lock
        pushed = False  # also where the last push is broken off
        try:
            yield feedback
        finally:
            pushed = _push_last(scheduler)
    finally:
        if folder is None and pushed:
            shutil.rmtree(place, ignore_errors=True)


def _start(api: HfApi, repo: str, folder: Path) -> tuple[CommitScheduler, bool]:
    """Return what pushes the folder, and whether everyone can read the dataset.

    The dataset is made, and private, where there is none. Its history is kept: what was trained on stays there.

    Raises:
        FeedbackError: the Hub refuses or does not answer.
    """
    try:
        scheduler = CommitScheduler(
            repo_id=repo,
            repo_type="dataset",
            private=True,
            folder_path=folder,
            every=EVERY_MIN,
            # A photo that was being written when an earlier server was killed.
            ignore_patterns=["**/.*"],
            hf_api=api,
        )
        return scheduler, not api.repo_info(repo, repo_type="dataset").private
    except Exception as error:  # HTTP, connection, offline mode: the same to whoever starts the server
        raise FeedbackError(
            f"Feedback cannot go to the dataset {repo}: {_reason(error)}. Check its name, the connection, and "
            "that HF_TOKEN may write there."
        ) from error


def _push_last(scheduler: CommitScheduler) -> bool:
    """Push what is left and stop; return whether all of it is on the Hub."""
    try:
        scheduler.trigger().result()
    except Exception as error:
        where = f"It is in {scheduler.folder_path}."
        logger.warning(
            "The last feedback did not reach %s: %s. %s", scheduler.repo_id, _reason(error), where
        )
        return False
    finally:
        scheduler.stop()
    return True


def _connect(repo: str) -> HfApi:
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token:
        raise FeedbackError(ABSENT.format(repo=repo))
    # Such a token fails only deep in the HTTP client, whose message would spell it out.
    if not re.fullmatch(r"[!-~]+", token):
        raise FeedbackError(DAMAGED)
    return HfApi(token=token, library_name="trashlens")


def _reason(error: BaseException) -> str:
    """Return why a call failed, without the token, should the Hub or a library have repeated it."""
    token = os.environ.get("HF_TOKEN", "").strip()
    return first_line(error).rstrip(".").replace(token, "***")
