"""Tell W&B's server what a run used, and link its bundles to the registry: what only works online."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import wandb

__all__ = ["add_lineage", "registry_path"]

TIMEOUT_SEC = 20
"""Of each question to the server."""


def add_lineage(address: Mapping[str, Any], given: Sequence[Mapping[str, Any]]) -> list[str]:
    """Record the inputs of what a run gave, and link its bundles; return what could not be done, as sentences.

    `address` names the run by entity, project and id; `given` are artifacts as `name`, `type`, `alias`,
    `inputs`. Doing it again changes nothing.

    Raises:
        Exception: whatever W&B raises when the run or the server cannot be reached.
    """
    api = wandb.Api(timeout=TIMEOUT_SEC)
    place = f"{address['entity']}/{address['project']}"
    run = api.run(f"{place}/{address['id']}")
    missing = []
    for reference in _distinct(given):
        name = f"{reference['name']}:{reference['alias']}"
        try:
            run.use_artifact(api.artifact(f"{place}/{name}", type=reference["type"]))
        except (ValueError, wandb.errors.CommError):
            missing.append(f"{name} is not in {place}, so run {address['id']} cannot be tied to it.")
    for version in given:
        if version["type"] == "bundle":
            path = registry_path(version["name"])
            try:
                api.artifact(f"{place}/{version['name']}:{version['alias']}", type="bundle").link(path)
            except (ValueError, wandb.errors.CommError) as error:
                missing.append(f"{version['name']} could not be linked to {path} ({error}).")
    return missing


def registry_path(name: str) -> str:
    """Return the registry's collection for a bundle artifact, `<role>-bundle`."""
    registry = os.environ.get("WANDB_REGISTRY", "model")
    return f"wandb-registry-{registry}/trashlens-{name.removesuffix('-bundle')}"


def _distinct(given: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return every input once, in order."""
    inputs = [reference for version in given for reference in version["inputs"]]
    return list({(i["name"], i["alias"]): i for i in inputs}.values())
