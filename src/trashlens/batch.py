"""Many photos: on all cores of one machine, or as the function that other engines map over theirs.

With Hugging Face `datasets`, from a folder of photos or from Parquet files (`load_dataset("parquet", ...)`)::

    from datasets import Image, load_dataset
    from trashlens.batch import PredictBatch

    photos = load_dataset("imagefolder", data_dir="photos", split="train")
    photos = photos.cast_column("image", Image(decode=False))  # or one bad photo ends it all
    answers = photos.map(PredictBatch("models"), batched=True, batch_size=32, num_proc=2)
    answers.flatten().remove_columns("image.bytes").to_parquet("answers.parquet")  # image.path stays

With Ray Data, over a bucket, on as many machines as Ray has; each needs this package and the bundles. Reading
takes one core and a worker another, so there must be two. RAY_USAGE_STATS_ENABLED=0 keeps Ray from reporting
home::

    import ray
    from trashlens.batch import PredictBatch

    photos = ray.data.read_binary_files("s3://bucket/photos", include_paths=True)
    answers = photos.map_batches(
        PredictBatch,
        fn_constructor_args=("models",),
        batch_size=32,
        compute=ray.data.ActorPoolStrategy(min_size=1),  # more as cores are free
    )
    answers.write_parquet("s3://bucket/answers")
"""

import hashlib
import os
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from trashlens.bundle import JSON_FILE, ROLES, load_bundles
from trashlens.classifier import Classifier, load_classifiers
from trashlens.comparison import Comparison, compare
from trashlens.errors import BundleError, DataError, ImageError
from trashlens.providers import CPU

__all__ = ["PredictBatch", "compare_many"]

COLUMNS = ("image", "bytes", "path")
"""Where photos are looked for unless a column is named: what `datasets` and Ray Data call theirs."""
AHEAD = 8
"""Photos begun or answered before the first of them is asked for, per worker: enough that one large photo holds up
nobody."""


