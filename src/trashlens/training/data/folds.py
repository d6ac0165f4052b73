"""Five folds in which no object lies on two sides, and how often a plain split lets one lie there."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from trashlens.training.data.manifest import FOLDS, GroupedPhoto, Photo

__all__ = ["Leak", "assign_folds", "leak_of"]

VAL_PARTS = 3
"""Into so many parts a fold is parted; all but one validate: 13 % of all photos, as in the official split."""


def assign_folds(
    photos: Sequence[Photo], groups: Mapping[str, str], *, seed: int = 0
) -> list[GroupedPhoto]:
    """Return the photos with their groups and folds: whole groups in each, the classes in equal shares.

    Each photo is a test photo of one fold. The validation photos of fold k are whole groups of fold k + 1, two
    thirds of it; all others are trained on. `groups` names each photo's group by path.
    """
    ordered = sorted(photos, key=lambda photo: photo.path)
    fold_of = _part(ordered, groups, FOLDS, seed)
    val_of: dict[str, int] = {}
    for fold in range(FOLDS):
        members = [photo for photo in ordered if fold_of[photo.path] == fold]
        part_of = _part(members, groups, VAL_PARTS, seed)
        left_out = _most_typical(part_of)
        val_of |= {path: (fold - 1) % FOLDS for path, part in part_of.items() if part != left_out}
    return [
        GroupedPhoto(
            path=photo.path,
            label=photo.label,
            group=groups[photo.path],
            fold=fold_of[photo.path],
            val_of=val_of.get(photo.path),
            sha256=photo.sha256,
        )
        for photo in ordered
    ]


def _part(photos: Sequence[Photo], groups: Mapping[str, str], parts: int, seed: int) -> dict[str, int]:
    """Return a part, 0 to `parts` - 1, by path: stratified by class, whole groups."""
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    labels = [photo.label for photo in photos]
    members = [groups[photo.path] for photo in photos]
    return {
        photos[index].path: part
        for part, (_, chosen) in enumerate(splitter.split(np.zeros(len(photos)), labels, members))
        for index in chosen
    }


def _most_typical(part_of: Mapping[str, int]) -> int:
    """Return the part whose classes are nearest to equal shares of the whole: so are then all others' together."""
    classes = Counter(path.split("/")[0] for path in part_of)
    parts = sorted(set(part_of.values()))
    counts = Counter((part, path.split("/")[0]) for path, part in part_of.items())

    def distance(part: int) -> float:
        return max(abs(counts[part, label] / total - 1 / len(parts)) for label, total in classes.items())

    return min(parts, key=distance)


@dataclass(frozen=True, kw_only=True)
class Leak:
    """The test photos of a split, by whether their object was trained on."""

    seen: tuple[str, ...]
    """Paths of the test photos whose object has training photos too."""
    unseen: tuple[str, ...]
    """Paths of all other test photos."""

    @property
    def share(self) -> float:
        """Share of the test photos whose object was trained on."""
        return len(self.seen) / (len(self.seen) + len(self.unseen))

    def by_class(self) -> dict[str, tuple[int, int]]:
        """Return by class: how many test photos show an object that was trained on, and how many there are."""
        seen = Counter(path.split("/")[0] for path in self.seen)
        every = seen + Counter(path.split("/")[0] for path in self.unseen)
        return {label: (seen[label], every[label]) for label in sorted(every)}


def leak_of(photos: Sequence[Photo], groups: Mapping[str, str]) -> Leak:
    """Part the test photos of a split by whether a photo of their group is in train.

    A path that `groups` does not name is a group of its own.
    """
    paths = defaultdict(list)
    for photo in photos:
        paths[photo.split].append(photo.path)
    trained = {groups.get(path, path) for path in paths["train"]}
    test = sorted(paths["test"])
    return Leak(
        seen=tuple(path for path in test if groups.get(path, path) in trained),
        unseen=tuple(path for path in test if groups.get(path, path) not in trained),
    )
