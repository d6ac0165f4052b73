"""Which photo goes to train, val or test: as a committed manifest says, or drawn anew."""

from collections import Counter
from collections.abc import Mapping

from sklearn.model_selection import train_test_split

from trashlens.errors import DataError
from trashlens.training.data.config import DataConfig
from trashlens.training.data.manifest import SPLITS, Photo, read_grouped, read_manifest

__all__ = ["read_split", "split_photos"]


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


def split_photos(config: DataConfig, hashes: Mapping[str, str]) -> list[Photo]:
    """Return every photo with its split; `hashes` has the SHA-256 of each by path.

    Raises:
        DataError: the manifest is missing, damaged or of other photos, or there are too few to draw from.
    """
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
