"""From the source to split photos on disk: `processed/{train,val,test}/<class>/`."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from PIL import Image
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from trashlens.errors import DataError, ImageError
from trashlens.files import replace_file, replace_folder
from trashlens.image import decode_image
from trashlens.training.data.added import ADDED_FILE, add_feedback
from trashlens.training.data.folders import FOLDER_SETS, TRASHNET, read_folder_set
from trashlens.training.data.manifest import (
    FOLDS,
    GROUPED_FILE,
    SPLITS,
    Photo,
    format_manifest,
    read_grouped,
    read_groups,
    read_manifest,
)
from trashlens.training.data.source import HUB_DATASET, contradictory_twins, read_source
from trashlens.training.data.taco import TACO, TacoConfig, prepare_taco

__all__ = [
    "DataConfig",
    "Original",
    "prepare_data",
    "read_data_record",
    "read_originals",
    "read_split",
    "splits_differ",
]

RECORD_FILE = "data.json"
DATASETS = (*TRASHNET, *FOLDER_SETS)
"""The sets of photos that training reads."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the photos come from and how they are split."""

    dataset: str = "trashnet"
    """`trashnet`, also called `garbage` after its copy on Kaggle, or a set of image folders: `recycle`, or
    `recycle-small`, as many photos of it as the garbage set has, drawn by the seed."""
    source: str = "hub"
    """`hub` (garythung/trashnet), or the path of dataset-resized.zip or of a folder with the six classes; of
    `recycle` and `recycle-small` the folder that was downloaded; or `taco`, crops of TACO's photos by the settings
    of `taco`."""
    revision: str = "main"
    """Commit, tag or branch of the Hub dataset; what it resolved to is recorded."""
    folder: Path = Path("data")
    """Holds the committed manifests; the photos are written to `processed` below it."""
    split: Literal["official", "random", "grouped"] = "official"
    """The dataset's own lists, 80/10/10 stratified by class, or five folds with no object on two sides."""
    fold: int = 0
    """Which of the grouped split's five folds, 0 to 4, is the test split."""
    seed: int = 0
    """Seed of the random split."""
    short_side_px: int = 256
    """Shorter side of the photos written for training, pixels."""
    taco: TacoConfig = field(default_factory=TacoConfig)
    """How TACO's photos become crops; with the source `taco` alone."""

    def __post_init__(self) -> None:
        if self.short_side_px < 32:
            raise ValueError("short_side_px must be at least 32.")
        if not 0 <= self.fold < FOLDS:
            raise ValueError(f"fold must lie in 0 to {FOLDS - 1}.")
        if self.dataset not in DATASETS:
            raise ValueError(f"There is no dataset {self.dataset!r}; known are {', '.join(DATASETS)}.")
        if self.dataset not in TRASHNET and self.split != "random":
            raise ValueError(f"{self.dataset} has no official and no grouped split: give split random.")
        if self.fold and self.split != "grouped":
            raise ValueError("Only the grouped split has folds: give split grouped with fold.")
        if self.source == TACO and self.split == "grouped":
            raise ValueError("The source taco has no grouped split: take official or random.")

    @property
    def processed(self) -> Path:
        """Folder of the prepared photos, `{train,val,test}/<class>/`; each fold and each data set has its own."""
        if self.source == TACO:
            return self.folder / "processed-taco"
        fold = f"-fold{self.fold}" if self.split == "grouped" else ""
        dataset = "" if self.dataset in TRASHNET else f"-{self.dataset}"
        return self.folder / f"processed{dataset}{fold}"

    @property
    def manifest(self) -> Path:
        """The split manifest: the committed official or grouped one, or the random split's own."""
        if self.source == TACO:
            drawn = self.split == "random"
            return self.folder / (f"taco-random-{self.seed}.csv" if drawn else "taco-official.csv")
        dataset = TRASHNET[0] if self.dataset in TRASHNET else self.dataset
        names = {
            "official": "trashnet-official.csv",
            "random": f"{dataset}-random-{self.seed}.csv",
            "grouped": GROUPED_FILE,
        }
        return self.folder / names[self.split]


