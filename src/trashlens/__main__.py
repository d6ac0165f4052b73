"""The command line: `trashlens COMMAND`. Only the commands that train load the training wing."""

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import ArgumentParser, set_parsing_settings
from PIL import Image

from trashlens.errors import ImageError, RecipeError, TrashlensError

__all__ = ["main"]

ConfigT = TypeVar("ConfigT")


def predict_command(argv: Sequence[str]) -> int:
    """Name the class of photos with all three networks."""
    from trashlens.classifier import compare, load_classifiers
    from trashlens.image import list_photos

    parser = ArgumentParser(prog="trashlens predict", description=predict_command.__doc__)
    parser.add_argument(
        "photos", nargs="+", type=Path, metavar="PHOTO", help="a photo, or a folder of photos"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line instead")
    _add_models(parser)
    options = parser.parse_args(argv)
    classifiers = load_classifiers(options.models)
    refused = 0
    for given in options.photos:
        photos = list_photos(given) if given.is_dir() else [given]
        if not photos:
            refused += 1
            print(f"{given} holds no photos.", file=sys.stderr)
        for photo in photos:
            try:
                comparison = compare(classifiers, photo)
            except ImageError as error:
                refused += 1
                print(f"{photo}: {error}", file=sys.stderr)
                continue
            if options.json:
                print(json.dumps({"path": str(photo), **comparison.to_json()}))
            else:
                answers = "   ".join(
                    f"{role} {prediction.label} {max(prediction.confidences.values()):.0%} "
                    f"({prediction.infer_ms:.1f} ms)"
                    for role, prediction in comparison.predictions.items()
                )
                print(f"{photo}   {answers}")
    return 2 if refused else 0


def data_command(argv: Sequence[str]) -> int:
    """Prepare TrashNet: check, clean, split and resize its photos."""
    from trashlens.training.data import DataConfig, prepare_data

    parser = ArgumentParser(prog="trashlens data", description=data_command.__doc__)
    parser.add_class_arguments(DataConfig, as_group=False)
    config = _construct(DataConfig, parser.parse_args(argv).as_dict())
    record = prepare_data(config)
    counts = ", ".join(f"{sum(by.values())} {split}" for split, by in record["photos"].items())
    print(f"{config.processed}: {counts}; {len(record['dropped'])} with contradictory labels left out.")
    if record["differ_from_manifest"]:
        print(
            f"{record['differ_from_manifest']:,} files differ in bytes from {record['manifest']}: this is "
            "another encoding of the same photos. The split goes by name, so results stay comparable."
        )
    return 0


def train_command(argv: Sequence[str]) -> int:
    """Train by a recipe (a YAML file, or the name of one that comes with the package)."""
    from trashlens.training.fit import fit
    from trashlens.training.recipe import make_parser, parse_recipe, shipped_recipes

    if not argv or argv[0].startswith("-"):
        names = ", ".join(shipped_recipes())
        parser = make_parser(
            prog="trashlens train",
            usage="trashlens train RECIPE [--setting=VALUE ...]",
            description=f"{train_command.__doc__} Shipped: {names}. Interrupted runs continue.",
        )
        parser.print_help()
        return 0 if "--help" in argv or "-h" in argv else 2
    fit(parse_recipe(argv[0], argv[1:]))
    return 0


def export_command(argv: Sequence[str]) -> int:
    """Turn a checkpoint into a bundle, if ONNX Runtime agrees with torch on real photos."""
    from trashlens.training.export import ExportConfig, export_bundle

    parser = ArgumentParser(prog="trashlens export", description=export_command.__doc__)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="folder that training wrote")
    _add_models(parser)
    parser.add_class_arguments(ExportConfig, as_group=False)
    given = parser.parse_args(argv).as_dict()
    checkpoint, models = given.pop("checkpoint"), given.pop("models")
    folder = export_bundle(checkpoint, models, _construct(ExportConfig, given))
    print(f"Bundle: {folder}")
    return 0


