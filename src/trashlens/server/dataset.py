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

__all__ = ["EVERY_MIN", "open_dataset", "open_feedback"]

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
        folder = settings.feedback or Path(tempfile.mkdtemp(prefix="trashlens-feedback-"))
        with open_dataset(settings.feedback_repo, folder, most_bytes=most_bytes) as feedback:
            yield feedback
        if settings.feedback is None:
            shutil.rmtree(folder, ignore_errors=True)
    elif settings.feedback is not None:
        yield Feedback(settings.feedback, most_bytes=most_bytes)
    else:
        yield None


@contextmanager
def open_dataset(repo: str, folder: Path, *, most_bytes: int) -> Iterator[Feedback]:
    """Yield feedback whose `folder` is pushed to the dataset `repo`, made private where there is none yet.

    History is kept, since training names a commit; each start writes a folder of its own, so that a server that
    lost its disk overwrites nothing. At the end the last of it is pushed; if that fails, a line says where it is.

    Raises:
        FeedbackError: there is no token, or the Hub refuses; one sentence.
    """
    api = _connect(repo)
    feedback = Feedback(folder, most_bytes=most_bytes)
    try:
        scheduler = CommitScheduler(
            repo_id=repo,
            repo_type="dataset",
            private=True,
            folder_path=folder,
            every=EVERY_MIN,
            ignore_patterns=[
                "**/.*"
            ],  # a photo that was being written when an earlier server was killed
            hf_api=api,
        )
        public = not api.repo_info(repo, repo_type="dataset").private
    except Exception as error:  # HTTP, connection, offline mode: the same to whoever starts the server
        raise FeedbackError(
            f"Feedback cannot go to the dataset {repo}: {_reason(error)}. Check its name, the connection, and "
            "that HF_TOKEN may write there."
        ) from error
    feedback.dataset, feedback.public, feedback.lock = scheduler.repo_id, public, scheduler.lock
    try:
        yield feedback
    finally:
        try:
            scheduler.trigger().result()
        except Exception as error:
            logger.warning(
                "The last feedback did not reach %s: %s. It is in %s.", repo, _reason(error), folder
            )
        scheduler.stop()


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
