"""Training on Hugging Face Jobs: a machine there clones the current commit, trains, exports and measures."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trashlens.errors import HubError, RecipeError, first_line
from trashlens.hub.checkout import Checkout, check_url
from trashlens.hub.client import connect, explain, retry

__all__ = ["JobConfig", "launch_training"]

IMAGE = "python:3.11"
# What varies comes as arguments, so that the shell never reads it as code.
SCRIPT = """\
set -euo pipefail
url=$1 commit=$2 teacher=$3 recipe=$4 output=$5 role=$6
shift 6
git clone --quiet "$url" trashlens
cd trashlens
git checkout --quiet "$commit"
pip install --quiet pipenv
pipenv sync --categories "packages train"
pipenv run trashlens data
case $teacher in
  "") ;;
  wandb:*) pipenv run trashlens pull "$teacher" ;;
  *) pipenv run trashlens train "$teacher" ;;
esac
pipenv run trashlens train "$recipe" "$@"
pipenv run trashlens export "$output"
pipenv run trashlens evaluate --write --only "$role"
"""
BUSY = (429, 503)
"""Answers that mean no job was started; after any other, a second try could start two."""


@dataclass(frozen=True, kw_only=True)
class JobConfig:
    """Which machine trains, for whom and how long at most."""

    flavor: str = "t4-small"
    """The hardware, as `hf jobs hardware` lists it."""
    timeout: str = "3h"
    """After this the machine is switched off: a number and s, m, h or d."""
    namespace: str | None = None
    """The user or organisation that pays; by default the token's owner."""
    repo_url: str | None = None
    """Where the job clones from; by default the git remote `origin`. It needs no credentials."""
    teacher: str | None = None
    """A student's teacher in W&B, wandb:ENTITY/PROJECT/teacher:ALIAS; without it, the job trains one first."""

    def __post_init__(self) -> None:
        number, unit = self.timeout[:-1], self.timeout[-1:]
        if not number.replace(".", "", 1).isdigit() or not float(number) or unit not in tuple("smhd"):
            raise ValueError(
                f"timeout is a number and s, m, h or d, for instance 90m, not {self.timeout}."
            )


def launch_training(
    recipe: str, *, checkout: Checkout, options: Sequence[str] = (), config: JobConfig = JobConfig()
) -> str:
    """Start a job that trains by a recipe of the checkout with the given options; return its address.

    Its results are what it records in W&B, so WANDB_API_KEY must be set; the job gets it as a secret, and
    nothing else that is secret.

    Raises:
        RecipeError: there is no such recipe, or it needs a teacher that is none.
        HubError: there is no token or key, the commit cannot be cloned, or the Hub refuses.
    """
    key = os.environ.get("WANDB_API_KEY", "").strip()
    if not key:
        raise HubError(
            "WANDB_API_KEY is not set. A job's machine is deleted at its end; W&B keeps the results."
        )
    if any(option.split("=")[0] == "--output" for option in options):
        raise HubError("A job exports what its recipe writes. Leave out --output.")
    api = connect()
    name, record = _read_recipe(recipe, checkout)
    commit = checkout.find_pushed_commit()
    url = check_url(config.repo_url) if config.repo_url else checkout.find_url()
    teacher = config.teacher or _find_teacher(record, checkout)
    arguments = [url, commit, teacher, name, record["output"], record["role"], *options]
    environment = {
        key: os.environ[key] for key in ("WANDB_ENTITY", "WANDB_PROJECT") if os.environ.get(key)
    }
    with explain("start the job"):
        job = retry(
            lambda: api.run_job(
                image=IMAGE,
                command=["bash", "-c", SCRIPT, "trashlens", *arguments],
                env=environment,
                secrets={"WANDB_API_KEY": key},
                flavor=config.flavor,
                timeout=config.timeout,
                namespace=config.namespace,
                name=f"trashlens-{Path(name).stem}",
            ),
            after=BUSY,
        )
    return job.url


def _read_recipe(recipe: str, checkout: Checkout) -> tuple[str, dict[str, Any]]:
    """Return a recipe as the job will name it, and its settings; without loading the training wing."""
    shipped = checkout.package / "training" / "recipes" / f"{recipe}.yaml"
    path = shipped if shipped.is_file() else checkout.root / recipe
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in shipped.parent.glob("*.yaml")))
        raise RecipeError(
            f"There is no recipe {recipe}. Give one of {names}, or a YAML file of the checkout."
        )
    if not path.resolve().is_relative_to(checkout.root.resolve()):
        raise RecipeError(f"{recipe} lies outside the checkout, so a job would not have it.")
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RecipeError(f"{recipe} is no YAML: {first_line(error)}.") from error
    if not isinstance(record, dict) or not {"role", "output"} <= record.keys():
        raise RecipeError(f"{recipe} is no recipe: it has no role and output.")
    return recipe, record


def _find_teacher(record: dict[str, Any], checkout: Checkout) -> str:
    """Return the shipped recipe that trains a student's teacher; for other roles the empty string."""
    if record["role"] != "student":
        return ""
    try:
        folder = Path(record["objective"]["distill"]["teacher"])
    except (KeyError, TypeError) as error:
        raise RecipeError(
            "A student's recipe names its teacher, objective.distill.teacher; this one does not."
        ) from error
    name, teacher = _read_recipe(folder.name, checkout)
    if Path(teacher["output"]) != folder:
        raise RecipeError(
            f"No shipped recipe writes {folder}. Give the student's teacher with --teacher."
        )
    return name
