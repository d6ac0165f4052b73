"""A set of photos, darkened and brightened -> what networks name rightly, with and without evening out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from trashlens.errors import DataError
from trashlens.image import Preprocess, decode_image, list_photos
from trashlens.training.cross.light import METHODS, brightness_of, change_brightness, even_out
from trashlens.training.cross.networks import Network
from trashlens.training.evaluate.intervals import percentile_interval, resample_sums

__all__ = ["AS_IS", "CrossConfig", "Result", "compare", "measure_reference", "measure_set"]

BATCH = 32
"""Photos that a network sees at once."""
REFERENCE_PHOTOS = 300
"""Photos from which the brightness of the photos trained on is known to a hundredth."""
AS_IS = "as is"
"""The treatment that leaves photos as they are."""


@dataclass(frozen=True, kw_only=True)
class CrossConfig:
    """How photos are changed and evened out before networks see them."""

    gains: tuple[float, ...] = (0.3, 0.5, 0.7, 1.0, 1.2, 1.4, 1.7)
    """Brightness of the copies, relative to the photo, such as `[0.5,1,1.7]`; by default those of `trashlens
    robustness` and the photo itself."""
    normalise: tuple[str, ...] = ("gain", "gamma")
    """How brightness is evened out, such as `[gain]`; each is compared with photos as they are."""
    photos: int = 0
    """How many of a folder's photos are drawn at random; 0 for all."""
    seed: int = 0
    """Draws the photos."""

    def __post_init__(self) -> None:
        if not self.gains or min(self.gains) <= 0 or len(set(self.gains)) < len(self.gains):
            raise ValueError("gains must differ and be positive.")
        unknown = set(self.normalise) - set(METHODS)
        if unknown or len(set(self.normalise)) < len(self.normalise):
            raise ValueError(f"normalise takes each of {', '.join(METHODS)} once.")
        if self.photos < 0 or self.seed < 0:
            raise ValueError("photos and seed must not be negative.")


class Result(NamedTuple):
    """What one network says about one set of photos."""

    photos: str
    """Name of the set."""
    network: str
    """Name of the network."""
    left_out: int
    """Photos of classes that the network does not know."""
    right: dict[tuple[float, str], NDArray[np.bool_]]
    """By gain and treatment (`as is` or a method): which photos were named rightly, [N]."""
    objects: NDArray[np.str_]
    """The object on each photo, [N]: photos of one stand or fall together."""

    @property
    def gains(self) -> list[float]:
        """The brightnesses of the copies, ascending."""
        return sorted({gain for gain, _ in self.right})

    @property
    def methods(self) -> list[str]:
        """How brightness was evened out, in the order that was asked for."""
        return list(dict.fromkeys(treatment for _, treatment in self.right if treatment != AS_IS))


def measure_reference(folder: Path, *, seed: int = 0) -> float:
    """Return the median brightness, 0 to 1, of photos in a folder: what others are evened out to.

    Raises:
        DataError: there are none.
    """
    paths = list_photos(folder)
    if not paths:
        raise DataError(f"{folder} holds no photos. Name the folder of the photos trained on.")
    drawn = np.random.default_rng(seed).permutation(len(paths))[:REFERENCE_PHOTOS]
    return float(np.median([brightness_of(_square(paths[index])) for index in drawn]))


def measure_set(
    folder: Path,
    networks: Sequence[Network],
    config: CrossConfig,
    *,
    target: float,
    groups: Mapping[str, str],
) -> list[Result]:
    """Return what each network says about the photos `<class>/<photo>` below a folder, changed in all ways.

    `target` is the brightness that photos are evened out to, `groups` names the object on a photo by
    `<class>/<file name>`. Classes are matched by name.

    Raises:
        DataError: there are no photos of a class that a network knows.
    """
    paths = list_photos(folder)
    if 0 < config.photos < len(paths):
        drawn = np.random.default_rng(config.seed).choice(len(paths), config.photos, replace=False)
        paths = [paths[index] for index in sorted(drawn)]
    for network in networks:
        if not any(path.parent.name in network.labels for path in paths):
            raise DataError(
                f"{folder} holds no photo of a class that {network.name} knows ({', '.join(network.labels)}). "
                "Give a folder of `<class>/<photo>`."
            )
    named = _name_all(paths, networks, config, target)
    name = folder.name if folder.parent.name in ("", ".") else f"{folder.parent.name}/{folder.name}"
    truth = np.array([path.parent.name for path in paths])
    objects = np.array([_object_of(path, groups) for path in paths])
    results = []
    for network in networks:
        known = np.isin(truth, network.labels)
        right = {
            key: (answers == truth)[known]
            for key, answers in zip(_ways(config), named[network.name], strict=True)
        }
        results.append(Result(name, network.name, int((~known).sum()), right, objects[known]))
    return results


def compare(
    result: Result, gains: Sequence[float], treatment: str, *, seed: int = 0
) -> tuple[float, list[float]]:
    """Return what a treatment gains over photos as they are, mean over the gains, with its paired 95 % interval.

    Shares; percentile bootstrap over objects.
    """
    differences = np.mean(
        [result.right[gain, treatment].astype(np.float64) - result.right[gain, AS_IS] for gain in gains],
        axis=0,
    )
    parts = np.stack([differences, np.ones_like(differences)], axis=1)
    sums = resample_sums(parts, result.objects, seed=seed)
    return float(differences.mean()), percentile_interval(sums[:, 0] / sums[:, 1])


def _ways(config: CrossConfig) -> list[tuple[float, str]]:
    """Return every gain with every treatment."""
    return list(product(config.gains, (AS_IS, *config.normalise)))


def _name_all(
    paths: Sequence[Path], networks: Sequence[Network], config: CrossConfig, target: float
) -> dict[str, list[NDArray[np.str_]]]:
    """Return by network the class named for each photo, one array [N] for each way."""
    ways = _ways(config)
    named: dict[str, list[list[str]]] = {network.name: [[] for _ in ways] for network in networks}
    with tqdm(total=len(paths) * len(ways), desc="changed photos", unit="photo") as progress:
        for start in range(0, len(paths), BATCH):
            squares = [_square(path) for path in paths[start : start + BATCH]]
            for index, (gain, treatment) in enumerate(ways):
                views = [_change(square, gain, treatment, target) for square in squares]
                inputs: dict[Preprocess, NDArray[np.float32]] = {}
                for network in networks:
                    key = network.preprocess
                    if key not in inputs:
                        inputs[key] = np.stack([key(view) for view in views])
                    found = network.infer(inputs[key]).argmax(axis=1)
                    named[network.name][index].extend(network.labels[one] for one in found)
                progress.update(len(squares))
    return {name: [np.array(answers) for answers in rows] for name, rows in named.items()}


def _change(square: NDArray[np.uint8], gain: float, treatment: str, target: float) -> Image.Image:
    pixels = square if gain == 1 else change_brightness(square, gain)
    return Image.fromarray(pixels if treatment == AS_IS else even_out(pixels, treatment, target))


def _square(path: Path) -> NDArray[np.uint8]:
    """Return the centred square of a photo, uint8 [H, H, 3]: what networks see of it."""
    photo = np.asarray(decode_image(path))
    side = min(photo.shape[:2])
    top, left = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
    return np.ascontiguousarray(photo[top : top + side, left : left + side])


def _object_of(path: Path, groups: Mapping[str, str]) -> str:
    name = f"{path.parent.name}/{path.name}"
    return groups.get(name, name)
