"""Ask GitHub Actions to deploy a bundle: the workflow deploy.yml listens for `promote`."""

import os
import re
import subprocess

from trashlens.errors import TrackingError
from trashlens.training.tracking.web import send

__all__ = ["find_repository", "find_token", "request_deploy"]

EVENT = "promote"


def find_repository() -> str | None:
    """Return `owner/name` of the GitHub repository: from GITHUB_REPOSITORY, or from the git remote."""
    if named := os.environ.get("GITHUB_REPOSITORY"):
        return named
    command = ["git", "remote", "get-url", "origin"]
    try:
        remote = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:  # there is no git here
        return None
    found = re.search(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$", remote)
    return found[1] if found else None


def find_token() -> str | None:
    """Return GitHub's token from the environment."""
    token = os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN") or ""
    return token.strip() or None


def request_deploy(bundle: str, *, repository: str, token: str) -> None:
    """Tell the repository's workflows that `bundle`, entity/project/artifact:version, was promoted.

    Raises:
        TrackingError: the repository's name is none, or GitHub refused or did not answer.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise TrackingError(f"{repository!r} is not a GitHub repository. Write owner/name.")
    api = os.environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
    response = send(
        "POST",
        f"{api}/repos/{repository}/dispatches",
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "X-GitHub-Api-Version": "2022-11-28",
        },
        json={"event_type": EVENT, "client_payload": {"bundle": bundle}},
    )
    if not response.is_success:
        raise TrackingError(
            f"GitHub refused to deploy (HTTP {response.status_code}). "
            f"The token must be allowed to write the contents of {repository}."
        )
