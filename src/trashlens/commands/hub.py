"""The commands of the Hugging Face Hub: publish the bundles and the page, train on its machines."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from trashlens.commands.options import add_models, construct

if TYPE_CHECKING:
    from trashlens.hub.repository import Outcome

__all__ = ["launch_command", "publish_command"]


def publish_command(argv: Sequence[str]) -> int:
    """Publish the bundles, or the page with them, on the Hugging Face Hub; the token comes from HF_TOKEN."""
    parser = ArgumentParser(prog="trashlens publish", description=publish_command.__doc__)
    kinds = parser.add_subcommands(dest="kind")
    kinds.add_subcommand(
        "models", _models_parser(), help="the bundles, their checkpoints and a model card"
    )
    kinds.add_subcommand("space", _space_parser(), help="the page, which is checked before and after")
    options = parser.parse_args(argv).as_dict()
    given = options[options["kind"]]
    outcome = {"models": _publish_models, "space": _publish_space}[options["kind"]](given)
    for note in outcome.notes:
        print(note)
    print(outcome.changes)
    if given["dry_run"]:
        print("This was a dry run: nothing was sent.")
    elif outcome.changes:
        print(f"Published: {outcome.url}")
    return 0


def _models_parser() -> ArgumentParser:
    parser = ArgumentParser(description="Publish the three bundles, their checkpoints and a model card.")
    parser.add_argument("repo", metavar="USER/REPO", help="the model repository; created if need be")
    add_models(parser)
    parser.add_argument(
        "--checkpoints",
        type=Path,
        default=Path("runs"),
        help="folder of the training runs, whose checkpoints are published with their bundles",
    )
    parser.add_argument("--space", metavar="USER/SPACE", help="the Space that the card shall name")
    _add_switches(parser)
    return parser


def _space_parser() -> ArgumentParser:
    from trashlens.hub.space import DeployConfig

    parser = ArgumentParser(
        description="Publish the page, and go back to the version before if it fails."
    )
    parser.add_argument("space", metavar="USER/SPACE", help="the Space; created if need be")
    add_models(parser)
    parser.add_argument("--model-repo", metavar="USER/REPO", help="the model repository it shall name")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="the checkout with app.py and Pipfile.lock"
    )
    parser.add_class_arguments(DeployConfig, as_group=False)
    _add_switches(parser)
    return parser


def _add_switches(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--private", action="store_true", help="where it is created, let nobody else see it"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would change and send nothing")


def _publish_models(given: dict[str, Any]) -> "Outcome":
    from trashlens.hub.checkout import find_source
    from trashlens.hub.models import publish_models

    return publish_models(**given, source=find_source(Path()))


def _publish_space(given: dict[str, Any]) -> "Outcome":
    from trashlens.hub.checkout import Checkout
    from trashlens.hub.space import DeployConfig, publish_space

    checkout = Checkout(root=given.pop("root"))
    settings = {name: given.pop(name) for name in ("timeout_s", "answer_s", "poll_s")}
    return publish_space(**given, checkout=checkout, config=construct(DeployConfig, settings))


def launch_command(argv: Sequence[str]) -> int:
    """Train by a recipe on Hugging Face Jobs; the token comes from HF_TOKEN."""
    from trashlens.hub.checkout import Checkout
    from trashlens.hub.jobs import JobConfig, launch_training

    parser = ArgumentParser(
        prog="trashlens launch",
        usage="trashlens launch RECIPE [OPTIONS] [-- OPTIONS OF TRAIN]",
        description=launch_command.__doc__,
    )
    parser.add_argument(
        "recipe", metavar="RECIPE", help="a shipped recipe, or a YAML file in the checkout"
    )
    parser.add_argument("--root", type=Path, default=Path(), help="the checkout whose commit is trained")
    parser.add_class_arguments(JobConfig, as_group=False)
    # What follows `--` is for `trashlens train` on the other machine.
    end = argv.index("--") if "--" in argv else len(argv)
    given = parser.parse_args(argv[:end]).as_dict()
    recipe, checkout = given.pop("recipe"), Checkout(root=given.pop("root"))
    config = construct(JobConfig, given)
    print(launch_training(recipe, checkout=checkout, options=argv[end + 1 :], config=config))
    return 0
