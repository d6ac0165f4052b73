"""One number for a network that is to be right and fast: the score of the seed's competition for light networks.

    score = 0.5 · time / baseline_time + sigmoid(20 · (baseline_F1 − F1)),   lower is better

At the baseline itself that is 0.5 + 0.5 = 1. Twice the time costs 0.5, as much as the whole F1 can cost: its half
lies in 0 to 1, and is steep near the baseline, where 0.01 of F1 is worth 0.05, as much as a tenth of the time.

What the source leaves open. Its table gives its baseline F1 0.7012, time 58.1225 and score 1.1676, which is not
1: the two constants behind the table are not that row's own numbers. One row cannot tell two constants, only
that

    0.5 · 58.1225 / baseline_time + sigmoid(20 · (baseline_F1 − 0.7012)) = 1.1676

With the row's own time, baseline_F1 would be 0.7361; with its own F1, baseline_time would be 43.53. Since the
sigmoid lies in 0 to 1, baseline_time lies between 24.89 and 173.4 in any case. (A team of that competition
reports 1.1950 for its reference network, github.com/boostcampaitech2/model-optimization-level3-cv-04.) Nor does
the source say the unit of time, on what it was measured and over how many photos, or how F1 is averaged. Here
F1 is the macro F1 and the time the median of one photo in milliseconds, and both constants are settings.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from trashlens.errors import DataError

__all__ = ["TradeOff", "TradeOffConfig", "format_trade_offs", "trade_off"]

STEEPNESS = 20.0
TIME_WEIGHT = 0.5
BASELINE = "baseline"


@dataclass(frozen=True, kw_only=True)
class TradeOffConfig:
    """What a score of 1 stands for."""

    baseline_f1: float | None = None
    """Macro F1 that --score compares with; by default the measured one of the role `baseline`."""
    baseline_time_ms: float | None = None
    """Time of one photo that --score compares with, milliseconds; by default likewise."""

    def __post_init__(self) -> None:
        if self.baseline_f1 is not None and not 0 <= self.baseline_f1 <= 1:
            raise ValueError("baseline_f1 must lie in [0, 1].")
        if self.baseline_time_ms is not None and not 0 < self.baseline_time_ms < math.inf:
            raise ValueError("baseline_time_ms must be positive.")


@dataclass(frozen=True, kw_only=True)
class TradeOff:
    """A network's score and its two halves."""

    time_half: float
    """0.5 at the baseline's time, and proportional to the time."""
    f1_half: float
    """0.5 at the baseline's F1, towards 0 above it and towards 1 below."""

    @property
    def score(self) -> float:
        """Their sum; 1 at the baseline, and lower is better."""
        return self.time_half + self.f1_half


def trade_off(f1: float, time: float, *, baseline_f1: float, baseline_time: float) -> TradeOff:
    """Return the score of an F1 and a time; both times in the same unit, see the top of this module."""
    return TradeOff(
        time_half=TIME_WEIGHT * time / baseline_time,
        f1_half=1 / (1 + math.exp(-STEEPNESS * (baseline_f1 - f1))),
    )


def format_trade_offs(measured: Mapping[str, tuple[float, float]], config: TradeOffConfig) -> str:
    """Return the Markdown table of the scores; `measured` holds macro F1 and the time of one photo, ms, by role.

    Raises:
        DataError: there is no `baseline` to compare with, and a setting is missing.
    """
    given = (config.baseline_f1, config.baseline_time_ms)
    known = measured.get(BASELINE, (None, None))
    f1, time_ms = (own if own is not None else other for own, other in zip(given, known, strict=True))
    if f1 is None or time_ms is None:
        raise DataError("There is no baseline to score by: give --baseline_f1 and --baseline_time_ms.")
    rows = [
        f"Score against macro F1 {f1:.4f} and {time_ms:.4g} ms: 1 is as good, lower is better.",
        "",
        "| role | macro F1 | one photo | half for time | half for F1 | score |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for role, (own_f1, own_ms) in measured.items():
        one = trade_off(own_f1, own_ms, baseline_f1=f1, baseline_time=time_ms)
        rows.append(
            f"| {role} | {own_f1:.4f} | {own_ms:.2f} ms | {one.time_half:.4f} | {one.f1_half:.4f} "
            f"| {one.score:.4f} |"
        )
    return "\n".join(rows)
