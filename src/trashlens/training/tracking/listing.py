"""The lineage of recorded runs as a tree for people, read from their files alone: no server is asked."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from trashlens.training.tracking.records import RecordedRun

__all__ = ["format_lineage"]

Version = Mapping[str, Any]
Key = tuple[str, str]
Children = Mapping[Key, Mapping[str, list[Version]]]
"""By version: what was made from it, by the id of the run that made it."""

UNKNOWN: Version = {"name": "(inputs not recorded)", "type": None, "alias": None, "sha256": None}


def format_lineage(runs: Sequence[RecordedRun]) -> str:
    """Return the tree: data, the runs that used it, what they made, and so on.

    What was made from several versions hangs below the last one it names (a student below its teacher), and
    the line of its run names the others.
    """
    made = [(run, version) for run in runs for version in run.given]
    # A later version may refer to this one by any of its aliases.
    known = {(v["name"], alias): _key(v) for _, v in made for alias in (v["alias"], *v["aliases"])}
    roots: dict[Key, Version] = {_key(v): v for run in runs for v in run.used}
    children: dict[Key, dict[str, list[Version]]] = defaultdict(lambda: defaultdict(list))
    for run, version in made:
        origin: Version = [UNKNOWN, *version["inputs"]][-1]
        parent = known.get(_key(origin))
        if parent is None:
            parent = _key(origin)
            roots.setdefault(parent, origin)
        if version not in children[parent][run.id]:  # a run that was continued has several files
            children[parent][run.id].append(version)
    described = {run.id: _describe(run) for run in runs}
    lines = []
    for key, root in roots.items():
        lines += [_name(root), *_runs_below(key, children, described)]
    return "\n".join(lines)


def _runs_below(key: Key, children: Children, described: Mapping[str, str]) -> list[str]:
    """Return the lines of the runs that used a version, and of what they made."""
    entries = []
    for run_id, versions in children.get(key, {}).items():
        others = [":".join(_key(other)) for other in versions[0]["inputs"][:-1]]
        line = described[run_id] + "".join(f", with {other}" for other in others)
        below = [(_name(v), _runs_below(_key(v), children, described)) for v in versions]
        entries.append((line, _branch(below)))
    return _branch(entries)


def _branch(entries: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Return lines, each with the lines below it, as branches of a tree."""
    lines = []
    for number, (line, below) in enumerate(entries, start=1):
        first, rest = ("└─ ", "   ") if number == len(entries) else ("├─ ", "│  ")
        lines += [first + line, *(rest + other for other in below)]
    return lines


def _describe(run: RecordedRun) -> str:
    commit = (run.config.get("environment") or {}).get("commit")
    code = f", code {commit[:7]}{'+' if commit.endswith('-dirty') else ''}" if commit else ""
    return f"run {run.id} {run.name} ({run.job_type or 'train'}{code})"


def _name(version: Version) -> str:
    """Return `name:alias (type, first 12 digits of the SHA-256)`."""
    if version["type"] is None:
        return str(version["name"])
    sha256 = f", sha256 {version['sha256'][:12]}" if version["sha256"] else ""
    return f"{version['name']}:{version['alias']} ({version['type']}{sha256})"


def _key(version: Version) -> Key:
    return version["name"], version["alias"]
