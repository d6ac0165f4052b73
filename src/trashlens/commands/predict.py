"""The command of those who use the networks; it needs the serving packages only."""

import json
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from trashlens.commands.options import add_models
from trashlens.errors import ImageError

if TYPE_CHECKING:  # the command loads what it runs only when it runs
    from trashlens.classifier import Prediction
    from trashlens.comparison import Comparison

__all__ = ["predict_command"]


def predict_command(argv: Sequence[str]) -> int:
    """Name the class of photos with all three networks, or say that they are not sure."""
    from tqdm import tqdm

    from trashlens.providers import default_provider

    parser = ArgumentParser(prog="trashlens predict", description=predict_command.__doc__)
    parser.add_argument(
        "photos",
        nargs="+",
        type=Path,
        metavar="PHOTO",
        help="a photo, or a folder of photos; files in it that are not named like one are passed over. Of several "
        "each core takes one at a time, and the times are then those of one core. What cannot be read makes the "
        "exit code 2",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object a line instead; for a photo that cannot be read it has `error`",
    )
    form.add_argument(
        "--csv",
        action="store_true",
        help="print a table as CSV instead, for `> FILE`: a photo that cannot be read has a row, too, with "
        "the reason; `disagree` is whether the networks that are sure name different classes; before a name that "
        "a spreadsheet would compute (=, +, -, @) stands an apostrophe",
    )
    add_models(parser)
    parser.add_argument(
        "--provider",
        default=default_provider(),
        help="where the networks compute, `cpu` or what else the installed ONNX Runtime knows (`cuda` needs the "
        "package onnxruntime-gpu in its place); by default `cpu`, or what TRASHLENS_PROVIDER names",
    )
    if "" in argv:  # an unset variable of the shell would stand for the folder one is in
        raise ImageError("An argument is empty: give the name of a photo or a folder.")
    options = parser.parse_args(argv)
    # On a terminal the answers are the progress.
    shown = sys.stderr.isatty() and not sys.stdout.isatty()
    total = sum(1 for _ in _find_photos(options.photos)) if shown else None
    refused = 0
    with closing(_compare(options.photos, options.models, options.provider)) as answers:
        print_answer = _printer(options)
        for photo, answer in tqdm(answers, total=total, unit="photo", disable=not shown):
            if isinstance(answer, ImageError):
                refused += 1
                empty = photo.is_dir()
                name = _show_name(photo)
                reason = str(answer).replace(str(photo), name)
                sentence = f"{name} holds no photos." if empty else f"{name}: {reason}"
                tqdm.write(sentence, file=sys.stderr)
                answer = ImageError("The folder holds no photos.") if empty else answer
            print_answer(photo, answer)
    return 2 if refused else 0


def _find_photos(given: Sequence[Path]) -> Iterator[Path]:
    """Yield the photos that were named or lie in a folder that was; a folder without any stands for itself."""
    from trashlens.image import walk_photos

    for path in given:
        photos = walk_photos(path) if path.is_dir() else iter(())
        yield next(photos, path)
        yield from photos


def _compare(
    given: Sequence[Path], models: Path, provider: str
) -> "Generator[tuple[Path, Comparison | ImageError]]":
    """Return the photos with their answers; one photo has all cores, of several each core has its own."""
    from trashlens.batch import compare_many
    from trashlens.classifier import load_classifiers
    from trashlens.machine import count_cores

    photos = _find_photos(given)
    first = list(islice(photos, 2))
    several = len(first) > 1
    classifiers = load_classifiers(models, threads=1 if several else 0, provider=provider)
    return compare_many(classifiers, chain(first, photos), workers=count_cores() if several else 1)


def _printer(options: Namespace) -> Callable[[Path, "Comparison | ImageError"], None]:
    """Return what prints an answer in the form that was asked for; for people there is none without one."""
    from trashlens.bundle import ROLES
    from trashlens.table import Row, format_csv

    def print_row(photo: Path, answer: "Comparison | ImageError") -> None:
        name = _decode_name(photo)
        if isinstance(answer, ImageError):
            row = Row(file=name, problem=str(answer).replace(str(photo), name))
        else:
            row = Row(file=name, answer=answer)
        print(format_csv([row], ROLES, header=False), end="", flush=True)

    def print_line(photo: Path, answer: "Comparison | ImageError") -> None:
        if options.json:
            said = {"error": str(answer)} if isinstance(answer, ImageError) else answer.to_json()
            print(json.dumps({"path": str(photo), **said}), flush=True)
        elif not isinstance(answer, ImageError):
            print(_format_line(photo, answer), flush=True)

    if not options.csv:
        return print_line
    print(format_csv([], ROLES), end="", flush=True)
    return print_row


def _decode_name(photo: Path) -> str:
    """Return the path as text that can be printed, whatever the file is called."""
    return os.fsencode(photo).decode(errors="replace")


def _show_name(photo: Path) -> str:
    """Return the path in one line: a file's name may hold line feeds, or what commands a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in _decode_name(photo)
    )


def _format_line(photo: Path, comparison: "Comparison") -> str:
    """Return the answers as one line for people."""
    answers = "   ".join(
        f"{role} {_describe(prediction)} ({prediction.infer_ms:.1f} ms)"
        for role, prediction in comparison.predictions.items()
    )
    return f"{_show_name(photo)}   {answers}"


def _describe(prediction: "Prediction") -> str:
    """Return the answer in a few words; what the network is not sure of stands in brackets."""
    guess = f"{prediction.label} {prediction.confidence:.0%}"
    return guess if prediction.sure else f"not sure ({guess})"