def evaluate_command(argv: Sequence[str]) -> int:
    """Measure the bundles on TrashNet's original test photos, or on a folder of your own."""
    from trashlens.training.data import LABELS, DataConfig, read_originals
    from trashlens.training.report import evaluate_bundles, format_table, labelled_photos

    parser = ArgumentParser(prog="trashlens evaluate", description=evaluate_command.__doc__)
    _add_models(parser)
    parser.add_argument("--photos", type=Path, help="measure on <class>/<photo> in this folder instead")
    parser.add_argument("--write", action="store_true", help="keep the numbers in each bundle.json")
    parser.add_class_arguments(DataConfig, as_group=False, skip={"short_side_px"})
    given = parser.parse_args(argv).as_dict()
    models, folder, write = given.pop("models"), given.pop("photos"), given.pop("write")
    photos: Sequence[tuple[bytes | Path, str]]
    if folder is not None and write:
        raise RecipeError(
            "--write keeps the numbers of TrashNet's test photos; leave out --photos with it."
        )
    if folder is None:
        photos, name = read_originals(_construct(DataConfig, given), "test"), "test"
    else:
        photos, name = labelled_photos(folder, LABELS), folder.name
    print(format_table(evaluate_bundles(models, photos, name=name, write=write), name=name))
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "predict": predict_command,
    "data": data_command,
    "train": train_command,
    "export": export_command,
    "evaluate": evaluate_command,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, or 2 with one sentence on stderr when the input is bad."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # The Hub's client announces each of its retries; the sentence at the end says it once.
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    # Of several training processes only the first one reports.
    first = os.environ.get("RANK", "0") == "0"
    logging.getLogger("trashlens").setLevel(logging.INFO if first else logging.WARNING)
    # decode_image refuses large images in a sentence; Pillow's own warning names a path of the installation.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    # Settings explain themselves by the docstrings beside them.
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] not in COMMANDS:
        return _print_usage(arguments)
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except BrokenPipeError:
        # The reader has seen enough (`| head`); what Python still wants to flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except (TrashlensError, OSError, ModuleNotFoundError) as error:
        print(f"trashlens {arguments[0]}: {_explain(error, arguments[0])}", file=sys.stderr)
        return 2


def _explain(error: Exception, command: str) -> str:
    """Return the sentence that a user sees for an error of a command."""
    if isinstance(error, ModuleNotFoundError):
        packages = "" if command == "predict" else " --categories 'packages train'"
        return f"the package {error.name} is missing. Install what this needs: pipenv sync{packages}"
    if isinstance(error, OSError):
        return f"{error.filename or 'A file'} cannot be read or written: {error.strerror or error}."
    return str(error)


def _construct(config: type[ConfigT], values: Mapping[str, Any]) -> ConfigT:
    """Return the settings as their dataclass.

    Raises:
        RecipeError: a value is out of range.
    """
    try:
        return config(**values)
    except ValueError as error:
        raise RecipeError(str(error)) from error


def _add_models(parser: ArgumentParser) -> None:
    default = Path(os.environ.get("TRASHLENS_MODELS", "models"))
    parser.add_argument(
        "--models",
        type=Path,
        default=default,
        help="folder of the three bundles; by default `models`, or what TRASHLENS_MODELS names",
    )


def _print_usage(arguments: Sequence[str]) -> int:
    asked = bool(arguments) and arguments[0] in ("-h", "--help")
    lines = ["usage: trashlens COMMAND [OPTIONS]", "", "commands:"]
    lines += [f"  {name:<10}{command.__doc__}" for name, command in COMMANDS.items()]
    lines += ["", "`trashlens COMMAND --help` explains a command's options."]
    if arguments and not asked:
        lines = [f"trashlens: there is no command {arguments[0]}.", "", *lines]
    print("\n".join(lines), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
