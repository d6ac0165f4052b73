"""A repository on the Hub: its head, one commit that makes it hold given files, and one that undoes it."""

import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Literal

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
)
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile

from trashlens.errors import HubError
from trashlens.hub.changes import Changes, Files, Head, compare
from trashlens.hub.client import explain, retry

__all__ = ["Obsolete", "Outcome", "Repository", "check_name"]

Obsolete = Callable[[Head], Collection[str]]
"""Names the files of a head that shall go."""
STALE = (409, 412)
"""What the Hub answers when someone else has committed since the parent was read."""


def check_name(name: str) -> None:
    """Raise HubError unless `name` has the form `user/name`."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise HubError(f"{name!r} is no repository of the Hub. Write user/name.")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of an attempt to publish."""

    url: str
    """The repository, or its new commit, for people."""
    changes: Changes
    """In comparison with `before`."""
    before: Head | None
    """The head that was found, or created; None where a preview found none."""
    commit: str | None
    """The head now; None only where nothing exists yet."""
    notes: tuple[str, ...] = ()
    """What the user should know besides, a sentence each."""

    def with_notes(self, *notes: str) -> "Outcome":
        """Return the same with more notes."""
        return replace(self, notes=(*self.notes, *notes))


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A model repository or a Space, reached through a client."""

    api: HfApi
    name: str
    """`user/name`."""
    kind: Literal["model", "space"]

    def __post_init__(self) -> None:
        check_name(self.name)

    @property
    def url(self) -> str:
        """Its address for people."""
        return f"{self.api.endpoint}/{'spaces/' if self.kind == 'space' else ''}{self.name}"

    def read(self) -> Head | None:
        """Return the head, or None where there is no such repository (or none this token may see).

        Raises:
            HubError: the Hub cannot be reached or refuses.
        """
        with explain(f"read {self.name}"):
            try:
                info = retry(lambda: self.api.repo_info(self.name, repo_type=self.kind))
            except RepositoryNotFoundError:
                return None
            commit = str(info.sha)
            entries = retry(
                lambda: list(
                    self.api.list_repo_tree(
                        self.name, recursive=True, revision=commit, repo_type=self.kind
                    )
                )
            )
        return Head(commit=commit, files={e.path: e for e in entries if isinstance(e, RepoFile)})

    def create(self, *, private: bool) -> None:
        """Create the repository, if it is not there.

        Raises:
            HubError: the Hub cannot be reached or refuses.
        """
        sdk = "gradio" if self.kind == "space" else None
        with explain(f"create {self.name}"):
            retry(
                lambda: self.api.create_repo(
                    self.name, repo_type=self.kind, private=private, exist_ok=True, space_sdk=sdk
                )
            )

    def preview(self, files: Files, *, obsolete: Obsolete) -> Outcome:
        """Return what `publish` would change, and change nothing; without an answer all files count as new."""
        try:
            head = self.read()
        except HubError as error:
            note = f"{error} Below, everything counts as new."
            return Outcome(
                url=self.url, changes=compare(files, None), before=None, commit=None, notes=(note,)
            )
        if head is None:
            note = f"{self.name} does not exist, or HF_TOKEN may not see it. It would be created."
            return Outcome(
                url=self.url, changes=compare(files, None), before=None, commit=None, notes=(note,)
            )
        changes = compare(files, head, obsolete(head))
        return Outcome(url=self.url, changes=changes, before=head, commit=head.commit)

    def publish(
        self,
        files: Files,
        *,
        message: str,
        obsolete: Obsolete,
        private: bool = False,
    ) -> Outcome:
        """Make the repository hold `files`, without what `obsolete` names, in one commit; or none if it does.

        Where someone else commits meanwhile, the comparison is made once more with their commit.

        Raises:
            HubError: the Hub cannot be reached or refuses, or others keep committing. Nothing has changed then.
        """
        head = self.read()
        if head is None:
            self.create(private=private)
            head = self._read_existing()
        before, sent = head, None
        for _ in range(2):
            changes = compare(files, head, obsolete(head))
            if not changes:
                # The answer to a commit can get lost: then what is there now is what the first try sent.
                return Outcome(url=self.url, changes=sent or changes, before=before, commit=head.commit)
            commit = self._commit(files, changes, message=message, parent=head.commit)
            if commit is not None:
                url = f"{self.url}/tree/{commit}"
                return Outcome(url=url, changes=changes, before=head, commit=commit)
            before, sent, head = head, changes, self._read_existing()
        raise HubError(f"Others keep committing to {self.name}; nothing was changed. Try again later.")

    def restore(self, head: Head, *, undo: Changes, parent: str, message: str) -> str:
        """Undo the changes with one commit on top of `parent`; return its hash.

        Raises:
            HubError: the Hub cannot be reached or refuses, or someone else has committed since.
        """
        copies = [
            CommitOperationCopy(path, path, src_revision=head.commit)
            for path in (*undo.changed, *undo.deleted)
        ]
        deletions = [CommitOperationDelete(path) for path in undo.added]
        commit = self._send([*copies, *deletions], message=message, parent=parent)
        if commit is None:
            raise HubError(f"someone else has committed to {self.name} since")
        return commit

    def _read_existing(self) -> Head:
        head = self.read()
        if head is None:
            raise HubError(f"{self.name} cannot be found, although the Hub says that it is there.")
        return head

    def _commit(self, files: Files, changes: Changes, *, message: str, parent: str) -> str | None:
        additions = [
            CommitOperationAdd(path, files[path]) for path in (*changes.added, *changes.changed)
        ]
        deletions = [CommitOperationDelete(path) for path in changes.deleted]
        return self._send([*additions, *deletions], message=message, parent=parent)

    def _send(
        self,
        operations: list[CommitOperationAdd | CommitOperationCopy | CommitOperationDelete],
        *,
        message: str,
        parent: str,
    ) -> str | None:
        """Commit on top of `parent`; return the hash, or None where `parent` is no longer the head."""
        with explain(f"commit to {self.name}"):
            try:
                info = retry(
                    lambda: self.api.create_commit(
                        self.name,
                        operations,
                        commit_message=message,
                        commit_description=_name_run(),
                        repo_type=self.kind,
                        parent_commit=parent,
                    )
                )
            except HfHubHTTPError as error:
                if error.response.status_code in STALE:
                    return None
                raise
        return str(info.oid)


def _name_run() -> str | None:
    """Return the address of the GitHub run that this is a part of, if it is."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (os.environ.get(name) for name in names)
    return f"{server}/{repository}/actions/runs/{run}" if run else None
