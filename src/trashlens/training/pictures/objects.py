"""Sheets of photos by object: the groups, the nearest calls, and what they leak over a split."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from trashlens.scoreboard import SOFT
from trashlens.training.data import Photo
from trashlens.training.pictures.sheets import SPLIT_COLOURS, draw_sheet

__all__ = ["draw_groups", "draw_pairs"]

COLUMNS = 10
BLANK = Image.new("RGB", (4, 3), "white")


def draw_groups(
    files: Mapping[str, bytes],
    groups: Mapping[str, str],
    *,
    manifest: Sequence[Photo] = (),
    count: int = 12,
) -> Figure:
    """Return a sheet of the `count` largest groups, each on its own rows, with the split each photo is in."""
    members: dict[str, list[str]] = defaultdict(list)
    for path in sorted(groups, key=lambda path: (len(path), path)):
        members[groups[path]].append(path)
    largest = sorted(members.values(), key=len, reverse=True)[:count]
    splits = {photo.path: photo.split for photo in manifest}
    sheet: list[tuple[bytes | Image.Image, str, str]] = []
    for paths in largest:
        for path in paths:
            split = splits.get(path, "")
            caption = f"{Path(path).stem}\n{split}".rstrip()
            sheet.append((files[path], caption, SPLIT_COLOURS.get(split, SOFT)))
        sheet += [(BLANK, "", SOFT)] * (-len(sheet) % COLUMNS)
    photos, captions, colours = zip(*sheet, strict=True)
    return draw_sheet(photos, captions, colours=colours, columns=COLUMNS)


def draw_pairs(files: Mapping[str, bytes], pairs: Sequence[tuple[str, str, float]]) -> Figure:
    """Return a sheet of pairs of photos, side by side, with how alike they are."""
    photos = [files[path] for first, second, _ in pairs for path in (first, second)]
    captions = [
        caption
        for first, second, likeness in pairs
        for caption in (Path(first).stem, f"{Path(second).stem}\nalike: {likeness:.2f}")
    ]
    return draw_sheet(photos, captions, columns=8)
