"""The source tree that is published or trained: where it is, and which commit of which repository."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from trashlens.errors import HubError

__all__ = ["Checkout", "check_url", "find_source"]


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A working tree of this project."""

    root: Path
    """The folder of app.py and Pipfile.lock."""

    def __post_init__(self) -> None:
        for name in ("app.py", "Pipfile.lock", "src/trashlens"):
            if not (self.root / name).exists():
                raise HubError(
                    f"{self.root.absolute()} has no {name}. Run this in a checkout of the project, or name it "
                    "with --root."
                )

    @property
    def package(self) -> Path:
        """The package's folder."""
        return self.root / "src" / "trashlens"

    def find_commit(self) -> str | None:
        """Return the hash of git's current commit, or None outside git."""
        return self._git("rev-parse", "HEAD")

    def find_pushed_commit(self) -> str:
        """Return the hash of git's current commit, which others can fetch.

        Raises:
            HubError: there is no git, the tree has changes, or no remote branch holds the commit.
        """
        commit = self.find_commit()
        if commit is None:
            raise HubError(f"{self.root.absolute()} is not a git repository with a commit.")
        if self._git("status", "--porcelain", "--untracked-files=no"):
            raise HubError(
                "There are changes that are not committed, so a job would not run them. Commit first."
            )
        if not self._git("branch", "--remotes", "--contains", commit):
            raise HubError(
                f"The commit {commit[:12]} is not pushed, so a job cannot fetch it. Push first."
            )
        return commit

    def find_url(self) -> str:
        """Return the https address of the git remote `origin`, as anyone could clone it.

        Raises:
            HubError: there is no remote, or its address is local or has credentials in it.
        """
        remote = self._git("remote", "get-url", "origin") or ""
        if remote.startswith("git@"):
            remote = "https://" + remote.removeprefix("git@").replace(":", "/", 1)
        return check_url(remote)

    def _git(self, *arguments: str) -> str | None:
        """Return what git prints, or None where it fails or there is no git."""
        try:
            result = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True)
        except OSError:
            return None
        return result.stdout.strip() if result.returncode == 0 else None


def find_source(root: Path) -> str | None:
    """Return where the code in `root` is published, an https address without `.git`, or None.

    It is the git remote's, or that of the repository whose GitHub workflow this is.
    """
    try:
        url = Checkout(root=root).find_url()
    except HubError:
        server, repository = (os.environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY"))
        url = f"{server}/{repository}" if server and repository else ""
    return url.removesuffix("/").removesuffix(".git") or None


def check_url(url: str) -> str:
    """Return the address, if a job may see it and can clone from it.

    Raises:
        HubError: it is not https, or has credentials in it; the message does not repeat it.
    """
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query:
        raise HubError(
            "The address of the git repository has credentials in it. Give another with --repo_url."
        )
    if parts.scheme != "https" or not parts.netloc:
        raise HubError(
            "A job cannot clone without an https address. Give the repository's with --repo_url."
        )
    return url
