"""From TACO's annotations to crops on disk: `{train,val,test}/<class>/`, with a record of what was left out."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from trashlens.errors import DataError
from trashlens.files import replace_file, replace_folder
from trashlens.training.data.record import count_photos, hash_content, write_data_record
from trashlens.training.data.taco.annotations import Annotations, Scene, read_annotations
from trashlens.training.data.taco.classes import map_categories
from trashlens.training.data.taco.config import REPOSITORY, TacoConfig
from trashlens.training.data.taco.cutter import Crop, Cutter
from trashlens.training.data.taco.download import Downloader
from trashlens.training.data.taco.inputs import (
    describe_crops,
    hash_inputs,
    is_address,
    locate_annotations,
    locate_table,
)
from trashlens.training.data.taco.split import draw_split, format_split, read_split

__all__ = ["MISSING_FILE", "prepare_taco"]

MISSING_FILE = "missing.csv"
"""Beside the images: those that no server has any more, or that are not to be fetched."""


def prepare_taco(
    config: TacoConfig,
    *,
    images: Path,
    processed: Path,
    manifest: Path,
    seed: int | None,
    short_side_px: int,
) -> dict[str, Any]:
    """Write TACO's crops to `processed` and return the record kept beside them.

    `seed` draws the split anew and writes `manifest`; None takes the manifest as it is. The record has the keys of
    `prepare_data`'s, counting crops, and `taco`: what the crops were made by, photos by split, `left_out` boxes by
    why, and `missing` photos. An earlier result stays in place until the new one is complete.

    Raises:
        DataError: annotations, classes or manifest do not hold, images could not be fetched, or no crop is left
            to train on; what has been fetched stays, and nothing else is written.
    """
    with closing(Downloader(images, config)) as downloader:
        annotations = _load_annotations(config, downloader)
        classes = map_categories(
            config.classes,
            annotations.categories,
            fetch_map=lambda name: _load_map(name, config, downloader),
        )
        scenes = annotations.scenes
        split = draw_split(scenes, seed=seed) if seed is not None else read_split(manifest, scenes)
        missing = _find_images(scenes, images, downloader if config.fetch else None)
    drawn = seed is not None
    left_out = Counter(annotations.left_out)
    rows = format_split(scenes, split) if drawn else manifest.read_bytes()
    with replace_folder(processed) as staging:
        cutter = Cutter(
            config=config,
            classes=classes,
            split=split,
            images=images,
            folder=staging,
            short_side_px=short_side_px,
        )
        crops = cutter.write([s for s in scenes if s.path not in missing], left_out)
        left_out["image missing"] += sum(len(s.boxes) for s in scenes if s.path in missing)
        crops = _drop_untrained(crops, left_out, staging)
        record: dict[str, Any] = {
            "dataset": "TACO",
            "source": "taco",
            "revision": None,
            "split": "random" if drawn else "official",
            "seed": seed,
            "fold": None,
            "short_side_px": short_side_px,
            "manifest": manifest.name,
            "manifest_sha256": hashlib.sha256(rows).hexdigest(),
            "content_sha256": hash_content({crop.path: crop.sha256 for crop in crops}),
            "differ_from_manifest": 0,
            "photos": count_photos(crop.place for crop in crops),
            "dropped": [],
            "taco": {
                **describe_crops(config),
                **hash_inputs(config, images),
                "mapping": classes,
                "images": dict(Counter(split[s.path] for s in scenes if s.path not in missing)),
                "left_out": {why: count for why, count in sorted(left_out.items()) if count},
                "missing": sorted(missing),
            },
        }
        write_data_record(staging, record)
        if drawn:
            replace_file(manifest, rows)
    return record


def _load_annotations(config: TacoConfig, downloader: Downloader) -> Annotations:
    path = locate_annotations(config, downloader.folder)
    if is_address(config.annotations):
        downloader.fetch_file(config.annotations, path.name)
    if not path.is_file():
        raise DataError(f"There is no {path}. Give TACO's annotations.json, or its address.")
    return read_annotations(path.read_bytes(), str(path))


def _load_map(name: str, config: TacoConfig, downloader: Downloader) -> bytes:
    """Return TACO's own table: from where it lies, or else from its repository."""
    path = locate_table(config, downloader.folder)
    if path is None or not path.is_file():
        address = f"{REPOSITORY}/detector/taco_config/{name}.csv"
        path = downloader.fetch_file(address, f"maps/{name}.csv")
    return path.read_bytes()


def _find_images(
    scenes: Sequence[Scene], images: Path, downloader: Downloader | None
) -> Mapping[str, str]:
    """Return why, by path, each image that cannot be had is missing, and list them in a file beside the others."""
    if downloader is not None:
        missing = downloader.fetch_images(scenes)
    else:
        missing = {s.path: "not fetched" for s in scenes if not (images / s.path).is_file()}
    if len(missing) == len(scenes):
        raise DataError(f"None of the {len(scenes):,} images is in {images}, and none could be fetched.")
    if missing:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["path", "address", "why"])
        writer.writerows([s.path, s.address, missing[s.path]] for s in scenes if s.path in missing)
        replace_file(images / MISSING_FILE, text.getvalue().encode())
    else:
        (images / MISSING_FILE).unlink(missing_ok=True)
    return missing


def _drop_untrained(crops: Sequence[Crop], left_out: Counter[str], folder: Path) -> list[Crop]:
    """Return the crops without those of classes that train does not have, and delete these.

    Raises:
        DataError: fewer than two classes have crops to train on.
    """
    trained = {label for split, label in (crop.place for crop in crops) if split == "train"}
    if len(trained) < 2:
        raise DataError(
            f"Only {len(trained)} classes have crops to train on. Fetch more images, or lower taco.min_side_px."
        )
    kept = []
    for crop in crops:
        if crop.place[1] in trained:
            kept.append(crop)
        else:
            (folder / crop.path).unlink()
            left_out["class not in train"] += 1
    return kept
