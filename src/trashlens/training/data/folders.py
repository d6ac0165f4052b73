"""Sets of photos that come as folders named like their classes: found, checked, cleaned, and drawn from.

Nobody may hand them on, so a user downloads them and names the folder. Unlike TrashNet's, their files are known by
number only: what is there is checked and reported, and what would spoil a measurement is left out.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from trashlens.errors import DataError, ImageError
from trashlens.image import decode_image, list_photos

__all__ = ["FOLDER_SETS", "TRASHNET", "FolderSet", "PhotoFiles", "find_leaving", "read_folder_set"]

TRASHNET = ("trashnet", "garbage")
"""The names of TrashNet: Kaggle's garbage classification is a copy of it, with its file names and lists."""


@dataclass(frozen=True, kw_only=True)
class FolderSet:
    """What is known of a set of photos before it is read."""

    note: str
    """Where a user gets it."""
    classes: int
    """How many classes it has."""
    photos: int
    """How many photos it is said to have."""
    drawn: int | None = None
    """How many photos are drawn from it at random; None for all."""
    part_of: str | None = None
    """The name of the whole set, if this is drawn from one."""


SINGH = "Download Singh's recycling set (11,500 photos in 5 classes) from Kaggle and unpack it"
FOLDER_SETS: Mapping[str, FolderSet] = {
    "recycle": FolderSet(note=SINGH, classes=5, photos=11_500),
    # As many as the garbage set: what is then left of a difference is not the number of photos.
    "recycle-small": FolderSet(note=SINGH, classes=5, photos=11_500, drawn=2_527, part_of="recycle"),
}
"""By name: the sets that training reads beside TrashNet."""


class PhotoFiles(Mapping[str, bytes]):
    """The content of files by `<class>/<file name>`, read at each access: thousands need not fit in memory."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        """Take where each file lies."""
        self.paths = dict(paths)

    def __getitem__(self, key: str) -> bytes:
        """Return a file's content."""
        return self.paths[key].read_bytes()

    def __iter__(self) -> Iterator[str]:
        """Yield the names in order."""
        return iter(self.paths)

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.paths)


def read_folder_set(
    name: str, source: str, *, seed: int
) -> tuple[PhotoFiles, dict[str, str], dict[str, Any]]:
    """Return the photos of a set that are of use, the SHA-256 of each, and what the checks found.

    What they found: `expected` and `found` photos, the classes' `counts`, `left_out`, numbers by why (see
    `find_leaving`), the `dropped` paths, sorted, and how many photos were `drawn`, if not all.

    Raises:
        DataError: there is no such folder, it has not the set's classes, or too few photos are left.
    """
    known = FOLDER_SETS[name]
    if source == "hub" or not Path(source).is_dir():
        missing = "it is not on the Hub" if source == "hub" else f"there is no folder {source}"
        raise DataError(
            f"{name} cannot be read: {missing}. {known.note}, then give its folder as --source."
        )
    paths = _find_photos(Path(source))
    counts = Counter(path.split("/")[0] for path in paths)
    if len(counts) != known.classes:
        raise DataError(
            f"{source} holds photos in {len(counts)} folders ({', '.join(sorted(counts)) or 'none'}), and {name} "
            f"has {known.classes} classes. {known.note}, then give the folder that holds the classes."
        )
    files = PhotoFiles(paths)
    hashes = _check_all(files)
    leaving = find_leaving(hashes)
    kept = {
        path: digest for path, digest in hashes.items() if path not in leaving and digest is not None
    }
    chosen = _draw(sorted(kept), known.drawn, name=name, seed=seed)
    found = {
        "expected": known.photos,
        "found": len(paths),
        "counts": dict(sorted(counts.items())),
        "left_out": dict(sorted(Counter(leaving.values()).items())),
        "dropped": sorted(leaving),
        "drawn": known.drawn,
    }
    return (
        PhotoFiles({path: paths[path] for path in chosen}),
        {path: kept[path] for path in chosen},
        found,
    )


def find_leaving(hashes: Mapping[str, str | None]) -> dict[str, str]:
    """Return the photos that are to be left out, by path, with the reason.

    `broken` ones cannot be decoded (their hash is None). Of identical files all are `contradictory` if they lie
    in several classes; else all but the first are `duplicate`, since one in train would give away one in test.
    """
    leaving = {path: "broken" for path, digest in hashes.items() if digest is None}
    twins: dict[str, list[str]] = defaultdict(list)
    for path, digest in sorted(hashes.items()):
        if digest is not None:
            twins[digest].append(path)
    for paths in twins.values():
        if len({path.split("/")[0] for path in paths}) > 1:
            leaving |= dict.fromkeys(paths, "contradictory")
        else:
            leaving |= dict.fromkeys(paths[1:], "duplicate")
    return leaving


def _find_photos(folder: Path) -> dict[str, Path]:
    """Return every photo below the folder by `<class>/<file name>`; its class is the folder that it lies in.

    Where two have one name, as `train/glass/1.jpg` and `test/glass/1.jpg`, the folders above are put before it;
    where that is not enough, as with `Glass/1.jpg` and `glass/1.jpg`, the beginning of the path's SHA-256.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    for path in list_photos(folder):
        if path.parent != folder and "__MACOSX" not in path.parts:
            found[f"{path.parent.name.strip().lower()}/{path.name}"].append(path)
    wanted: dict[str, list[Path]] = defaultdict(list)
    for key, paths in found.items():
        label, name = key.split("/")
        for path in paths:
            above = "-".join(path.relative_to(folder).parts[:-2])
            wanted[key if len(paths) == 1 else f"{label}/{above}-{name}"].append(path)
    named = {}
    for key, paths in wanted.items():
        label = key.split("/")[0]
        for path in paths:
            mark = hashlib.sha256(path.relative_to(folder).as_posix().encode()).hexdigest()[:8]
            named[key if len(paths) == 1 else f"{label}/{mark}-{path.name}"] = path
    return named


def _check_all(files: PhotoFiles) -> dict[str, str | None]:
    """Return the SHA-256 of each file, None for one that cannot be decoded."""

    def check(path: str) -> str | None:
        data = files[path]
        try:
            decode_image(data)
        except ImageError:
            return None
        return hashlib.sha256(data).hexdigest()

    with ThreadPoolExecutor() as pool:
        digests = tqdm(pool.map(check, files), "checked", total=len(files), unit="photo")
        return dict(zip(files, digests, strict=True))


def _draw(paths: Sequence[str], count: int | None, *, name: str, seed: int) -> list[str]:
    """Return so many of the paths, drawn at random by the seed, sorted; all of them where no number is given."""
    if count is None:
        return list(paths)
    if len(paths) < count:
        raise DataError(
            f"{name} draws {count:,} photos, and only {len(paths):,} are of use. Download it again."
        )
    drawn = np.random.default_rng(seed).permutation(len(paths))[:count]
    return [paths[index] for index in sorted(drawn)]
