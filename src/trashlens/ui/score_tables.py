"""What bundles' records say, as HTML tables; what was not recorded is a dash."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from trashlens.bundle import Bundle
from trashlens.records import PAIRS, find_pair, find_speed, look_up

__all__ = ["render_classes", "render_confusion", "render_pairs", "render_summary"]

NOTHING = "&ndash;"
SATURATION = 55
"""Most of a network's colour that a cell takes, percent: text in the page's ink stays readable on it."""
Cell = Callable[[Bundle], str]


def render_summary(bundles: Mapping[str, Bundle], missing: Sequence[str] = ()) -> str:
    """Return the table of everything that is one number, a column for each network."""

    def speed(bundle: Bundle) -> str:
        times = find_speed(bundles, bundle.role)
        return NOTHING if times is None else f"{times:.1f}&times;"

    groups: dict[str, dict[str, Cell]] = {
        "Being right": {
            "accuracy": _share("test", "accuracy"),
            "macro F1": _number("test", "macro_f1"),
            "on objects it trained on": _share("test", "objects", "trained", "accuracy"),
            "on new objects": _share("test", "objects", "new", "accuracy"),
            "on altered photos": _share("robustness", "robust"),
        },
        "Knowing when it is": {
            "calibration error": _number("test", "ece"),
            "sure of its answer": _share("test", "accepted", "coverage"),
            "right where sure": _share("test", "accepted", "precision"),
        },
        "Time": {
            "one photo, median": _time("infer_ms_p50"),
            "95% stay below": _time("infer_ms_p95"),
            "speed, teacher = 1": speed,
        },
        "Size": {
            "network": lambda bundle: escape(bundle.architecture.partition(".")[0]).replace(
                "_", "<wbr>_"
            ),
            "parameters": lambda bundle: _count(bundle.parameters),
            "file": lambda bundle: f"{bundle.size_bytes / 1e6:.1f} MB",
            "memory": _memory,
        },
    }
    bodies = "".join(_group(title, rows, bundles, missing) for title, rows in groups.items())
    return _table("tl-table", "Each network in numbers", _head(bundles, missing), bodies)


def render_pairs(bundles: Mapping[str, Bundle]) -> str:
    """Return the table of one network's accuracy minus another's, or nothing where none was compared."""
    rows = []
    for role, other in PAIRS:
        pair = find_pair(bundles, role, other)
        if pair:
            low, high = pair["difference_interval"]
            ahead = "a tie" if low <= 0 <= high else f"{role if low > 0 else other} ahead"
            rows.append(
                f'<tr><th scope="row">{role} minus {other}</th><td>{_points(pair["difference"])}'
                f"<small>{_points(low)} to {_points(high)}</small></td><td>{ahead}</td></tr>"
            )
    if not rows:
        return ""
    head = '<th scope="col">Pair</th><th scope="col">points</th><th scope="col">verdict</th>'
    return _table("tl-table", "Accuracy of one minus the other", head, f"<tbody>{''.join(rows)}</tbody>")


def render_classes(bundles: Mapping[str, Bundle], missing: Sequence[str] = ()) -> str:
    """Return the table of each class's F1, or nothing where none was measured."""
    if not any(look_up(bundle.metrics, "test", "f1") for bundle in bundles.values()):
        return ""
    labels = list(dict.fromkeys(label for bundle in bundles.values() for label in bundle.labels))
    rows = "".join(
        f'<tr data-class="{escape(label)}"><th scope="row">{escape(label)}</th>'
        + "".join(
            _bar(bundle.role, look_up(bundle.metrics, "test", "f1", label))
            for bundle in bundles.values()
        )
        + f"<td>{NOTHING}</td>" * len(missing)
        + "</tr>"
        for label in labels
    )
    return _table(
        "tl-table tl-f1", "F1 of each class", _head(bundles, missing), f"<tbody>{rows}</tbody>"
    )


