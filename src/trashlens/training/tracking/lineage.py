"""Tell W&B's server what a run used, and link its bundles to the registry: what only works online."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import wandb

from trashlens.errors import TrackingError, first_line
from trashlens.training.tracking.remote import find_version

__all__ = ["add_lineage", "registry_path"]


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
            if version["type"] == "bundle":
                artifact.link(registry_path(version["name"]))
        except (TrackingError, wandb.Error, ValueError) as error:
            problems.append(f"Run {run.id}: {first_line(error)}")
    for reference in _distinct_inputs(given):
        try:
            run.use_artifact(find_version(api, _path(place, reference), reference["type"]))
        except (TrackingError, wandb.Error, ValueError) as error:
            problems.append(f"Run {run.id} used what is not in its place: {first_line(error)}")
    return problems


def registry_path(name: str) -> str:
    """Return the registry's collection for a bundle artifact, `<role>-bundle`."""
    registry = os.environ.get("WANDB_REGISTRY", "model")
    return f"wandb-registry-{registry}/trashlens-{name.removesuffix('-bundle')}"


def _path(place: str, version: Mapping[str, Any]) -> str:
    return f"{place}/{version['name']}:{version['alias']}"


def _distinct_inputs(given: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    inputs = [reference for version in given for reference in version["inputs"]]
    return list({(i["name"], i["alias"]): i for i in inputs}.values())