class Original(NamedTuple):
    """One of the source's own files, as a visitor would upload it."""

    path: str
    """`<class>/<file name>` in the source."""
    data: bytes
    """The file's content."""
    label: str
    """Class, one of `LABELS`."""
    group: str
    """The object on the photo, from `trashnet-grouped.csv`; the path itself where that says nothing."""


def prepare_data(config: DataConfig, *, add: Path | None = None) -> dict[str, Any]:
    """Write the split photos to `config.processed` and return the record kept beside them.

    The record (`data.json`) holds source, revision, split (with its seed if random, its fold if grouped),
    the hash of the manifest, the photos by split and class, the dropped paths, and how many files differ in
    bytes from the manifest (a re-encoded copy of TrashNet has the same photos under the same names with
    other bytes). An earlier result stays in place until the new one is complete.

    With `add`, a folder of feedback, its photos lie among those of train; the record then has `added`, with
    their own manifest `feedback.csv` and its hash. Every other number is TrashNet's alone.

    Raises:
        DataError: the source is missing, damaged or not TrashNet, or there is no feedback that can be added;
            nothing is written.
    """
    if config.source == TACO:
        return _prepare_crops(config, add=add)
    files, hashes, about = _read(config)
    if add is not None and config.dataset not in TRASHNET:
        raise DataError(f"Feedback is of TrashNet's classes: leave out --add with {config.dataset}.")
    photos = _split(config, hashes)
    added = add_feedback(add, files) if add else None
    drawn = config.split == "random"
    manifest = format_manifest(photos) if drawn else config.manifest.read_bytes()
    record = {
        "source": "hub" if config.source == "hub" else Path(config.source).name,
        "split": config.split,
        "seed": config.seed if drawn else None,
        "fold": config.fold if config.split == "grouped" else None,
        "short_side_px": config.short_side_px,
        "manifest": config.manifest.name,
        "manifest_sha256": hashlib.sha256(manifest).hexdigest(),
        "content_sha256": _content_hash(hashes | (added.hashes if added else {})),
        "differ_from_manifest": sum(hashes[photo.path] != photo.sha256 for photo in photos),
        "photos": _count_photos(photos),
        **about,
        **({"added": added.record} if added else {}),
    }
    with replace_folder(config.processed) as staging:
        _write_photos(photos, files, staging, config.short_side_px)
        if added:
            _write_photos(added.photos, added.files, staging, config.short_side_px)
        (staging / RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        if drawn:
            replace_file(config.manifest, manifest)
        if added:
            replace_file(config.folder / ADDED_FILE, added.manifest)
    return record


def _prepare_crops(config: DataConfig, *, add: Path | None) -> dict[str, Any]:
    """Write TACO's crops, see `prepare_taco`.

    Raises:
        DataError: they cannot be made, or feedback is to be added, whose classes are TrashNet's.
    """
    if add is not None:
        raise DataError(
            "Feedback is added to TrashNet's photos only: leave out --add with --source taco."
        )
    return prepare_taco(
        config.taco,
        images=config.taco.images or config.folder / "raw" / TACO,
        processed=config.processed,
        manifest=config.manifest,
        seed=config.seed if config.split == "random" else None,
        short_side_px=config.short_side_px,
    )


def _read(config: DataConfig) -> tuple[Mapping[str, bytes], dict[str, str], dict[str, Any]]:
    """Return a data set's files, the SHA-256 of those that are kept, and what is to be recorded about it."""
    if config.dataset not in TRASHNET:
        kept, known, found = read_folder_set(config.dataset, config.source, seed=config.seed)
        return kept, known, {"dataset": config.dataset, "revision": None, **found}
    files, commit = read_source(config.source, config.revision)
    hashes = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    dropped = contradictory_twins(hashes)
    hashes = {path: digest for path, digest in hashes.items() if path not in dropped}
    return (
        files,
        hashes,
        {"dataset": HUB_DATASET, "revision": commit, "dropped": sorted(dropped)},
    )


def read_originals(config: DataConfig, *splits: str) -> list[Original]:
    """Return the source's own files of the splits with their classes and groups.

    Raises:
        DataError: the source or the manifest is missing, damaged or not TrashNet.
    """
    files, _ = read_source(config.source, config.revision)
    photos, groups = read_split(config), read_groups(config.folder)
    missing = [photo.path for photo in photos if photo.path not in files]
    if missing:
        raise DataError(f"{len(missing)} photos of {config.manifest} are not in the source.")
    return [
        Original(photo.path, files[photo.path], photo.label, groups.get(photo.path, photo.path))
        for photo in photos
        if photo.split in splits
    ]


def read_data_record(config: DataConfig) -> dict[str, Any]:
    """Return what `prepare_data` recorded about the photos in `config.processed`.

    Raises:
        DataError: nothing has been prepared there.
    """
    try:
        record: dict[str, Any] = json.loads((config.processed / RECORD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{config.processed} holds no prepared photos. Run `trashlens data` first."
        ) from error
    return record


def splits_differ(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Return whether two records of prepared photos are known to part them differently.

    Then training photos of one may be test photos of the other. What a record does not say differs in nothing;
    the seed counts for a random split alone, the fold for a grouped one.
    """
    keys = ("split", *{"random": ("seed",), "grouped": ("fold",)}.get(second.get("split", ""), ()))
    return any(key in first and key in second and first[key] != second[key] for key in keys)


def _count_photos(photos: Sequence[Photo]) -> dict[str, dict[str, int]]:
    """Return the number of photos by split and class."""
    return {
        split: dict(sorted(Counter(photo.label for photo in photos if photo.split == split).items()))
        for split in SPLITS
    }


def _content_hash(hashes: Mapping[str, str]) -> str:
    """Return one SHA-256 over every photo's path and hash: names exactly what was trained on."""
    lines = "".join(f"{path},{hashes[path]}\n" for path in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()


def read_split(config: DataConfig) -> list[Photo]:
    """Return every photo with its split, as the manifest says.

    Raises:
        DataError: the manifest is missing or damaged.
    """
    if config.split != "grouped":
        return read_manifest(config.manifest)
    return [
        Photo(path=photo.path, label=photo.label, split=photo.split_in(config.fold), sha256=photo.sha256)
        for photo in read_grouped(config.manifest)
    ]


def _split(config: DataConfig, hashes: Mapping[str, str]) -> list[Photo]:
    """Return every photo with its split: as a committed manifest says, or drawn anew."""
    if config.split != "random":
        photos = read_split(config)
        unknown = {photo.path for photo in photos} ^ set(hashes)
        if unknown:
            raise DataError(
                f"{len(unknown)} photos differ between the source and {config.manifest}, first {min(unknown)}. "
                f"The {config.split} split needs TrashNet's own file names."
            )
        return photos
    paths = sorted(hashes)
    labels = [path.split("/")[0] for path in paths]
    try:
        train, rest, _, rest_labels = train_test_split(
            paths, labels, train_size=0.8, stratify=labels, random_state=config.seed
        )
        val, test = train_test_split(
            rest, train_size=0.5, stratify=rest_labels, random_state=config.seed
        )
    except ValueError as error:  # a class of a handful
        raise DataError(
            f"{min(Counter(labels).values())} photos of a class are too few to split: each needs about 20."
        ) from error
    return [
        Photo(path=path, label=path.split("/")[0], split=split, sha256=hashes[path])
        for split, members in zip(SPLITS, (train, val, test), strict=True)
        for path in members
    ]


def _write_photos(
    photos: Sequence[Photo], files: Mapping[str, bytes], folder: Path, short_side_px: int
) -> None:
    for split in SPLITS:
        for label in sorted({photo.label for photo in photos}):
            (folder / split / label).mkdir(parents=True, exist_ok=True)

    def write(photo: Photo) -> None:
        try:
            image = decode_image(files[photo.path])
        except ImageError as error:
            raise DataError(f"{photo.path} of the source cannot be used: {error}") from error
        scale = short_side_px / min(image.size)
        size = (round(image.width * scale), round(image.height * scale))
        buffer = io.BytesIO()
        # Quality 95 without chroma subsampling: the second compression costs the networks nothing measurable.
        image.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95, subsampling=0)
        (folder / photo.split / photo.path).write_bytes(buffer.getvalue())

    with ThreadPoolExecutor() as pool:
        list(tqdm(pool.map(write, photos), "photos", total=len(photos), unit="photo"))
