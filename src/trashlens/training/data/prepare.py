"""From the source to split photos on disk: `processed/{train,val,test}/<class>/`."""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from trashlens.errors import DataError, ImageError
from trashlens.files import replace_file, replace_folder
from trashlens.image import decode_image
from trashlens.training.data.added import ADDED_FILE, add_feedback
from trashlens.training.data.config import DataConfig
from trashlens.training.data.folders import TRASHNET, read_folder_set
from trashlens.training.data.jpegs import encode_jpeg, scale_to
from trashlens.training.data.manifest import SPLITS, Photo, format_manifest, read_groups
from trashlens.training.data.record import count_photos, hash_content, write_data_record
from trashlens.training.data.source import HUB_DATASET, contradictory_twins, read_source
from trashlens.training.data.splitting import read_split, split_photos
from trashlens.training.data.taco import TACO, prepare_taco

__all__ = ["Original", "prepare_data", "read_originals"]


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
    if add is not None and (config.source == TACO or config.dataset not in TRASHNET):
        other = TACO if config.source == TACO else config.dataset
        raise DataError(f"Feedback is added to TrashNet's photos only: leave out --add with {other}.")
    if config.source == TACO:
        return _prepare_crops(config)
    files, hashes, about = _read(config)
    photos = split_photos(config, hashes)
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
        "content_sha256": hash_content(hashes | (added.hashes if added else {})),
        "differ_from_manifest": sum(hashes[photo.path] != photo.sha256 for photo in photos),
        "photos": count_photos((photo.split, photo.label) for photo in photos),
        **about,
        **({"added": added.record} if added else {}),
    }
    with replace_folder(config.processed) as staging:
        _write_photos(photos, files, staging, config.short_side_px)
        if added:
            _write_photos(added.photos, added.files, staging, config.short_side_px)
        write_data_record(staging, record)
        if drawn:
            replace_file(config.manifest, manifest)
        if added:
            replace_file(config.folder / ADDED_FILE, added.manifest)
    return record


def _prepare_crops(config: DataConfig) -> dict[str, Any]:
    """Write TACO's crops, see `prepare_taco`.

    Raises:
        DataError: they cannot be made.
    """
    return prepare_taco(
        config.taco,
        images=config.images,
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
        content = encode_jpeg(scale_to(image, short_side_px))
        (folder / photo.split / photo.path).write_bytes(content)

    with ThreadPoolExecutor() as pool:
        list(tqdm(pool.map(write, photos), "photos", total=len(photos), unit="photo"))
