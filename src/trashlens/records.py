"""What bundles' records say of each other: pairs that were compared, networks that were timed together.

A bundle that was exported anew since has another graph, and what was said of the old one is not its own.
"""

from collections.abc import Mapping
from typing import Any

from trashlens.bundle import Bundle

__all__ = ["PAIRS", "find_pair", "find_speed", "look_up"]

PAIRS = (("student", "baseline"), ("teacher", "student"), ("teacher", "baseline"))
"""Who is compared with whom; the first of a pair is the one expected to be better."""


def find_pair(
    bundles: Mapping[str, Bundle], role: str, other: str, *, name: str = "test"
) -> Mapping[str, Any] | None:
    """Return what `compare_paired` said of the network `other` and then `role`, if it was these very bundles.

    Each bundle's record names the other's graph: a bundle that was exported anew since has no comparison yet.
    """
    if not {role, other} <= set(bundles):
        return None
    pair: Mapping[str, Any] | None = look_up(bundles[role].metrics, name, "paired", other)
    return pair if pair and pair["bundle"] == bundles[other].short_id else None


def find_speed(bundles: Mapping[str, Bundle], role: str) -> float | None:
    """Return how many times as fast as the teacher a network is, if it was timed beside this very teacher.

    Records of earlier versions do not name the teacher, and are believed.
    """
    latency = bundles[role].metrics.get("latency") or {}
    teacher = bundles.get("teacher")
    if "teacher" in latency and (teacher is None or latency["teacher"] != teacher.short_id):
        return None
    speed: float | None = latency.get("times_teacher_speed")
    return speed


def look_up(record: Mapping[str, Any], *keys: str) -> Any:
    """Return what lies below `keys`, one inside the other, or None where the record ends before."""
    value: Any = record
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
