"""How long a trial's network takes for one photo, beside the network that the search is compared with."""

import time
from dataclasses import dataclass
from pathlib import Path

from trashlens.benchmark.classifiers import time_classifiers
from trashlens.classifier import Classifier
from trashlens.errors import RecipeError
from trashlens.files import hash_file
from trashlens.machine import processor_name
from trashlens.training.data import read_labels
from trashlens.training.recipe import Recipe
from trashlens.training.untrained import open_untrained

__all__ = ["NetworkTime", "Stopwatch", "name_operations"]

ROUNDS = 100


@dataclass(frozen=True, kw_only=True)
class NetworkTime:
    """The time of one photo, as served: exported, in ONNX Runtime, batch 1; of one thread."""

    network: str
    """What was measured, see `name_operations`."""
    ratio: float
    """How many times as long as the reference it takes: median over pairs of the same round."""
    infer_ms: float
    """Its median, milliseconds of processor time, on the machine that measured it."""
    reference_ms: float
    """The reference's median in the same rounds."""
    parameters: int
    """How many the network has."""
    cpu: str
    """The processor, with the number of cores used."""


class Stopwatch:
    """Measures networks in turn with the search's own recipe.

    A ratio means the same on another machine of a search that several work on; milliseconds do not. The clock
    counts what one thread computes, not what it waits: a search's other processes keep all cores busy, and by the
    wall, with as many threads as cores, one network was seen at 0.15 and 0.7 of the reference on a busy machine.
    """

    def __init__(self, reference: Recipe) -> None:
        """Take the recipe that times are compared with."""
        self.reference = reference
        self.opened: Classifier | None = None

    def measure(self, recipe: Recipe) -> NetworkTime:
        """Time a recipe's network, with random weights, on which its time does not depend, or a pruned one's own.

        It has the classes of the recipe's prepared photos.

        Raises:
            RecipeError: the network cannot be created, or a pruned one's weights cannot be read.
            DataError: there are no prepared photos.
        """
        self.opened = self.opened or self._open(self.reference)
        same = name_operations(recipe) == name_operations(self.reference)
        measured = self.opened if same else self._open(recipe)
        pair = {"network": measured, "reference": self.opened}
        times = time_classifiers(pair, rounds=ROUNDS, clock=time.thread_time)
        return NetworkTime(
            network=name_operations(recipe),
            ratio=1.0 if same else times.ratio("network", "reference").median,
            infer_ms=times.summary("network").p50_ms,
            reference_ms=times.summary("reference").p50_ms,
            parameters=measured.bundle.parameters,
            cpu=processor_name(),
        )

    def _open(self, recipe: Recipe) -> Classifier:
        labels = read_labels(recipe.data.processed)
        return open_untrained(
            recipe.network, recipe.preprocess, role=recipe.role, labels=labels, threads=1
        )


def name_operations(recipe: Recipe) -> str:
    """Return what determines how long a recipe's network takes: name, arguments, input size and pruned widths.

    Raises:
        RecipeError: the weights file that has its widths cannot be read.
    """
    network = recipe.network
    arguments = "".join(f" {name}={value}" for name, value in sorted(network.arguments.items()))
    named = f"{network.name}{arguments}, {recipe.preprocess.size_px} px"
    if network.widths == "own":
        return named
    try:
        return f"{named}, widths of {hash_file(Path(network.weights))[:12]}"
    except OSError as error:
        raise RecipeError(
            f"The weights {network.weights} cannot be read. Give a pruned network's file."
        ) from error
