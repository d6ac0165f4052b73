"""The three roles as a server finds them: a network at work, or the reason why it is not there."""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from trashlens.bundle import LIVE, ROLES, load_bundle
from trashlens.classifier import Classifier
from trashlens.errors import BundleError
from trashlens.machine import count_cores, return_memory
from trashlens.providers import CPU

__all__ = ["Lineup", "available", "load_crowd", "load_lineup", "load_live"]

logger = logging.getLogger(__name__)

Lineup = Mapping[str, Classifier | BundleError]
"""By role, the network at work, or why it is not there."""


def load_lineup(models: Path, *, provider: str = CPU) -> Lineup:
    """Open what can be opened of the three bundles below `models`.

    Raises:
        BundleError: none of them can; the first one's reason.
        ProviderError: the installed ONNX Runtime does not compute on the provider.
    """
    lineup: dict[str, Classifier | BundleError] = {}
    reasons = []
    for role in ROLES:
        try:
            lineup[role] = _open(models, role, provider)
        except BundleError as error:
            logger.error("The %s does not serve: %s", role, error)
            # Visitors read it: where the folder lies is not theirs to know, nor what would mend it.
            reason, _, _ = str(error).replace(f"{models}{os.sep}", "").partition(". ")
            lineup[role] = BundleError(f"{reason.removesuffix('.')}.")
            reasons.append(error)
    if not available(lineup):
        raise reasons[0]
    return_memory()
    return lineup


def load_live(models: Path, lineup: Lineup, *, provider: str = CPU) -> Lineup:
    """Return the line-up that answers webcams: the copies below `models/live` in place of their originals.

    A frame asks them at once: the largest has a thread for each core but one, the others one. A copy that is
    damaged, or of another bundle than the one at work, is told in the log; its original serves.

    Raises:
        ProviderError: the installed ONNX Runtime does not compute on the provider.
    """
    largest = max(one.bundle.parameters for one in available(lineup).values())

    def open_copy(role: str, original: Classifier) -> Classifier:
        threads = max(1, count_cores() - 1) if original.bundle.parameters == largest else 1
        if not (models / LIVE / role).exists():
            return _open_again(models, role, original, provider, threads=threads)
        copy = _open(models / LIVE, role, provider, threads=threads)
        if copy.bundle.original_sha256 != original.bundle.sha256:
            raise BundleError(
                f"It is no copy of the {role} at work. Make one with `trashlens export {models / role} "
                f"--weights=int8 --models={models / LIVE}`."
            )
        return copy

    return _replace(lineup, open_copy, otherwise="Webcams share the %s with photos: %s")


def load_crowd(models: Path, lineup: Lineup, *, provider: str = CPU) -> Lineup:
    """Return the same networks, each on one thread: of several photos at a time each then has a core of its own.

    On two cores that is a sixth more answers than when each photo's networks share both. A bundle that was changed
    since it was opened is told in the log; what is at work goes on.

    Raises:
        ProviderError: the installed ONNX Runtime does not compute on the provider.
    """

    def open_single(role: str, original: Classifier) -> Classifier:
        return _open_again(models, role, original, provider, threads=1)

    return _replace(
        lineup, open_single, otherwise="Of several photos at a time each waits for the one %s: %s"
    )


def _open_again(
    models: Path, role: str, original: Classifier, provider: str, *, threads: int
) -> Classifier:
    """Open the same network on so many threads.

    Raises:
        BundleError: it is gone, or another one by now.
    """
    again = _open(models, role, provider, threads=threads)
    if again.bundle.sha256 != original.bundle.sha256:
        raise BundleError("It was changed since the server started.")
    return again


def _replace(
    lineup: Lineup, open_other: Callable[[str, Classifier], Classifier], *, otherwise: str
) -> Lineup:
    """Return the line-up with what `open_other` returns for each network at work.

    Where that is a BundleError, the log says `otherwise` with role and reason, and the network stays.
    """
    replaced = dict(lineup)
    for role, original in available(lineup).items():
        try:
            replaced[role] = open_other(role, original)
        except BundleError as error:
            logger.error(otherwise, role, error)
    return_memory()
    return replaced


def _open(models: Path, role: str, provider: str, *, threads: int = 0) -> Classifier:
    """Open one bundle, whose record then goes without the graph's bytes.

    Raises:
        BundleError: it is missing or damaged, or cannot run.
    """
    classifier = Classifier(load_bundle(models, role), provider=provider, threads=threads)
    classifier.bundle = classifier.bundle.without_model()
    return classifier


def available(lineup: Lineup) -> dict[str, Classifier]:
    """Return the networks that are at work, by role."""
    return {role: one for role, one in lineup.items() if isinstance(one, Classifier)}
