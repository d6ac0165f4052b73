"""The part of `trashlens export` that writes a bundle's network for other runtimes."""

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser

from trashlens.errors import RecipeError

if TYPE_CHECKING:
    from trashlens.training.export import ExportConfig

__all__ = ["add_formats", "convert"]


def add_formats(parser: ArgumentParser) -> None:
    """Add `--format`, and where its result and its numbers go."""
    from trashlens.training.formats import FORMATS

    parser.add_argument(
        "--format",
        choices=sorted(FORMATS),
        help="convert a bundle for another runtime; what each is for, what it needs and how a phone loads it: "
        "src/trashlens/training/formats",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where the converted network goes; by default runs/formats/ROLE/FORMAT",
    )
    parser.add_argument(
        "--write", action="store_true", help="keep size and parity of the format in the bundle.json, too"
    )


def convert(
    folder: Path,
    config: "ExportConfig",
    *,
    format: str | None,  # noqa: A002
    output: Path | None,
    write: bool,
) -> bool:
    """Convert the bundle in `folder`, say what was written, and return whether a format was asked for.

    Raises:
        RecipeError: options were given that go without each other.
    """
    from trashlens.training.formats import convert_bundle

    if format is None:
        if write or output is not None:
            raise RecipeError(
                "--output and --write go with --format; --models says where a bundle goes."
            )
        return False
    if config.weights != "float32" or config.size_px is not None:
        raise RecipeError(
            "A format has the bundle's own weights and size. Export the bundle with --weights and --size_px "
            "first, then convert it without."
        )
    target = output or Path("runs", "formats", folder.resolve().name, format)
    measured = convert_bundle(folder, format, target, photos=config.photos, write=write)
    print(
        f"{target}: {measured['bytes'] / 1e6:.1f} MB, at most {measured['max_logit_difference']:.1e} from the "
        f"bundle's logits on {measured['photos']} photos."
    )
    return True
