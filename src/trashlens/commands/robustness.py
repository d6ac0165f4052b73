"""The command that changes photos and says what is left of the networks' accuracy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from trashlens.bundle import Bundle
from trashlens.commands.options import construct, default_models
from trashlens.errors import RecipeError

if TYPE_CHECKING:
    from trashlens.training.robustness import Scene

__all__ = ["robustness_command"]


def robustness_command(argv: Sequence[str]) -> int:
    """Measure the bundles on test photos that are blurred, dark, turned, smaller or on other grounds."""
    from trashlens.scoreboard import format_gains, format_robustness
    from trashlens.training.data import DataConfig, read_data_record, read_groups
    from trashlens.training.report import check_split
    from trashlens.training.robustness import (
        RobustnessConfig,
        compare_folders,
        group_scenes,
        measure_folders,
        prepared_split,
        read_scenes,
    )

    given = _make_parser(DataConfig, RobustnessConfig).parse_args(argv).as_dict()
    folders = [Path(folder) for folder in given.pop("models")] or [default_models()]
    if len(set(folders)) < len(folders):
        raise RecipeError("Each folder of models is measured once; name it once.")
    write, pictures = given.pop("write"), given.pop("pictures")
    config = construct(RobustnessConfig, {key: given.pop(key) for key in ("on", "photos", "seed")})
    if write and config.on != "test":
        raise RecipeError("--write keeps the numbers of the test photos; leave out --on with it.")
    data = construct(DataConfig, given)
    split = prepared_split(data)
    for folder in folders:
        check_split(folder, read_data_record(data.processed), own=write)
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)  # before minutes of measuring, not after
    scenes, total = read_scenes(data, config)
    groups = group_scenes(scenes, read_groups(data.folder))
    about = {"on": config.on, "of": total, **split}
    results = measure_folders(folders, scenes, groups=groups, seed=config.seed, about=about)
    named = {str(folder): one.bundles for folder, one in zip(folders, results, strict=True)}
    print(format_robustness(named))
    if len(folders) > 1:
        gains = compare_folders(results, scenes, groups=groups, seed=config.seed)
        others = dict(zip(list(named)[1:], gains, strict=True))
        print("", format_gains(next(iter(named)), others), sep="\n")
    if write:
        for folder, one in zip(folders, results, strict=True):
            for role, bundle in one.bundles.items():
                bundle.write(folder / role)
    if pictures is not None:
        _write_pictures(named, scenes[0], pictures, seed=config.seed)
    return 0


def _make_parser(data: type[Any], config: type[Any]) -> ArgumentParser:
    parser = ArgumentParser(prog="trashlens robustness", description=robustness_command.__doc__)
    parser.add_argument(
        "--models",
        action="append",
        default=[],
        metavar="FOLDER",
        help="folder of three bundles, by default `models`; given again, the folders are compared with the first",
    )
    parser.add_class_arguments(config, as_group=False)
    parser.add_class_arguments(
        data, as_group=False, skip={"source", "revision", "short_side_px", "seed", "taco"}
    )
    parser.add_argument("--write", action="store_true", help="keep the numbers in each bundle.json")
    parser.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="draw a changed photo and the numbers, as PNG"
    )
    return parser


def _write_pictures(
    named: Mapping[str, Mapping[str, Bundle]], scene: "Scene", folder: Path, *, seed: int
) -> None:
    """Write the sheet of changes and a chart for each folder of models, and say where."""
    from trashlens.scoreboard import draw_robustness, write_pictures
    from trashlens.training.robustness import draw_sheet

    figures = {"robustness-changes": draw_sheet(scene, seed=seed)}
    for number, bundles in enumerate(named.values(), 1):
        suffix = f"-{number}" if len(named) > 1 else ""
        figures[f"robustness{suffix}"] = draw_robustness(bundles)
    print()
    write_pictures(figures, folder)
