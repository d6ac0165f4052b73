"""How accuracy falls when photos change, as the bundles' records say: tables and a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from trashlens.bundle import Bundle
from trashlens.scoreboard.style import COLOURS, INK, style_axes
from trashlens.scoreboard.tables import format_rows, format_signed

__all__ = ["draw_robustness", "format_gains", "format_robustness"]

Folders = Mapping[str, Mapping[str, Bundle]]
"""By name of the folder: its bundles by role."""


def format_robustness(folders: Folders) -> str:
    """Return Markdown tables of what the bundles' records say under `robustness`; unmeasured is left out."""
    rows = [
        (name, role, bundle, bundle.metrics["robustness"])
        for name, bundles in folders.items()
        for role, bundle in bundles.items()
        if "robustness" in bundle.metrics
    ]
    if not rows:
        return "Nothing was measured on changed photos yet: `trashlens robustness --write`."
    several = len(folders) > 1
    parts = [
        _format_headline(rows, several=several),
        "## Accuracy by what was changed, at strengths 1, 2 and 3",
        _format_corruptions(rows, several=several),
        "## How photos on other grounds are named, share of the answers",
        _format_named(rows, several=several),
        "## Photos on which the three networks do not agree",
        _format_disagreement(folders, several=several),
        _describe(rows[0][3]),
    ]
    return "\n\n".join(parts)


Row = tuple[str, str, Bundle, Mapping[str, Any]]


def _lay_out(
    header: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], *, several: bool, words: int = 1
) -> str:
    """Return a table; the folder's name is its first column where there are several."""
    cells = [[name, *row] if several else list(row) for name, row in rows]
    return format_rows(
        ["models", *header] if several else header, cells, aligned="l" * (words + several)
    )


def _format_headline(rows: Sequence[Row], *, several: bool) -> str:
    header = (
        "role",
        "network",
        "accuracy unchanged",
        "changed (95 %)",
        "lost",
        "sure of",
        "right of those",
    )
    lines = []
    for name, role, bundle, record in rows:
        low, high = record["robust_interval"]
        kept = [record["accepted"][key] for key in ("clean", "changed")]
        cells = [role, bundle.architecture, f"{record['clean']:.3f}"]
        cells += [f"{record['robust']:.3f} ({low:.3f} to {high:.3f})", f"{record['lost']:.3f}"]
        cells += [_arrow([one[key] for one in kept]) for key in ("coverage", "precision")]
        lines.append((name, cells))
    return _lay_out(header, lines, several=several, words=2)


def _arrow(values: Sequence[float | None]) -> str:
    """Return what a number falls from and to."""
    return " → ".join("–" if value is None else f"{value:.2f}" for value in values)


def _format_corruptions(rows: Sequence[Row], *, several: bool) -> str:
    names = list(rows[0][3]["accuracy"])
    lines = [
        (name, [role, *(_triple(record["accuracy"][one]) for one in names)])
        for name, role, _, record in rows
    ]
    return _lay_out(("role", *names), lines, several=several)


def _triple(values: Sequence[float]) -> str:
    """Return shares in hundredths, as short as a cell needs them."""
    return " ".join(f"{100 * value:.0f}" for value in values)


def _format_named(rows: Sequence[Row], *, several: bool) -> str:
    labels = list(rows[0][3]["true"])
    lines = [("", ["(true)", *(_triple([rows[0][3]["true"][label]]) for label in labels)])]
    lines += [
        (name, [role, *(_triple(record["named"][label]) for label in labels)])
        for name, role, _, record in rows
    ]
    return _lay_out(("role", *labels), lines, several=several)


def _format_disagreement(folders: Folders, *, several: bool) -> str:
    """Return the table of each folder; a dash where its bundles are not those that were measured together."""
    records = {
        name: [
            bundle.metrics["robustness"]["disagreement"]
            for bundle in bundles.values()
            if "robustness" in bundle.metrics
        ]
        for name, bundles in folders.items()
    }
    names = list(next(one for found in records.values() for one in found)["by"])
    lines = []
    for name, found in records.items():
        if not found:
            continue
        here = {role: bundle.short_id for role, bundle in folders[name].items()}
        record = next((one for one in found if one.get("between") == here), None)
        cells = ["–"] * (2 + len(names))
        if record is not None:
            cells = [_triple([record[key]]) for key in ("clean", "changed")]
            cells += [_triple(record["by"][one]) for one in names]
        lines.append((name, cells))
    header = ("unchanged", "changed", *names)
    return _lay_out(header, lines, several=several, words=0)


def _describe(record: Mapping[str, Any]) -> str:
    """Return under which conditions the numbers were measured."""
    changes = len(record["accuracy"])
    return (
        f"{record['photos']} of {record.get('of', record['photos'])} {record.get('on', 'test')} photos, prepared "
        f"for training, each changed in {changes} ways at three strengths (seed {record['seed']}); `changed` is "
        f"the mean over all of them. Shares in hundredths. Intervals: {record['interval']}."
    )


def format_gains(first: str, others: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Return the table of what other folders' networks gained over those of the folder `first`, role by role.

    `others` holds by folder and role the paired differences `clean` and `robust` with their intervals.
    """
    lines = []
    for name, roles in others.items():
        for role, gain in roles.items():
            cells = [
                f"{format_signed(gain[key])} ({format_signed(gain[f'{key}_interval'][0])} to "
                f"{format_signed(gain[f'{key}_interval'][1])})"
                for key in ("clean", "robust")
            ]
            lines.append([name, role, *cells])
    title = f"## Gained over {first}, on the same photos (95 %)"
    return f"{title}\n\n{format_rows(('models', 'role', 'unchanged', 'changed'), lines, aligned='ll')}"


def draw_robustness(bundles: Mapping[str, Bundle]) -> Figure:
    """Return a panel for each corruption: accuracy from the unchanged photo to strength 3, a line a network."""
    measured = {
        role: bundle.metrics["robustness"]
        for role, bundle in bundles.items()
        if "robustness" in bundle.metrics
    }
    names = list(next(iter(measured.values()))["accuracy"]) if measured else []
    rows, columns = 2, max(1, -(-len(names) // 2))
    figure = Figure(figsize=(2.1 * columns + 0.6, 4.6), layout="constrained")
    for index, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, index + 1)
        style_axes(axes)
        for role, record in measured.items():
            values = [record["clean"], *record["accuracy"][name]]
            axes.plot(
                range(len(values)),
                values,
                color=COLOURS[role],
                marker="o",
                markersize=3.5,
                clip_on=False,
                label=role,
            )
        axes.set_title(name, loc="left", color=INK, fontsize=10)
        axes.set_ylim(0, 1)
        axes.set_xticks(range(4), ["none", "1", "2", "3"])
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.tick_params(labelleft=index % columns == 0, labelsize=8)
        if index == 0:
            axes.legend(frameon=False, labelcolor="linecolor", fontsize=8, loc="lower left")
    if measured:
        first = next(iter(measured.values()))
        figure.supylabel(f"accuracy, {first['photos']} {first.get('on', 'test')} photos", fontsize=9)
        figure.supxlabel("strength of the change", fontsize=9)
    return figure
