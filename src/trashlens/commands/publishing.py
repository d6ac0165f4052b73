"""The commands of W&B's registry: fetch a bundle, put one into production, upload what was recorded offline."""

import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, DefaultHelpFormatter

from trashlens.commands.options import add_models

__all__ = ["promote_command", "pull_command", "sync_command"]

WITHOUT_THE_COMMAND = """\
Bundles are linked to W&B's registry `trashlens` (WANDB_REGISTRY); create it
once, with the artifact type `bundle`. This command moves the alias and, with
GITHUB_TOKEN set, starts the workflow Deploy. The same by hand:
  in W&B:     Artifacts > student-bundle > a version > Aliases > production
  on GitHub:  Actions > Deploy > Run workflow
Where W&B may call webhooks, the first click alone does. Once: Automations >
Create automation > An artifact alias is added > production > a webhook to
https://api.github.com/repos/OWNER/NAME/dispatches with a GitHub token and
  {"event_type": "promote",
   "client_payload": {"bundle": "${artifact_version_string}"}}"""


class _Lines(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Leaves the lines of description and epilog as they are written."""


def pull_command(argv: Sequence[str]) -> int:
    """Fetch bundles, or a checkpoint, from W&B, verify them and put them in place."""
    from trashlens.training.tracking.checkpoints import pull_checkpoint
    from trashlens.training.tracking.registry import pull_bundles
    from trashlens.training.tracking.remote import MissingError, Reference

    parser = ArgumentParser(prog="trashlens pull", description=pull_command.__doc__)
    parser.add_argument(
        "reference",
        metavar="REFERENCE",
        help="wandb:ENTITY/PROJECT/student-bundle:ALIAS, wandb:ENTITY/PROJECT:ALIAS for every role's bundle, "
        "or wandb:ENTITY/PROJECT/teacher:ALIAS for a checkpoint",
    )
    add_models(parser)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder for a checkpoint")
    parser.add_argument(
        "--if-any", action="store_true", help="where W&B has none, leave what is in place, and agree"
    )
    options = parser.parse_args(argv)
    wanted = Reference.parse(options.reference)
    if wanted.is_checkpoint:
        (role,) = wanted.roles
        print(f"{options.runs / role} <- {pull_checkpoint(wanted, options.runs)}")
        return 0
    try:
        pulled = pull_bundles(wanted, options.models)
    except MissingError as error:
        if not options.if_any:
            raise
        print(f"{error} What is in place stays.")
        return 0
    for role, version in pulled.items():
        print(f"{role} <- {version}" if version else f"{role}: no such bundle; the one in place stays.")
    return 0


def promote_command(argv: Sequence[str]) -> int:
    """Put a bundle into production: move W&B's alias to it and have GitHub deploy it."""
    from trashlens.training.tracking.redeploy import find_repository, find_token, request_deploy
    from trashlens.training.tracking.registry import PRODUCTION, promote_bundle
    from trashlens.training.tracking.remote import Reference

    parser = ArgumentParser(
        prog="trashlens promote",
        description=promote_command.__doc__,
        epilog=WITHOUT_THE_COMMAND,
        formatter_class=_Lines,
    )
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
    promotion = promote_bundle(Reference.parse(options.reference), alias=options.alias)
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


def sync_command(argv: Sequence[str]) -> int:
    """Upload runs recorded without W&B's server, and add their lineage and registry links."""
    from trashlens.training.tracking.listing import format_lineage
    from trashlens.training.tracking.records import find_runs
    from trashlens.training.tracking.sync import sync_runs

    parser = ArgumentParser(prog="trashlens sync", description=sync_command.__doc__)
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="RUN_FOLDER",
        help="what training wrote; by default all of runs/",
    )
    parser.add_argument(
        "--list", action="store_true", help="print the lineage instead, and ask no server"
    )
    options = parser.parse_args(argv)
    folders = options.folders or [Path("runs")]
    if options.list:
        runs = find_runs(folders)
        problems = [run.damage for run in runs if run.damage]
        print(format_lineage(runs) or "No run is recorded there.")
    else:
        runs, problems = sync_runs(folders)
        print(f"{len(runs)} runs synced." if runs or problems else "Nothing is left to sync.")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 2 if problems else 0
