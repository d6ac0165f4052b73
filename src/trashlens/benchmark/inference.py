"""How long each network takes for one image, and what it costs in memory, alone in a process."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trashlens.benchmark.children import run_child
from trashlens.benchmark.config import BenchmarkConfig
from trashlens.benchmark.timing import Ratio, Summary, interleave, time_rounds
from trashlens.bundle import LIVE, Bundle, load_bundles, load_copies
from trashlens.classifier import Classifier
from trashlens.machine import count_cores

__all__ = ["InferenceResult", "SessionResult", "measure_inference", "measure_memory"]

MEMORY_REPEATS = 3
"""Fresh processes for each network and number of threads at most; the median counts, and they hardly differ."""

Key = tuple[str, int]
"""A network by its folder below that of all, such as `teacher` or `live/teacher`, and its number of threads."""


@dataclass(frozen=True, kw_only=True)
class SessionResult:
    """One network with one number of threads."""

    role: str
    """For a webcam's copy `live/` and its role."""
    network: str
    """timm's name."""
    bundle: str
    """The bundle's short id."""
    weights: str
    """How they are stored."""
    threads: int
    infer: Summary
    """One image, from the network's input to its logits."""
    speed: Ratio
    """How many times as fast as the teacher with as many threads."""
    file_mb: float
    """Size of the graph with its weights, 10⁶ bytes."""
    memory_mb: float
    """What reading the bundle, opening a session and running it add to a process, 10⁶ bytes."""


@dataclass(frozen=True, kw_only=True)
class InferenceResult:
    """All networks, measured in turn."""

    sessions: tuple[SessionResult, ...]
    student_to_baseline: Mapping[str, Ratio]
    """By number of threads, how many times as long as the baseline the student takes."""


def measure_inference(
    models: Path, image: Image.Image, config: BenchmarkConfig, *, say: Callable[[str], None]
) -> InferenceResult:
    """Time the bundles below `models` on a decoded photo, with one thread and with one a core.

    The copies for webcams that lie there are bundles too.

    Raises:
        BundleError: a bundle is missing, damaged or cannot run.
        BenchmarkError: a process that measures memory did not end well.
    """
    copies = {f"{LIVE}/{role}": copy for role, copy in load_copies(models).items()}
    bundles = load_bundles(models) | copies
    keys = [(role, threads) for threads in sorted({1, count_cores()}) for role in bundles]
    say(f"inference: {len(keys)} sessions in turn, {config.rounds} rounds")
    calls = {key: _open(bundles[key[0]], image, threads=key[1]) for key in keys}
    times = time_rounds(calls, rounds=config.rounds, warm_up=config.warm_up)
    say("inference: memory, in fresh processes")
    memory_mb = _measure_memory(models, keys, repeats=min(config.repeats, MEMORY_REPEATS))
    return InferenceResult(
        sessions=tuple(
            SessionResult(
                role=role,
                network=bundles[role].architecture,
                bundle=bundles[role].short_id,
                weights=bundles[role].weights,
                threads=threads,
                infer=times.summary((role, threads)),
                speed=times.ratio(("teacher", threads), (role, threads)),
                file_mb=len(bundles[role].model) / 1e6,
                memory_mb=memory_mb[role, threads],
            )
            for role, threads in keys
        ),
        student_to_baseline={
            str(threads): times.ratio(("student", threads), ("baseline", threads))
            for threads in dict.fromkeys(threads for _, threads in keys)
        },
    )


def _open(bundle: Bundle, image: Image.Image, *, threads: int) -> Callable[[], NDArray[np.float32]]:
    """Return a call that runs the network once, on a ready input."""
    classifier = Classifier(bundle, threads=threads)
    return partial(classifier.infer, bundle.preprocess(image)[np.newaxis])


def measure_memory(models: Path, roles: Sequence[str]) -> dict[str, float]:
    """Return what each role's session adds to a fresh process, 10⁶ bytes, with a thread a core as it is served.

    Raises:
        BenchmarkError: a process did not end well.
    """
    threads = count_cores()
    keys = [(role, threads) for role in roles]
    grown_mb = _measure_memory(models, keys, repeats=MEMORY_REPEATS)
    return {role: grown_mb[role, threads] for role in roles}


def _measure_memory(models: Path, keys: Sequence[Key], *, repeats: int) -> dict[Key, float]:
    """Return what each session adds to a fresh process, 10⁶ bytes."""
    grown_mb: dict[Key, list[float]] = {key: [] for key in keys}
    for order in interleave(keys, repeats):
        for role, threads in order:
            settings = {"bundle": str((models / role).resolve()), "threads": threads}
            answer = run_child("trashlens.benchmark.memory", settings)
            grown_mb[role, threads].append(answer["grown_mb"])
    return {key: median(values) for key, values in grown_mb.items()}
