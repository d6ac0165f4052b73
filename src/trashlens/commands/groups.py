"""The command of objects: which photos show the same one, and what a split that does not care leaks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser

from trashlens.commands.options import construct
from trashlens.files import replace_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from trashlens.training.data import GroupedPhoto, Photo
    from trashlens.training.regroup import Probe

__all__ = ["groups_command"]


def groups_command(argv: Sequence[str]) -> int:
    """Say which photos show the same object, and how many test photos show one that was trained on."""
    from trashlens.scoreboard import write_pictures
    from trashlens.training.data import (
        LABELS,
        SPLITS,
        DataConfig,
        assign_folds,
        read_grouped,
        read_manifest,
        read_originals,
    )
    from trashlens.training.data.groups import GroupConfig, find_border, group_photos
    from trashlens.training.data.manifest import format_grouped
    from trashlens.training.pictures import draw_groups, draw_pairs
    from trashlens.training.regroup import EyesConfig, describe, probe_splits, see_photos

    parser = ArgumentParser(prog="trashlens groups", description=groups_command.__doc__)
    parser.add_argument(
        "--remake", action="store_true", help="group the photos anew and write the manifest"
    )
    parser.add_argument(
        "--probe", action="store_true", help="say what a linear probe reaches on each split"
    )
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw the groups, as PNG")
    parser.add_class_arguments(
        DataConfig, as_group=False, skip={"split", "fold", "seed", "short_side_px", "taco"}
    )
    parser.add_class_arguments(GroupConfig, as_group=False)
    parser.add_class_arguments(EyesConfig, as_group=False)
    given = parser.parse_args(argv).as_dict()
    remake, probe, pictures = (given.pop(key) for key in ("remake", "probe", "pictures"))
    config = construct(GroupConfig, {key: given.pop(key) for key in ("threshold", "twins", "seed")})
    eyes = EyesConfig(**{key: given.pop(key) for key in ("mobilenet", "resnet", "features")})
    data = DataConfig(**given)
    official = sorted(read_manifest(data.manifest), key=lambda photo: photo.path)
    manifest = DataConfig(folder=data.folder, split="grouped").manifest
    files: dict[str, bytes] = {}
    if remake or probe or pictures:
        files = {one.path: one.data for one in read_originals(data, *SPLITS)}
    seen = see_photos(eyes, official, files) if remake or probe else {}
    paths = [photo.path for photo in official]
    figures: dict[str, Figure] = {}
    if remake:
        vectors = describe(seen)
        groups = group_photos(paths, vectors, config)
        replace_file(manifest, format_grouped(assign_folds(official, groups, seed=config.seed)))
        if pictures:
            together, apart = find_border(paths, vectors, groups, count=40)
            figures |= {"together": draw_pairs(files, together), "apart": draw_pairs(files, apart)}
    grouped = read_grouped(manifest)
    _print_groups(grouped, official, manifest)
    if probe:
        _print_probes({name: probe_splits(seen[name], official, grouped) for name in eyes.networks})
    if pictures:
        for label in LABELS:
            members = {photo.path: photo.group for photo in grouped if photo.label == label}
            figures[f"groups-{label}"] = draw_groups(files, members, manifest=official)
        write_pictures(figures, pictures, dpi=100)  # the sheets of photos are laid out in pixels
    return 0


def _print_groups(
    grouped: Sequence["GroupedPhoto"], official: Sequence["Photo"], manifest: Path
) -> None:
    from trashlens.training.data import FOLDS, SPLITS, leak_of

    sizes = Counter(photo.group for photo in grouped)
    alone = sum(size == 1 for size in sizes.values())
    print(
        f"{manifest}: {len(grouped):,} photos in {len(sizes)} groups, {alone} of a single photo, "
        f"the largest of {max(sizes.values())}."
    )
    for fold in range(FOLDS):
        counts = Counter(photo.split_in(fold) for photo in grouped)
        print(f"Fold {fold}: {', '.join(f'{counts[split]} {split}' for split in SPLITS)}.")
    leak = leak_of(official, {photo.path: photo.group for photo in grouped})
    by_class = ", ".join(
        f"{label} {some} of {every}" for label, (some, every) in leak.by_class().items()
    )
    print(
        f"Leak of the official split: {len(leak.seen)} of {len(leak.seen) + len(leak.unseen)} test photos "
        f"({leak.share:.1%}) have photos of their group in train: {by_class}."
    )


def _print_probes(probes: Mapping[str, "Probe"]) -> None:
    for name, probe in probes.items():
        folds = ", ".join(f"{fold:.3f}" for fold in probe.folds)
        print(
            f"Linear probe on {name}: {probe.official:.3f} on the official test photos ({probe.seen:.3f} where "
            f"the group is in train, {probe.unseen:.3f} where not), {sum(probe.folds) / len(probe.folds):.3f} "
            f"over the grouped folds ({folds})."
        )
