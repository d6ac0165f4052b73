"""What networks say about other photos, as Markdown and as CSV."""

import csv
import io
from collections.abc import Sequence

import numpy as np

from trashlens.training.cross.measurement import AS_IS, Result, compare

__all__ = ["format_csv", "format_results"]


def format_results(results: Sequence[Result], *, target: float) -> str:
    """Return the accuracies by brightness, and what evening out gains, with paired intervals.

    `target` is the brightness that photos were evened out to.
    """
    parts = ["Accuracy by brightness of the copies:", _format_accuracies(results)]
    if results[0].methods:
        parts += [
            "What evening out gains over the same photos as they are, points (95 %, paired, over objects):",
            _format_gains(results),
        ]
    parts.append(
        f"Photos are evened out to a mean brightness of {target:.3f}, the median of the photos trained on. Darker "
        "and brighter are the means over those copies. "
        + "; ".join(_describe(result) for result in _one_a_set(results))
        + "."
    )
    return "\n\n".join(parts)


def format_csv(results: Sequence[Result]) -> bytes:
    """Return one line for each set, network, gain and treatment: photos, accuracy, and the paired gain."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "photos",
            "network",
            "gain",
            "treatment",
            "n",
            "accuracy",
            "gained",
            "gained_low",
            "gained_high",
        ]
    )
    for result in results:
        for (gain, treatment), right in result.right.items():
            gained, (low, high) = compare(result, [gain], treatment)
            row = [result.photos, result.network, gain, treatment, len(right), f"{right.mean():.4f}"]
            writer.writerow([*row, f"{gained:.4f}", f"{low:.4f}", f"{high:.4f}"])
    return text.getvalue().encode()


def _format_accuracies(results: Sequence[Result]) -> str:
    gains = results[0].gains
    rows = [
        f"| photos | network | evened out | {' | '.join(f'× {gain:g}' for gain in gains)} |",
        "|---|---|---|" + "---:|" * len(gains),
    ]
    for result in results:
        for treatment in (AS_IS, *result.methods):
            cells = [f"{result.right[gain, treatment].mean():.3f}" for gain in gains]
            said = "no" if treatment == AS_IS else treatment
            rows.append(f"| {result.photos} | {result.network} | {said} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _format_gains(results: Sequence[Result]) -> str:
    gains = results[0].gains
    kinds = {
        "darker": [gain for gain in gains if gain < 1],
        "unchanged": [gain for gain in gains if gain == 1],
        "brighter": [gain for gain in gains if gain > 1],
    }
    used = {said: members for said, members in kinds.items() if members}
    rows = [
        f"| photos | network | by | {' | '.join(used)} |",
        "|---|---|---|" + "---:|" * len(used),
    ]
    for result in results:
        for method in result.methods:
            cells = [_format_gain(result, members, method) for members in used.values()]
            rows.append(f"| {result.photos} | {result.network} | {method} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _format_gain(result: Result, gains: Sequence[float], method: str) -> str:
    mean, (low, high) = compare(result, gains, method)
    return f"{_points(mean)} ({_points(low)} to {_points(high)})"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def _one_a_set(results: Sequence[Result]) -> list[Result]:
    return list({result.photos: result for result in results}.values())


def _describe(result: Result) -> str:
    count = len(next(iter(result.right.values())))
    left_out = f", {result.left_out} of other classes left out" if result.left_out else ""
    objects = len(np.unique(result.objects))
    return f"{result.photos}: {count:,} photos of {objects:,} objects{left_out}"
