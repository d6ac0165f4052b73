"""The prepared training photos taken apart, kept beside them: half a minute once instead of at every run."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from trashlens.files import replace_file
from trashlens.training.data.foreground import Cutout, cut_out

__all__ = ["read_cutouts"]

FOLDER = "cutouts"


def read_cutouts(processed: Path, paths: Sequence[Path], images: Sequence[Image.Image]) -> list[Cutout]:
    """Return each photo taken apart; `paths` are those of `images` below `processed`.

    What is not there yet is made and kept as `processed/cutouts/<split>/<class>/<name>.png`: object, hull and
    light as red, green and blue.
    """
    files = [
        processed / FOLDER / path.relative_to(processed.resolve()).with_suffix(".png") for path in paths
    ]

    def read(index: int) -> Cutout:
        photo = np.array(images[index])
        if files[index].is_file():
            parts = np.array(Image.open(files[index]))
            return Cutout(photo, *(np.ascontiguousarray(parts[..., part]) for part in range(3)))
        cutout = cut_out(photo)
        parts = np.stack([cutout.mask, cutout.hull, cutout.light], axis=-1)
        buffer = io.BytesIO()
        Image.fromarray(parts).save(buffer, "PNG", compress_level=1)
        files[index].parent.mkdir(parents=True, exist_ok=True)
        replace_file(files[index], buffer.getvalue())
        return cutout

    with ThreadPoolExecutor() as pool:
        quiet = all(file.is_file() for file in files)
        return list(
            tqdm(
                pool.map(read, range(len(files))),
                "objects",
                total=len(files),
                unit="photo",
                disable=quiet,
            )
        )
