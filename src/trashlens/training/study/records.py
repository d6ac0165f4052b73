"""The record of a run: one JSON file, all that a report needs, small enough to be committed."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from trashlens.errors import DataError
from trashlens.files import replace_file
from trashlens.training.data import TRASHNET

__all__ = [
    "Answer",
    "RunRecord",
    "name_network",
    "read_record",
    "read_records",
    "recipe_differences",
    "write_record",
]

FORMAT = 1
SUM_TOLERANCE = 0.01
"""How far the rounded probabilities of a photo may be from 1 together."""
PLACES = ("network.weights", "data.source")
"""The settings that say where to take something from, which differs from machine to machine."""
MAPPINGS = frozenset({"network.arguments", "network.rename"})
"""The settings whose value is a mapping, which is no section of the recipe."""


class Answer(NamedTuple):
    """What a run's network said about one test photo."""

    path: str
    """`<class>/<file name>`."""
    label: int
    """Index of the photo's class."""
    predicted: int
    """Index of the class it was given."""
    probabilities: tuple[float, ...]
    """By class, rounded, as trained: no temperature."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What is kept of one run of a study."""

    study: str
    """The study's name."""
    variant: str
    """The variant's name."""
    seed: int
    """Seed of the run."""
    fold: int | None
    """Test fold of the grouped split; None on another split."""
    recipe: dict[str, Any]
    """What all runs of the variant have in common, see `describe_recipe`."""
    labels: list[str]
    """Class names by index."""
    val: dict[str, Any]
    """What `evaluate.score` says about the validation photos."""
    test: dict[str, Any]
    """The same about the test photos, and `ece_scaled` after temperature scaling on the validation photos."""
    answers: list[Answer]
    """One for each test photo, by path."""
    temperature: float
    """What was fitted on the validation photos for `ece_scaled`."""
    data: dict[str, Any]
    """`split`, `manifest_sha256`, `content_sha256` and `photos` by split of what it was trained on."""
    wall_s: float | None
    """Seconds that the run took; None where it was interrupted or its record was made later."""
    machine: str
    """The device it was trained on."""
    commit: str | None
    """Commit of the code, with `-dirty` where the working tree differed."""
    teacher_sha256: str | None
    """SHA-256 of the teacher's weights."""
    checkpoint_sha256: str
    """SHA-256 of the run's own weights."""
    precision: str | None = None
    """Arithmetic that it was trained with: `no`, `bf16` or `fp16`; None in older records."""
    processes: int | None = None
    """How many trained together; None in older records."""
    weights: dict[str, Any] | None = None
    """What it started from: `source` and, of a file, `sha256`; None in older records."""
    cpu_s: float | None = None
    """Seconds of processor time that training, validating and testing took, all threads together, loader
    processes left out; None as `wall_s`, and in older records."""

    @property
    def dataset(self) -> str:
        """The data set it was trained and tested on."""
        name = str(self.recipe.get("data", {}).get("dataset", TRASHNET[0]))
        return TRASHNET[0] if name in TRASHNET else name

    @property
    def recipe_sha256(self) -> str:
        """SHA-256 of the recipe, hexadecimal."""
        return hashlib.sha256(json.dumps(self.recipe, sort_keys=True).encode()).hexdigest()

    @property
    def weights_sha256(self) -> str | None:
        """SHA-256 of the file of weights it started from; None where that is not known, as of those of the Hub."""
        return self.weights.get("sha256") if self.weights else None

    @property
    def short_commit(self) -> str:
        """The first digits of the commit, or `unknown`."""
        return (self.commit or "unknown")[:12]

    def number(self, unit: str) -> int | None:
        """Return the seed or the fold, as `unit` says."""
        return self.seed if unit == "seed" else self.fold


def write_record(path: Path, record: RunRecord) -> None:
    """Write a record, one field and one photo a line."""
    fields = {
        "format": FORMAT,
        **{field.name: getattr(record, field.name) for field in dataclasses.fields(record)},
        "recipe_sha256": record.recipe_sha256,
    }
    answers = ",\n".join(json.dumps(answer) for answer in fields.pop("answers"))
    lines = "".join(f"{json.dumps(name)}: {json.dumps(value)},\n" for name, value in fields.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, f'{{\n{lines}"answers": [\n{answers}\n]\n}}\n'.encode())


