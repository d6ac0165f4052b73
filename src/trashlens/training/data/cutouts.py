"""The prepared photos taken apart, kept beside them: minutes once instead of at every run, seed and fold."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from trashlens.files import hash_file, replace_file
from trashlens.training.data.foreground import Cutout, cut_out

__all__ = ["read_cutouts"]


def read_cutouts(folder: Path, paths: Sequence[Path], images: Sequence[Image.Image]) -> list[Cutout]:
    """Return each photo taken apart; `paths` are the files of `images`.

    What is not there yet is made and kept in `folder`, as a PNG named by the photo's SHA-256, since the folds
    prepare the same photos again: object, hull and light as red, green and blue.
    """
    files = [folder / f"{hash_file(path)}.png" for path in paths]
    folder.mkdir(parents=True, exist_ok=True)

    def read(index: int) -> Cutout:
        photo = np.array(images[index])
        if files[index].is_file():
            parts = np.array(Image.open(files[index]))
            return Cutout(photo, *(np.ascontiguousarray(parts[..., part]) for part in range(3)))
        cutout = cut_out(photo)
        parts = np.stack([cutout.mask, cutout.hull, cutout.light], axis=-1)
        buffer = io.BytesIO()
        Image.fromarray(parts).save(buffer, "PNG", compress_level=1)
        replace_file(files[index], buffer.getvalue())
        return cutout

    with ThreadPoolExecutor() as pool:
        quiet = all(file.is_file() for file in files)
        return list(
            tqdm(
                pool.map(read, range(len(files))),
                "cutting out objects",
                total=len(files),
                unit="photo",
                disable=quiet,
            )
        )
