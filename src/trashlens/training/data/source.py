"""TrashNet's files, from the Hub, a zip or a folder, checked and cleaned of contradictions.

Two traps of the source are handled here. The Hub repository holds every photo twice, so only
`dataset-resized.zip` is read and its photos are counted. Three pairs of identical photos carry
contradictory labels, so all six are left out: 2,521 of 2,527 remain.
"""

import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from pathlib import Path

from huggingface_hub import hf_hub_download

from trashlens.errors import DataError

__all__ = ["HUB_DATASET", "LABELS", "contradictory_twins", "read_source"]

HUB_DATASET = "garythung/trashnet"
HUB_FILE = "dataset-resized.zip"
COUNTS = {"cardboard": 403, "glass": 501, "metal": 410, "paper": 594, "plastic": 482, "trash": 137}
LABELS = tuple(COUNTS)
"""The project's class order: alphabetical (the source's own `constants.py` has another)."""


def read_source(source: str, revision: str) -> tuple[dict[str, bytes], str | None]:
    """Return TrashNet's 2,527 files by `<class>/<name>` (43 MB in memory), and the Hub commit, if any.

    Raises:
        DataError: the source is missing, damaged or not TrashNet.
    """
    files, commit = _read_files(source, revision)
    _check_counts(files)
    return files, commit


def _read_files(source: str, revision: str) -> tuple[dict[str, bytes], str | None]:
    if source == "hub":
        archive = _download(revision)
        # The Hub's cache keeps a file below the commit it belongs to.
        return _read_zip(archive), archive.parent.name
    path = Path(source)
    if path.is_dir():
        return _read_folder(path), None
    if not path.is_file():
        raise DataError(
            f"There is no {path}. Give dataset-resized.zip, a folder with the six classes, or `hub`."
        )
    return _read_zip(path), None


def _download(revision: str) -> Path:
    try:
        path = hf_hub_download(HUB_DATASET, HUB_FILE, repo_type="dataset", revision=revision)
    except Exception as error:  # requests, offline mode, unknown revision: one meaning for the user
        raise DataError(
            f"{HUB_FILE} of {HUB_DATASET}@{revision} could not be downloaded ({type(error).__name__}). "
            "Check the connection and the revision, or give a local copy with --source."
        ) from error
    return Path(path)


def _read_zip(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if _photo_key(Path(name))]
            return {_photo_key(Path(name)): archive.read(name) for name in names}
    # RuntimeError: encrypted, or compressed in a way that zipfile does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise DataError(f"{path} is damaged or not a zip file. Download {HUB_FILE} again.") from error


def _read_folder(path: Path) -> dict[str, bytes]:
    return {
        _photo_key(file): file.read_bytes() for file in sorted(path.rglob("*.jpg")) if _photo_key(file)
    }


def _photo_key(path: Path) -> str:
    """Return `<class>/<name>` for a photo of one of the classes, else the empty string."""
    is_photo = path.suffix == ".jpg" and path.parent.name in COUNTS and "__MACOSX" not in path.parts
    return f"{path.parent.name}/{path.name}" if is_photo else ""


def _check_counts(files: Mapping[str, bytes]) -> None:
    counts = Counter(path.split("/")[0] for path in files)
    wrong = [
        f"{label} has {counts[label]} of {expected}"
        for label, expected in COUNTS.items()
        if counts[label] != expected
    ]
    if wrong:
        raise DataError(
            f"The source holds {len(files):,} photos instead of TrashNet's {sum(COUNTS.values()):,}: "
            f"{', '.join(wrong)}. Download {HUB_FILE} again."
        )


def contradictory_twins(contents: Mapping[str, Hashable]) -> set[str]:
    """Return the paths of identical files that lie in different classes; by path, contents or their hashes."""
    twins: dict[Hashable, list[str]] = defaultdict(list)
    for path, content in contents.items():
        twins[content].append(path)
    return {
        path
        for paths in twins.values()
        if len({path.split("/")[0] for path in paths}) > 1
        for path in paths
    }
