"""The three roles as a server finds them: a network at work, or the reason why it is not there."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from trashlens.bundle import ROLES, load_bundle
from trashlens.classifier import Classifier
from trashlens.errors import BundleError
from trashlens.machine import return_memory
from trashlens.providers import CPU

__all__ = ["Lineup", "available", "load_lineup"]

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
            classifier = Classifier(load_bundle(models, role), provider=provider)
            classifier.bundle = classifier.bundle.without_model()
            lineup[role] = classifier
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


def available(lineup: Lineup) -> dict[str, Classifier]:
    """Return the networks that are at work, by role."""
    return {role: one for role, one in lineup.items() if isinstance(one, Classifier)}
