"""The commands by name; each is a function from its arguments to an exit code.

Only the commands that train load the training wing, and only when they run.
"""

from collections.abc import Callable, Sequence

from trashlens.commands.benchmark import benchmark_command
from trashlens.commands.cross import cross_command
from trashlens.commands.groups import groups_command
from trashlens.commands.hub import launch_command, publish_command
from trashlens.commands.predict import predict_command
from trashlens.commands.pruning import compression_command, prune_command
from trashlens.commands.publishing import promote_command, pull_command, sync_command
from trashlens.commands.robustness import robustness_command
from trashlens.commands.search import search_command
from trashlens.commands.study import study_command
from trashlens.commands.training import data_command, evaluate_command, export_command, train_command

__all__ = ["COMMANDS"]

COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "predict": predict_command,
    "benchmark": benchmark_command,
    "data": data_command,
    "groups": groups_command,
    "train": train_command,
    "study": study_command,
    "search": search_command,
    "prune": prune_command,
    "compression": compression_command,
    "export": export_command,
    "evaluate": evaluate_command,
    "robustness": robustness_command,
    "cross": cross_command,
    "publish": publish_command,
    "launch": launch_command,
    "pull": pull_command,
    "promote": promote_command,
    "sync": sync_command,
}
