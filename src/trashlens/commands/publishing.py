"""The commands that publish: models and the Space on the Hub, bundles in W&B's registry."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from trashlens.commands.options import add_models

__all__ = ["promote_command", "publish_command", "pull_command"]


def publish_command(argv: Sequence[str]) -> int:
    """Publish the bundles, or the page with them, on the Hugging Face Hub; the token comes from HF_TOKEN."""
    parser = ArgumentParser(prog="trashlens publish", description=publish_command.__doc__)
    kinds = parser.add_subcommands(dest="kind")
    kinds.add_subcommand(
        "models", _models_parser(), help="the bundles, their checkpoints and a model card"
    )
    options = parser.parse_args(argv).as_dict()
    given = options[options["kind"]]

    from trashlens.hub.models import publish_models

    outcome = publish_models(**given)
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


def _add_switches(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--private", action="store_true", help="where it is created, let nobody else see it"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would change and send nothing")


def pull_command(argv: Sequence[str]) -> int:
    """Fetch bundles from W&B, verify them and put them in place."""
    from trashlens.training.tracking.registry import pull_bundles

    parser = ArgumentParser(prog="trashlens pull", description=pull_command.__doc__)
    parser.add_argument(
        "reference",
        metavar="REFERENCE",
        help="wandb:ENTITY/PROJECT/student-bundle:ALIAS, or wandb:ENTITY/PROJECT:ALIAS for every role's",
    )
    add_models(parser)
    options = parser.parse_args(argv)
    for role, version in pull_bundles(options.reference, options.models).items():
        print(f"{role} <- {version}" if version else f"{role}: no such bundle; the one in place stays.")
    return 0


def promote_command(argv: Sequence[str]) -> int:
    """Put a bundle into production: move W&B's alias to it and have GitHub deploy it."""
    from trashlens.training.tracking.redeploy import find_repository, find_token, request_deploy
    from trashlens.training.tracking.registry import PRODUCTION, promote_bundle

    parser = ArgumentParser(prog="trashlens promote", description=promote_command.__doc__)
    parser.add_argument(
        "reference", metavar="REFERENCE", help="the bundle: wandb:ENTITY/PROJECT/student-bundle:VERSION"
    )
    parser.add_argument(
        "--alias", default=PRODUCTION, help="the alias to move; only `production` is deployed"
    )
    parser.add_argument(
        "--github-repo",
        metavar="OWNER/NAME",
        help="where deploy.yml runs; by default GITHUB_REPOSITORY, or the git remote origin",
    )
    options = parser.parse_args(argv)
    promotion = promote_bundle(options.reference, alias=options.alias)
    print(f"{options.alias} <- {promotion.bundle}")
    if promotion.previous not in (None, promotion.bundle):
        print(f"Before: {promotion.previous}. Promote wandb:{promotion.previous} to go back.")
    if options.alias != PRODUCTION:
        return 0
    repository, token = options.github_repo or find_repository(), find_token()
    if repository is None or token is None:
        missing = "GITHUB_TOKEN is not set" if repository else "--github-repo is not given"
        print(f"Nothing is deployed, since {missing}: start the workflow Deploy on GitHub by hand.")
        return 0
    request_deploy(promotion.bundle, repository=repository, token=token)
    print(f"{repository} deploys it now.")
    return 0
