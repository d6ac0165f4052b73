"""How long a study's networks take for one photo, as they would be served: exported, in ONNX Runtime."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trashlens.benchmark.classifiers import time_classifiers
from trashlens.classifier import Classifier
from trashlens.errors import DataError, RecipeError
from trashlens.files import replace_file
from trashlens.image import Preprocess
from trashlens.machine import processor_name
from trashlens.training.networks import NetworkConfig
from trashlens.training.study.records import RunRecord, name_network
from trashlens.training.untrained import open_untrained

__all__ = ["LATENCY_FILE", "Latencies", "measure_latencies", "name_served", "read_latencies"]

LATENCY_FILE = "latency.json"
ROUNDS = 100
DISTURBED = 1.5
"""Median over minimum, from which times are taken for those of a busy machine; 1.1 is usual."""


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """Times of one photo, measured together on one machine."""

    cpu: str
    """The processor, with the number of cores used."""
    networks: dict[str, dict[str, float]]
    """`infer_ms_p50`, `infer_ms_p95` and `infer_ms_min`, milliseconds, by `name_served`."""

    def median_ms(self, record: RunRecord) -> float | None:
        """Return the median time of a record's network, milliseconds; None where it was not measured."""
        times = self.networks.get(name_served(record))
        return times["infer_ms_p50"] if times else None

    @property
    def disturbed(self) -> bool:
        """Whether the machine was busy with something else: half of the calls took far longer than the fastest."""
        return any(
            times["infer_ms_p50"] > DISTURBED * times["infer_ms_min"] for times in self.networks.values()
        )


def name_served(record: RunRecord) -> str:
    """Return what tells apart networks of different speed: name, arguments, input size and pruned widths.

    How a network was trained changes none of its operations.
    """
    named = f"{name_network(record.recipe)}, {record.recipe['preprocess']['size_px']} px"
    return (
        f"{named}, widths of {(record.weights_sha256 or 'a file')[:12]}" if _is_pruned(record) else named
    )


def read_latencies(folder: Path) -> Latencies | None:
    """Return the times that were measured for a study's records in `folder`; None where none were.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / LATENCY_FILE
    if not path.is_file():
        return None
    try:
        latencies = Latencies(**json.loads(path.read_text(encoding="utf-8")))
        plausible = all(
            times["infer_ms_p50"] >= times["infer_ms_min"] > 0 for times in latencies.networks.values()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is damaged. Remove it, and it is measured anew.") from error
    if not plausible:
        raise DataError(f"{path} holds times that cannot be. Remove it, and it is measured anew.")
    return latencies


def measure_latencies(records: Iterable[RunRecord], folder: Path) -> Latencies:
    """Time each network that occurs among records, one photo at a time, and keep the times in `folder`.

    The networks take turns, so that what else the machine does slows all alike. Their weights are random: the
    time does not depend on them, and a report needs no checkpoint.

    Raises:
        RecipeError: a network cannot be created, as a pruned one, whose widths no record has.
    """
    networks = {name_served(record): record for record in records}
    classifiers = {name: _open(record) for name, record in networks.items()}
    times = time_classifiers(classifiers, rounds=ROUNDS)
    summaries = {name: times.summary(name) for name in classifiers}
    measured = {
        name: {
            "infer_ms_p50": summary.p50_ms,
            "infer_ms_p95": summary.p95_ms,
            "infer_ms_min": summary.min_ms,
        }
        for name, summary in summaries.items()
    }
    latencies = Latencies(cpu=processor_name(), networks=measured)
    text = json.dumps(dataclasses.asdict(latencies), indent=2) + "\n"
    replace_file(folder / LATENCY_FILE, text.encode())
    return latencies


def _open(record: RunRecord) -> Classifier:
    """Return the network of a record, exported as bundles are, with random weights."""
    recipe: dict[str, Any] = record.recipe
    if _is_pruned(record):
        raise RecipeError(
            f"The time of {record.variant} cannot be measured: a record does not keep a pruned network's widths. "
            "Leave the variant out of the report, and compare its bundle with `trashlens compression`."
        )
    return open_untrained(
        NetworkConfig(**{key: recipe["network"][key] for key in ("name", "arguments")}),
        Preprocess.from_json(recipe["preprocess"]),
        role=recipe["role"],
        labels=record.labels,
    )


def _is_pruned(record: RunRecord) -> bool:
    return bool(record.recipe["network"].get("widths") == "weights")
