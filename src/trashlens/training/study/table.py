"""A study as a Markdown table, and how its numbers are written."""

from collections.abc import Mapping, Sequence

from trashlens.training.study.config import Study
from trashlens.training.study.latency import Latencies
from trashlens.training.study.records import RunRecord
from trashlens.training.study.statistics import Gain, Spread, spread_of

__all__ = ["format_p", "format_points", "format_table"]

METRICS = (("val", "accuracy"), ("test", "accuracy"), ("test", "macro_f1"), ("test", "ece_scaled"))
"""What the table's columns show, by split."""


def format_table(
    study: Study,
    grouped: Mapping[str, Sequence[RunRecord]],
    gains: Sequence[Gain],
    latencies: Latencies,
) -> str:
    """Return the Markdown table: a row for each variant, mean ± deviation over its runs."""
    by_variant = {gain.variant: gain for gain in gains}
    rows = [
        f"| variant | {study.unit}s | val accuracy | test accuracy | macro F1 | ECE | one photo "
        f"| gain over `{study.baseline}`, points (95 %) | over objects | p | p, signs | p, Holm |",
        "|---|" + "---:|" * 11,
    ]
    for variant, records in grouped.items():
        cells = [
            _format_spread(spread_of([getattr(record, split)[key] for record in records]))
            for split, key in METRICS
        ]
        time_ms = latencies.median_ms(records[0])
        cells.append("–" if time_ms is None else f"{time_ms:.1f} ms")
        gain = by_variant.get(variant)
        cells += _format_gain(gain) if gain else ["–"] * 5
        rows.append(f"| {variant} | {len(records)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def format_points(share: float) -> str:
    """Return a difference of shares in points, always with its sign."""
    return f"{100 * share:+.2f}".replace("-", "−")


def format_p(p: float) -> str:
    """Return a p value with two significant digits."""
    return f"{p:.2g}" if p >= 0.0001 else "< 0.0001"


def _format_gain(gain: Gain) -> list[str]:
    """Return the cells that compare a variant with the baseline."""
    points, known = format_points(gain.mean), gain.evidence
    objects = f"{format_points(gain.objects_low)} to {format_points(gain.objects_high)}"
    if known is None:
        return [points, objects, "–", "–", "–"]
    interval = f"{format_points(known.low)} to {format_points(known.high)}"
    flips = "–" if known.p_flips is None else format_p(known.p_flips)
    return [f"{points} ({interval})", objects, format_p(known.p), flips, format_p(known.p_holm)]


def _format_spread(spread: Spread) -> str:
    deviation = "" if spread.deviation is None else f" ± {spread.deviation:.3f}"
    return f"{spread.mean:.3f}{deviation}"
