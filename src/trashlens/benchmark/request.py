"""How long one request takes, next to its floor and to the ordinary app of this kind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trashlens.benchmark.config import BenchmarkConfig
from trashlens.benchmark.photos import RequestPhoto
from trashlens.benchmark.timing import Ratio, Summary, Times, summarise, time_rounds
from trashlens.classifier import Classifier
from trashlens.comparison import Comparison, compare
from trashlens.image import decode_image

__all__ = ["PhotoResult", "RequestResult", "measure_requests"]

SERVED, FLOOR, ORDINARY = "trashlens", "floor", "ordinary"
PAUSE_S = 0.005
"""Threads of torch spin for some milliseconds after a call."""

Key = tuple[str, str]
"""A photo by its name, and a way to answer."""


@dataclass(frozen=True, kw_only=True)
class PhotoResult:
    """What one photo costs, from the bytes of its file to three answers."""

    name: str
    width_px: int
    height_px: int
    file_mb: float
    """10⁶ bytes."""
    sha256: str
    decode: Summary
    preprocess: Summary
    infer: Summary
    """The three networks together."""
    total: Summary
    floor: Summary
    """The same decoder and the three sessions on ready inputs, nothing else."""
    ordinary: Summary | None
    """Full decode, torchvision's transforms and three eager torch networks; None where torch is missing."""
    to_floor: Ratio
    """How many times as long as the floor a request takes."""
    speed: Ratio | None
    """How many times as fast as the ordinary app a request is answered."""


@dataclass(frozen=True, kw_only=True)
class RequestResult:
    """All photos, measured in turn."""

    photos: tuple[PhotoResult, ...]


def measure_requests(
    classifiers: Mapping[str, Classifier],
    photos: Sequence[RequestPhoto],
    config: BenchmarkConfig,
    *,
    ordinary: Callable[[bytes], object] | None = None,
    say: Callable[[str], None],
) -> RequestResult:
    """Time requests with each photo: as served, the floor, and `ordinary` where it is given, all in turn.

    Raises:
        ImageError: a photo cannot be read.
    """
    comparisons: dict[str, list[Comparison]] = {photo.name: [] for photo in photos}
    contestants: dict[Key, Callable[[], object]] = {}
    for photo in photos:
        contestants |= _name_ways(classifiers, photo, comparisons[photo.name], ordinary)
    say(f"request: {len(contestants)} ways and photos in turn, {config.rounds} rounds")
    times = time_rounds(contestants, rounds=config.rounds, warm_up=config.warm_up, pause_s=PAUSE_S)
    return RequestResult(
        photos=tuple(
            _summarise(photo, comparisons[photo.name][config.warm_up :], times) for photo in photos
        )
    )


def _name_ways(
    classifiers: Mapping[str, Classifier],
    photo: RequestPhoto,
    comparisons: list[Comparison],
    ordinary: Callable[[bytes], object] | None,
) -> dict[Key, Callable[[], object]]:
    """Return what answers a photo, by name; the comparisons of the served way are kept in `comparisons`."""
    image = decode_image(photo.data)
    inputs = {role: one.bundle.preprocess(image)[np.newaxis] for role, one in classifiers.items()}

    def serve() -> None:
        comparisons.append(compare(classifiers, photo.data))

    def touch_the_floor() -> None:
        decode_image(photo.data)
        for role, classifier in classifiers.items():
            classifier.infer(inputs[role])

    ways: dict[Key, Callable[[], object]] = {
        (photo.name, SERVED): serve,
        (photo.name, FLOOR): touch_the_floor,
    }
    if ordinary is not None:
        answer = ordinary
        ways[photo.name, ORDINARY] = lambda: answer(photo.data)
    return ways


def _summarise(photo: RequestPhoto, comparisons: Sequence[Comparison], times: Times[Key]) -> PhotoResult:
    served, floor, ordinary = ((photo.name, way) for way in (SERVED, FLOOR, ORDINARY))
    compared = ordinary in times.ms
    return PhotoResult(
        name=photo.name,
        width_px=photo.width_px,
        height_px=photo.height_px,
        file_mb=len(photo.data) / 1e6,
        sha256=photo.sha256,
        decode=summarise([one.decode_ms for one in comparisons]),
        preprocess=summarise([one.preprocess_ms for one in comparisons]),
        infer=summarise(
            [sum(network.infer_ms for network in one.predictions.values()) for one in comparisons]
        ),
        total=times.summary(served),
        floor=times.summary(floor),
        ordinary=times.summary(ordinary) if compared else None,
        to_floor=times.ratio(served, floor),
        speed=times.ratio(ordinary, served) if compared else None,
    )