def render_confusion(bundle: Bundle) -> str:
    """Return the photos by true class (rows) and predicted class (columns), or nothing where not recorded."""
    counts = look_up(bundle.metrics, "test", "confusion")
    if not counts:
        return ""
    rows = []
    for label, row in zip(bundle.labels, counts, strict=True):
        total = max(sum(row), 1)
        cells = "".join(
            f'<td style="--share:{SATURATION * count / total:.0f}%">' f"{count or ''}</td>"
            for count in row
        )
        rows.append(f'<tr><th scope="row">{escape(label)}</th>{cells}</tr>')
    head = "<td></td>" + "".join(
        f'<th scope="col"><span>{escape(label)}</span></th>' for label in bundle.labels
    )
    caption = f"Photos by true class (rows) and the class the {bundle.role} named (columns)"
    return _table("tl-confusion", caption, head, f"<tbody>{''.join(rows)}</tbody>")


def _table(looks: str, caption: str, head: str, bodies: str) -> str:
    return f'<table class="{looks}"><caption>{caption}</caption><thead><tr>{head}</tr></thead>{bodies}</table>'


def _head(bundles: Mapping[str, Bundle], missing: Sequence[str]) -> str:
    return "<td></td>" + "".join(
        f'<th scope="col" data-role="{role}">{role}</th>' for role in (*bundles, *missing)
    )


def _group(
    title: str, rows: Mapping[str, Cell], bundles: Mapping[str, Bundle], missing: Sequence[str]
) -> str:
    """Return the rows of one kind of number below a heading; a row that nobody fills is left out."""
    lines = []
    for name, cell in rows.items():
        values = [cell(bundle) for bundle in bundles.values()]
        if any(value != NOTHING for value in values):
            cells = "".join(f"<td>{value}</td>" for value in [*values, *[NOTHING] * len(missing)])
            lines.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
    span = 1 + len(bundles) + len(missing)
    heading = f'<tr><th scope="rowgroup" colspan="{span}">{title}</th></tr>'
    return f"<tbody>{heading}{''.join(lines)}</tbody>" if lines else ""


def _share(*keys: str) -> Cell:
    """Return what writes the share below `keys` as a percentage, with its interval where there is one."""
    return lambda bundle: _write(bundle, keys, scale=100, digits=1, unit="%")


def _number(*keys: str) -> Cell:
    """Return what writes the number below `keys`, with its interval where there is one."""
    return lambda bundle: _write(bundle, keys, scale=1, digits=3, unit="")


def _write(bundle: Bundle, keys: Sequence[str], *, scale: int, digits: int, unit: str) -> str:
    value = look_up(bundle.metrics, *keys)
    if value is None:
        return NOTHING
    interval = look_up(bundle.metrics, *keys[:-1], f"{keys[-1]}_interval") or ()
    ends = "&ndash;<wbr>".join(f"{scale * end:.{digits}f}" for end in interval)
    return f"{scale * value:.{digits}f}{unit}" + (f"<small>{ends}</small>" if ends else "")


def _time(key: str) -> Cell:
    def cell(bundle: Bundle) -> str:
        ms = look_up(bundle.metrics, "latency", key)
        return NOTHING if ms is None else f"{ms:.1f} ms"

    return cell


def _memory(bundle: Bundle) -> str:
    memory_mb = look_up(bundle.metrics, "latency", "memory_mb")
    return NOTHING if memory_mb is None else f"{memory_mb:.0f} MB"


def _count(parameters: int) -> str:
    return f"{parameters / 1e6:.1f} M" if parameters >= 1e5 else f"{parameters:,}"


def _bar(role: str, f1: Any) -> str:
    if f1 is None:
        return f"<td>{NOTHING}</td>"
    return f'<td data-role="{role}">{f1:.3f}<i aria-hidden="true"><i style="width:{100 * f1:.1f}%"></i></i></td>'


def _points(difference: float) -> str:
    """Return a difference of shares in percentage points with its sign, a true minus, none for zero."""
    points = round(100 * difference, 1)
    return f"{points:+.1f}".replace("-", "−") if points else "0.0"