def compare_many(
    classifiers: Mapping[str, Classifier], paths: Iterable[Path], *, workers: int
) -> Generator[tuple[Path, Comparison | ImageError]]:
    """Yield each photo's path and what the networks say about it, or what is wrong with it, in the order given.

    `workers` photos are worked on at a time, each in a thread: decoding and inference leave Python to the others.
    `paths` is read no further than `AHEAD` for each of them. Once the iterator is closed nothing new is begun, and
    only the photos in work are waited for.
    """
    pool = ThreadPoolExecutor(workers)
    pending: deque[tuple[Path, Future[Comparison | ImageError]]] = deque()
    try:
        for path in paths:
            pending.append((path, pool.submit(_attempt, classifiers, path)))
            if len(pending) == AHEAD * workers:
                yield _wait_for_first(pending)
        while pending:
            yield _wait_for_first(pending)
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class PredictBatch:
    """Asks the networks about each photo of a batch: the function to map over a table of photos.

    Small to pickle: the sessions are opened when the first batch comes, once in each process, with one thread
    each, since the engines use the cores by starting processes. Photos run one by one, for a processor takes as
    long for each of 16 in one run.

    Raises:
        BundleError: a bundle is missing or damaged.
    """

    models: str | os.PathLike[str]
    """Folder of the bundles; each process looks for it."""
    roles: Sequence[str] = field(default=ROLES, kw_only=True)
    """The networks to ask."""
    column: str | None = field(default=None, kw_only=True)
    """Column of the photos; without one the first of `image`, `bytes` and `path` that a batch has."""
    provider: str = field(default=CPU, kw_only=True)
    """Where ONNX Runtime computes, see `trashlens.providers`."""
    bundles: str = field(init=False)
    """Hash of the bundles' records: whoever caches answers by what was asked, as `datasets` does, asks anew when
    they have changed."""

    def __post_init__(self) -> None:
        # Plain values, which every engine pickles to the same bytes.
        object.__setattr__(self, "models", os.fspath(self.models))
        object.__setattr__(self, "roles", tuple(self.roles))
        object.__setattr__(self, "bundles", _identify(Path(self.models), self.roles))

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answers as columns: `<role>_label`, `<role>_confidence`, `<role>_sure` and `problem`.

        A photo is a path, a file's bytes, a PIL image or the `{"bytes", "path"}` that `datasets` has of one not
        decoded. The batch's other columns come along, and so do paths, but not the photos themselves.

        `problem` is empty, or the sentence that says why the photo cannot be read; then the labels are empty and
        the confidences not a number. There are no nulls: a batch of nothing else would change a column's type.

        Raises:
            BundleError: the bundles cannot be read or run, or are others than when the function was made.
            DataError: there is no column of photos.
            ProviderError: the installed ONNX Runtime does not compute on the provider.
        """
        column = self.column or next((name for name in COLUMNS if name in batch), None)
        if column is None or column not in batch:
            raise DataError(
                f"The batch has no column {self.column or ' or '.join(COLUMNS)}, but {', '.join(batch)}. "
                "Name the one that holds the photos: PredictBatch(models, column=...)."
            )
        photos = list(batch[column])
        classifiers = _open(Path(self.models), self.roles, self.provider, self.bundles, os.getpid())
        answers = [_attempt(classifiers, _find_source(photo)) for photo in photos]
        kept = {name: batch[name] for name in batch if name != column}
        if all(isinstance(photo, str) for photo in photos):
            kept[column] = photos
        return kept | _tabulate(answers, self.roles)


def _attempt(
    classifiers: Mapping[str, Classifier], source: bytes | str | Path | Image.Image
) -> Comparison | ImageError:
    """Return the comparison, or the reason why there is none."""
    try:
        return compare(classifiers, source)
    except ImageError as error:
        return error


def _wait_for_first(
    pending: deque[tuple[Path, Future[Comparison | ImageError]]],
) -> tuple[Path, Comparison | ImageError]:
    path, answer = pending.popleft()
    return path, answer.result()


def _identify(models: Path, roles: Sequence[str]) -> str:
    """Return a hash of the records of the bundles, which name their graphs' SHA-256; both are checked."""
    if not roles or not set(roles) <= set(ROLES):
        raise BundleError(f"Roles are {', '.join(ROLES)}; choose at least one of these.")
    load_bundles(models, roles=roles)
    records = b"".join((models / role / JSON_FILE).read_bytes() for role in roles)
    return hashlib.sha256(records).hexdigest()


@lru_cache(maxsize=4)
def _open(
    models: Path, roles: Sequence[str], provider: str, bundles: str, _process: int
) -> Mapping[str, Classifier]:
    """Open the sessions; a forked process opens its own, for those of its parent do not work in it."""
    if _identify(models, roles) != bundles:
        raise BundleError(
            f"The bundles in {models} are no longer those that this job began with. Start it again."
        )
    return load_classifiers(models, roles=roles, threads=1, provider=provider)


def _find_source(photo: Any) -> bytes | str | Image.Image:
    """Return what `decode_image` reads, out of what the engines hand over.

    Raises:
        DataError: it is nothing that can hold a photo.
    """
    if isinstance(photo, Mapping):
        photo = photo.get("bytes") or photo.get("path")
    if photo is None:
        return b""  # refused as an empty file
    if isinstance(photo, (bytes, str, Image.Image)):
        return photo
    raise DataError(
        f"A photo is a path, bytes, a PIL image or a dict of bytes and path, not {type(photo).__name__}. "
        "Name the column that holds the photos: PredictBatch(models, column=...)."
    )


def _tabulate(answers: Sequence[Comparison | ImageError], roles: Sequence[str]) -> dict[str, list[Any]]:
    """Return the answers as columns, each of one type."""
    columns: dict[str, list[Any]] = {}
    for role in roles:
        given = [None if isinstance(one, ImageError) else one.predictions[role] for one in answers]
        columns[f"{role}_label"] = [one.label if one else "" for one in given]
        columns[f"{role}_confidence"] = [one.confidence if one else float("nan") for one in given]
        columns[f"{role}_sure"] = [one.sure if one else False for one in given]
    columns["problem"] = [str(one) if isinstance(one, ImageError) else "" for one in answers]
    return columns
