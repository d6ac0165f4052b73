"""The commands of those who make the networks; each loads the training wing when it is called."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from trashlens.bundle import JSON_FILE
from trashlens.commands.formats import add_formats, convert
from trashlens.commands.options import add_models, construct
from trashlens.errors import RecipeError

__all__ = ["data_command", "evaluate_command", "export_command", "train_command"]


def data_command(argv: Sequence[str]) -> int:
    """Prepare TrashNet, or another data set: check, clean, split and resize; --add trains on feedback too."""
    from trashlens.training.data import DataConfig, prepare_data

    parser = ArgumentParser(prog="trashlens data", description=data_command.__doc__)
    parser.add_argument(
        "--add",
        type=Path,
        metavar="FOLDER",
        help="feedback that the app kept, for training alone; look through it first",
    )
    parser.add_class_arguments(DataConfig, as_group=False)
    given = parser.parse_args(argv).as_dict()
    add = given.pop("add")
    config = construct(DataConfig, given)
    record = prepare_data(config, add=add)
    counts = ", ".join(f"{sum(by.values())} {split}" for split, by in record["photos"].items())
    if "taco" in record:
        print(f"{config.processed}: {counts} crops of {_explain_crops(record)}")
        return 0
    if "left_out" in record:
        _print_checks(record)
    else:
        counts += f"; {len(record['dropped'])} with contradictory labels left out"
    print(f"{config.processed}: {counts}.")
    if add is not None:
        _print_added(record["added"], config.folder)
    if record["differ_from_manifest"]:
        print(
            f"{record['differ_from_manifest']:,} files differ in bytes from {record['manifest']}: this is "
            "another encoding of the same photos. The split goes by name, so results stay comparable."
        )
    return 0


def _explain_crops(record: Mapping[str, Any]) -> str:
    """Return of how many images and into which classes they were cut, and what was left out."""
    taco = record["taco"]
    boxes = ", ".join(f"{count:,} {why}" for why, count in taco["left_out"].items())
    missing = (
        f" {len(taco['missing'])} images are missing; missing.csv beside the others lists them."
        if taco["missing"]
        else ""
    )
    return (
        f"{sum(taco['images'].values()):,} images in {len(record['photos']['train'])} classes "
        f"({taco['classes']}). Boxes left out: {boxes or 'none'}.{missing}"
    )


def _print_checks(record: Mapping[str, Any]) -> None:
    """Say what was found in image folders, and what of it cannot be used."""
    classes = ", ".join(f"{count:,} {label}" for label, count in record["counts"].items())
    left_out = ", ".join(f"{count} {why}" for why, count in record["left_out"].items())
    drawn = f"; {record['drawn']:,} of the rest were drawn" if record["drawn"] else ""
    print(
        f"{record['dataset']}: {record['found']:,} photos ({classes}); left out: {left_out or 'none'}{drawn}."
    )
    if record["found"] != record["expected"]:
        print(
            f"The set is said to have {record['expected']:,}: this is another edition of it, or a part."
        )


def _print_added(added: Mapping[str, Any], folder: Path) -> None:
    classes = ", ".join(f"{count} {label}" for label, count in added["photos"].items())
    reasons = {
        "none": "of none of the classes",
        "contradictory": "with more than one label",
        "known": "that TrashNet has already",
        "deleted": "whose file is gone",
    }
    left_out = ", ".join(f"{count} {reasons[why]}" for why, count in added["left_out"].items())
    print(
        f"{folder / added['manifest']}: {sum(added['photos'].values())} photos of feedback added to train "
        f"({classes}); left out: {left_out or 'none'}."
    )


def train_command(argv: Sequence[str]) -> int:
    """Train by a recipe (a YAML file, or the name of one that comes with the package)."""
    from trashlens.training.fit import fit
    from trashlens.training.recipe import RECIPES, make_parser, parse_recipe

    if not argv or argv[0].startswith("-"):
        names = ", ".join(RECIPES.names())
        parser = make_parser(
            prog="trashlens train",
            usage="trashlens train RECIPE [--setting=VALUE ...]",
            description=f"{train_command.__doc__} Shipped: {names}. Interrupted runs continue. Files of network "
            "and of data settings change the recipe's: --network NETWORK.yaml --data DATA.yaml.",
        )
        parser.print_help()
        return 0 if "--help" in argv or "-h" in argv else 2
    fit(parse_recipe(argv[0], argv[1:]))
    return 0


def export_command(argv: Sequence[str]) -> int:
    """Turn a checkpoint into a bundle, if ONNX Runtime agrees with torch on real photos."""
    from trashlens.training.copies import copy_bundle
    from trashlens.training.export import ExportConfig, export_bundle
    from trashlens.training.renewal import renew_bundle

    parser = ArgumentParser(prog="trashlens export", description=export_command.__doc__)
    parser.add_argument(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help="folder that training wrote; or a bundle, with --format to convert it, with --weights=int8 to "
        "write its copy in int8, else to give one of an earlier version heat maps alone",
    )
    add_models(parser)
    add_formats(parser)
    parser.add_class_arguments(ExportConfig, as_group=False)
    given = parser.parse_args(argv).as_dict()
    checkpoint, models = given.pop("checkpoint"), given.pop("models")
    wanted = {name: given.pop(name) for name in ("format", "output", "write")}
    config = construct(ExportConfig, given)
    if convert(checkpoint, config, **wanted):
        return 0
    if (checkpoint / JSON_FILE).is_file() and config.weights == "int8":
        print(f"Bundle: {copy_bundle(checkpoint, models, config)}")
        return 0
    if (checkpoint / JSON_FILE).is_file():
        print(f"Bundle: {checkpoint}, {renew_bundle(checkpoint).short_id}")
        return 0
    folder = export_bundle(checkpoint, models, config)
    print(f"Bundle: {folder}")
    return 0


def evaluate_command(argv: Sequence[str]) -> int:
    """Measure the bundles on TrashNet's original test photos, read from --source, or on a folder of your own."""
    from trashlens.bundle import ROLES, load_bundle
    from trashlens.scoreboard import draw_pictures, format_report, write_pictures
    from trashlens.training.data import DataConfig
    from trashlens.training.evaluate import TradeOffConfig, format_trade_offs
    from trashlens.training.report import (
        RESERVED,
        evaluate_bundles,
        labelled_photos,
        original_photos,
    )
    from trashlens.training.unrelated import read_unrelated, unrelated_photos

    parser = ArgumentParser(prog="trashlens evaluate", description=evaluate_command.__doc__)
    add_models(parser)
    parser.add_argument("--photos", type=Path, help="measure on <class>/<photo> in this folder instead")
    parser.add_argument(
        "--write",
        action="store_true",
        help="keep the numbers in each bundle.json, and record them in W&B",
    )
    parser.add_argument("--only", choices=ROLES, help="keep and record this role's numbers alone")
    parser.add_argument(
        "--unrelated",
        type=Path,
        metavar="FOLDER",
        help="photos of no waste, which should be rejected, too",
    )
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw what was measured, as PNG")
    parser.add_argument(
        "--score",
        action="store_true",
        help="say what each network is worth for its time, in one number. What it answers to each photo of a "
        "folder, `trashlens predict FOLDER --csv` says",
    )
    parser.add_class_arguments(TradeOffConfig, as_group=False)
    parser.add_class_arguments(DataConfig, as_group=False, skip={"dataset", "short_side_px", "taco"})
    given = parser.parse_args(argv).as_dict()
    models, folder, write = given.pop("models"), given.pop("photos"), given.pop("write")
    only, pictures, own = given.pop("only"), given.pop("pictures"), given.pop("unrelated")
    scored = given.pop("score")
    constants = construct(
        TradeOffConfig, {key: given.pop(key) for key in ("baseline_f1", "baseline_time_ms")}
    )
    if folder is not None and write:
        raise RecipeError(
            "--write keeps the numbers of TrashNet's test photos; leave out --photos with it."
        )
    if own is not None and write:
        raise RecipeError(
            "--write keeps what everyone can measure again; leave out --unrelated with it."
        )
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)  # before minutes of measuring, not after
    photos: Sequence[tuple[bytes | Path, str]]
    groups: Sequence[str] | None = None
    trained: Sequence[bool] | None = None
    if folder is None:
        tested = original_photos(models, construct(DataConfig, given))
        photos, groups, trained, name = tested.photos, tested.groups, tested.trained, "test"
    else:
        classes = load_bundle(models, "teacher").labels
        photos, name = labelled_photos(folder, classes), folder.name
        if name in RESERVED:  # such as data/processed/val
            name = f"{folder.resolve().parent.name}/{name}"
    unrelated = unrelated_photos() if folder is None or own is not None else []
    if own is not None:
        unrelated += read_unrelated(own)
    runs = Path("runs/evaluate") if write else None
    roles = (only,) if only else ROLES
    measured = evaluate_bundles(
        models,
        photos,
        name=name,
        write=write,
        runs=runs,
        roles=roles,
        groups=groups,
        trained=trained,
        unrelated=unrelated,
    )
    print(format_report(measured, name=name))
    if scored:
        numbers = {
            role: (bundle.metrics[name]["macro_f1"], bundle.metrics["latency"]["infer_ms_p50"])
            for role, bundle in measured.items()
        }
        print(f"\n{format_trade_offs(numbers, constants)}")
    if pictures is not None:
        print()
        write_pictures(draw_pictures(measured, name=name), pictures)
    return 0
