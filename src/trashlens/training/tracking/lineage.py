"""Tell W&B's server what a run used, and link its bundles to the registry: what only works online."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import wandb

from trashlens.errors import TrackingError, first_line
from trashlens.training.tracking.remote import REGISTRY_PREFIX, explain, find_version

__all__ = ["add_lineage", "registry_path"]

REGISTRY = "trashlens"
"""One of our own, to be created once: W&B's core registry of models accepts no bundles."""


def add_lineage(
    api: wandb.Api, address: Mapping[str, Any], given: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Record the inputs of what a run gave, and link its bundles; return what could not be done, as sentences.

    `address` names the run by entity, project and id; `given` are versions by `name`, `type`, `alias` and
    `inputs`. Doing it again changes nothing.

    Raises:
        Exception: whatever W&B raises when the run or the server cannot be reached.
    """
    place = f"{address['entity']}/{address['project']}"
    run = api.run(f"{place}/{address['id']}")
    problems = []
    for version in given:
        try:
            artifact = find_version(api, _path(place, version), version["type"])
        except (TrackingError, wandb.Error, ValueError) as error:
            problems.append(f"Run {run.id}: {first_line(error)}")
            continue
        if version["type"] == "bundle":
            problems += _link(artifact, registry_path(version["name"]))
    for reference in _distinct_inputs(given):
        try:
            run.use_artifact(find_version(api, _path(place, reference), reference["type"]))
        except (TrackingError, wandb.Error, ValueError) as error:
            problems.append(f"Run {run.id} used what is not in its place: {first_line(error)}")
    return problems


def registry_path(name: str) -> str:
    """Return the registry's collection for a bundle artifact, `<role>-bundle`."""
    registry = os.environ.get("WANDB_REGISTRY") or REGISTRY
    return f"{REGISTRY_PREFIX}{registry}/trashlens-{name.removesuffix('-bundle')}"


def _link(artifact: wandb.Artifact, path: str) -> list[str]:
    """Link a bundle to the registry; return what hindered it, as a sentence."""
    try:
        artifact.link(path)
    except (wandb.Error, ValueError) as error:
        registry = path.partition("/")[0].removeprefix(REGISTRY_PREFIX)
        return [
            f"{artifact.name} is uploaded, but W&B did not link it to the registry {registry} "
            f"({explain(error)}). Your organisation on W&B must have a registry of this name that accepts "
            "the type `bundle`; WANDB_REGISTRY names another one."
        ]
    return []


def _path(place: str, version: Mapping[str, Any]) -> str:
    return f"{place}/{version['name']}:{version['alias']}"


def _distinct_inputs(given: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    inputs = [reference for version in given for reference in version["inputs"]]
    return list({(i["name"], i["alias"]): i for i in inputs}.values())
