"""Pictures of things that are no waste, and how many of them a network rejects."""

from trashlens.training.unrelated.collection import (
    read_unrelated,
    rejection_rate,
    unrelated_photos,
)
from trashlens.training.unrelated.drawing import DRAWERS

__all__ = ["DRAWERS", "read_unrelated", "rejection_rate", "unrelated_photos"]
