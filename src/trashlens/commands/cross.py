"""The command that shows networks photos from elsewhere, darker or brighter, and evens them out or not."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from trashlens.bundle import ROLES
from trashlens.commands.options import construct, default_models
from trashlens.errors import RecipeError
from trashlens.files import replace_file

__all__ = ["cross_command"]


def cross_command(argv: Sequence[str]) -> int:
    """Measure networks on photos of other data sets, darkened and brightened, normalised or not."""
    from trashlens.scoreboard import write_pictures
    from trashlens.training.cross import (
        CrossConfig,
        draw_results,
        format_csv,
        format_results,
        measure_reference,
        measure_set,
        open_network,
    )
    from trashlens.training.data import read_groups

    given = _make_parser(CrossConfig).parse_args(argv).as_dict()
    folders = given.pop("networks") or [default_models() / role for role in ROLES]
    data, output = given.pop("data"), given.pop("output")
    sets = [Path(folder) for folder in given.pop("on")] or [data / "processed" / "test"]
    reference = given.pop("reference") or data / "processed" / "train"
    config = construct(CrossConfig, given)
    if len({folder.name for folder in folders}) < len(folders):
        raise RecipeError("Networks are told apart by the names of their folders; give different ones.")
    networks = [open_network(folder) for folder in folders]
    target = measure_reference(reference, seed=config.seed)
    groups = read_groups(data)
    results = [
        result
        for folder in sets
        for result in measure_set(folder, networks, config, target=target, groups=groups)
    ]
    text = format_results(results, target=target)
    print(text)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        replace_file(output / "report.md", f"# Photos from elsewhere\n\n{text}\n".encode())
        replace_file(output / "accuracy.csv", format_csv(results))
        print()
        write_pictures({"accuracy-brightness": draw_results(results)}, output)
    return 0


def _make_parser(config: type[object]) -> ArgumentParser:
    parser = ArgumentParser(prog="trashlens cross", description=cross_command.__doc__)
    parser.add_argument(
        "networks",
        type=Path,
        nargs="*",
        metavar="NETWORK",
        help="folder of a bundle or a checkpoint; by default the three bundles in `models`",
    )
    parser.add_argument(
        "--on",
        action="append",
        default=[],
        metavar="FOLDER",
        help="photos as <class>/<photo>, such as `data/processed-recycle/test`; by default TrashNet's prepared "
        "test photos; may be given again",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="FOLDER",
        help="photos trained on, whose brightness others are given; by default `processed/train` in --data",
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the manifests")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="write report, CSV and picture there"
    )
    parser.add_class_arguments(config, as_group=False)
    return parser