def read_record(path: Path) -> RunRecord:
    """Read a record and check that it agrees with itself.

    Raises:
        DataError: it is damaged, was changed by hand, or has another format.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        if given.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        digest = given.pop("recipe_sha256")
        answers = [
            Answer(path, label, predicted, tuple(probabilities))
            for path, label, predicted, probabilities in given.pop("answers")
        ]
        record = RunRecord(**given, answers=answers)
        _check(record, digest, path.stem)
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = str(error) or type(error).__name__
        raise DataError(
            f"The record {path} cannot be used: {reason}. Check it out again, or remove it and run the study."
        ) from error
    return record


def _check(record: RunRecord, digest: str, name: str) -> None:
    """Raise ValueError with the reason where parts of a record contradict each other."""
    right = sum(answer.predicted == answer.label for answer in record.answers)
    count = len(record.answers)
    numbers = {f"{record.variant}-{record.seed}", f"{record.variant}-{record.fold}"}
    if name not in numbers:
        raise ValueError(f"it is the record of {record.variant}, seed {record.seed}, fold {record.fold}")
    if digest != record.recipe_sha256:
        raise ValueError("its recipe is not the one whose hash it holds")
    if not count or count != record.test["photos"]:
        raise ValueError(f"it answers {count} of {record.test['photos']} test photos")
    if abs(right / count - record.test["accuracy"]) > 1e-9:
        raise ValueError(f"{right} of {count} right is not an accuracy of {record.test['accuracy']}")
    for answer in record.answers:
        if len(answer.probabilities) != len(record.labels):
            raise ValueError(f"{answer.path} has not one probability a class")
        if abs(sum(answer.probabilities) - 1) > SUM_TOLERANCE:
            raise ValueError(f"the probabilities of {answer.path} do not sum to 1")
    for metrics in (record.val, record.test):
        for key in ("accuracy", "macro_f1", "ece"):
            if not 0 <= metrics[key] <= 1:
                raise ValueError(f"{key} is {metrics[key]}")


def read_records(folder: Path) -> list[RunRecord]:
    """Read all records in a study's folder; runs of one variant, and of one seed or fold, must be comparable.

    Raises:
        DataError: one is damaged, or they were made by different recipes, with different precision, on different
            photos, by different teachers, or one network from different weights.
    """
    records = [read_record(path) for path in sorted(folder.glob("*-[0-9]*.json"))]
    first: dict[str, RunRecord] = {}
    for record in records:
        like = first.setdefault(record.variant, record)
        differing = recipe_differences(like.recipe, record.recipe)
        if differing:
            raise DataError(
                f"The runs of {record.variant} in {folder} were not made by one recipe: "
                f"{'; '.join(differing)}. Remove those that are out of date."
            )
    for said, values in (
        (
            "have different split manifests",
            [(r, r.dataset, r.data.get("manifest_sha256")) for r in records],
        ),
        ("were tested on different photos", [(r, (r.dataset, r.fold), _tested_on(r)) for r in records]),
        ("were trained with different precision", [(r, None, r.precision) for r in records]),
        ("had different teachers", _list_teachers(records)),
        (
            "started from different weights",
            [(r, name_network(r.recipe), r.weights_sha256) for r in records],
        ),
    ):
        _demand_one(folder, values, said)
    return records


def recipe_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Return what differs between two recipes, as `augment.mixup 0.2 and 0.0`, by dotted name.

    Settings that one of them does not know are left out: the code may have learned them in between. So are the
    places that weights and photos were taken from, unless one took none: `read_records` compares the hashes of
    what was found there, as far as they are known (those of weights from the Hub are not).
    """
    one, other = _flatten(first), _flatten(second)
    return [
        f"{name} {one[name]} and {other[name]}"
        for name in one
        if name in other
        and one[name] != other[name]
        and (name not in PLACES or "none" in (one[name], other[name]))
    ]


def name_network(recipe: Mapping[str, Any]) -> str:
    """Return what a recipe's weights must fit: the network's name, with its arguments."""
    network = recipe["network"]
    arguments = (f" {name}={value}" for name, value in sorted(network["arguments"].items()))
    return f"{network['name']}{''.join(arguments)}"


def _demand_one(folder: Path, values: Iterable[tuple[RunRecord, object, object]], said: str) -> None:
    """Raise DataError where records with one key differ in their value; None stands for one not known."""
    first: dict[object, tuple[RunRecord, object]] = {}
    for record, key, value in values:
        if value is None:
            continue
        other, known = first.setdefault(key, (record, value))
        if known != value:
            raise DataError(
                f"{_name(other)} and {_name(record)} in {folder} {said}. Remove those that are out of date."
            )


def _list_teachers(records: Sequence[RunRecord]) -> list[tuple[RunRecord, object, object]]:
    """Return the students' teachers: one for a fold, and one for all seeds unless a variant teaches each."""
    several = any(record.recipe["role"] == "teacher" for record in records)
    return [
        (record, record.seed if record.fold is None and several else record.fold, record.teacher_sha256)
        for record in records
        if record.recipe["role"] == "student"
    ]


def _name(record: RunRecord) -> str:
    return f"{record.variant}-{record.seed if record.fold is None else record.fold}"


def _tested_on(record: RunRecord) -> tuple[str, list[tuple[str, int]]]:
    photos = [(answer.path, answer.label) for answer in record.answers]
    return record.data["content_sha256"], photos


def _flatten(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the settings by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in recipe.items():
        if isinstance(value, Mapping) and value and f"{prefix}{name}" not in MAPPINGS:
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
