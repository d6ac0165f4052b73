"""Opened networks in turn, each on one image: how long they take, whatever they have learned."""

import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from trashlens.benchmark.timing import KeyT, Times, time_rounds
from trashlens.classifier import Classifier

__all__ = ["time_classifiers"]

WARM_UP = 10


def time_classifiers(
    classifiers: Mapping[KeyT, Classifier],
    *,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Times[KeyT]:
    """Return the times of each for one image of noise, of its own input size, from input to logits.

    They take turns, so that what else the machine does slows all alike; times depend on neither image nor weights.
    `clock` returns seconds.
    """
    generator = np.random.default_rng(0)

    def prepare(classifier: Classifier) -> Callable[[], object]:
        size_px = classifier.bundle.preprocess.size_px
        image = generator.standard_normal((1, 3, size_px, size_px), np.float32)
        return partial(classifier.infer, image)

    calls = {name: prepare(classifier) for name, classifier in classifiers.items()}
    return time_rounds(calls, rounds=rounds, warm_up=WARM_UP, clock=clock)
