"""The commands that make a network smaller and say what that saved."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from trashlens.bundle import Bundle
from trashlens.commands.options import construct
from trashlens.errors import RecipeError
from trashlens.files import replace_file

__all__ = ["compression_command", "prune_command"]


def prune_command(argv: Sequence[str]) -> int:
    """Take channels from a trained network until few multiply-adds or parameters are left, to distil it again."""
    from trashlens.training.checkpoint import WEIGHTS_FILE, read_checkpoint
    from trashlens.training.pruning import PruneConfig, prune_checkpoint

    parser = ArgumentParser(prog="trashlens prune", description=prune_command.__doc__)
    parser.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help="folder that training wrote; or a bundle, whose graph is read back into a network",
    )
    parser.add_class_arguments(PruneConfig, as_group=False)
    given = parser.parse_args(argv).as_dict()
    source = given.pop("source")
    config = construct(PruneConfig, given)
    folder = prune_checkpoint(source, config)
    record = read_checkpoint(folder).record
    left = record["pruning"]["steps"][-1]
    print(
        f"{folder}: {left['macs_share']:.1%} of the multiply-adds and {left['parameters_share']:.1%} of the "
        "parameters are left. Distil it:"
    )
    recipe = record["recipe"]
    arguments = recipe["network"]["arguments"]
    options = {
        "network.name": recipe["network"]["name"],
        "network.weights": folder / WEIGHTS_FILE,
        "network.widths": "weights",
        **({"network.arguments": json.dumps(arguments)} if arguments else {}),
        "preprocess.size_px": recipe["preprocess"]["size_px"],
        "schedule.keep_start": 0,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    print(f"  {shlex.join(['trashlens', 'train', 'student', *words])}")
    return 0


def compression_command(argv: Sequence[str]) -> int:
    """Compare a bundle with the one it was made smaller from: layers, multiply-adds, size, time, accuracy."""
    from trashlens.training.pruning import compare_bundles, format_comparison

    parser = ArgumentParser(prog="trashlens compression", description=compression_command.__doc__)
    parser.add_argument("before", type=Path, metavar="BEFORE", help="folder of the bundle it began with")
    parser.add_argument("after", type=Path, metavar="AFTER", help="folder of the smaller one")
    parser.add_argument("--rounds", type=int, default=200, help="how often each is timed, in turn")
    parser.add_argument("--threads", type=int, help="of ONNX Runtime; by default one a core")
    parser.add_argument(
        "--write", type=Path, metavar="FOLDER", help="keep report.md and report.json there"
    )
    given = parser.parse_args(argv)
    if given.rounds < 1 or (given.threads is not None and given.threads < 1):
        raise RecipeError("--rounds and --threads must be at least 1.")
    comparison = compare_bundles(
        Bundle.load(given.before), Bundle.load(given.after), rounds=given.rounds, threads=given.threads
    )
    text = format_comparison(comparison)
    print(text, end="")
    if given.write is not None:
        given.write.mkdir(parents=True, exist_ok=True)
        replace_file(given.write / "report.md", text.encode())
        replace_file(given.write / "report.json", (json.dumps(comparison, indent=2) + "\n").encode())
    return 0
