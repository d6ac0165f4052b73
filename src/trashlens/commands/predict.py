"""The command of those who use the networks; it needs the serving packages only."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser

from trashlens.commands.options import add_models
from trashlens.errors import ImageError

if TYPE_CHECKING:  # the command loads what it runs only when it runs
    from trashlens.classifier import Prediction

__all__ = ["predict_command"]


def predict_command(argv: Sequence[str]) -> int:
    """Name the class of photos with all three networks, or say that they are not sure."""
    from trashlens.classifier import compare, load_classifiers
    from trashlens.image import list_photos

    parser = ArgumentParser(prog="trashlens predict", description=predict_command.__doc__)
    parser.add_argument(
        "photos", nargs="+", type=Path, metavar="PHOTO", help="a photo, or a folder of photos"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line instead")
    add_models(parser)
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
                    f"{role} {_describe(prediction)} ({prediction.infer_ms:.1f} ms)"
                    for role, prediction in comparison.predictions.items()
                )
                print(f"{photo}   {answers}")
    return 2 if refused else 0


def _describe(prediction: "Prediction") -> str:
    """Return the answer in a few words; what the network is not sure of stands in brackets."""
    guess = f"{prediction.label} {prediction.confidence:.0%}"
    return guess if prediction.sure else f"not sure ({guess})"
