"""What bundles' records say, as HTML tables; what was not recorded is a dash."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from trashlens.bundle import Bundle
from trashlens.records import PAIRS, find_pair, find_speed, look_up
from trashlens.ui.words import Words

__all__ = ["render_classes", "render_confusion", "render_pairs", "render_summary"]

NOTHING = "&ndash;"
SATURATION = 55
"""Most of a network's colour that a cell takes, percent: text in the page's ink stays readable on it."""
Cell = Callable[[Bundle], str]


def render_summary(bundles: Mapping[str, Bundle], missing: Sequence[str], words: Words) -> str:
    """Return the table of everything that is one number, a column for each network."""

    def speed(bundle: Bundle) -> str:
        times = find_speed(bundles, bundle.role)
        return NOTHING if times is None else f"{words.write(times, '.1f')}&times;"

    groups: dict[str, dict[str, Cell]] = {
        "right": {
            "accuracy": _share(words, "test", "accuracy"),
            "macro_f1": _number(words, "test", "macro_f1"),
            "trained": _share(words, "test", "objects", "trained", "accuracy"),
            "new": _share(words, "test", "objects", "new", "accuracy"),
            "altered": _share(words, "robustness", "robust"),
        },
        "knowing": {
            "ece": _number(words, "test", "ece"),
            "sure": _share(words, "test", "accepted", "coverage"),
            "precision": _share(words, "test", "accepted", "precision"),
        },
        "time": {
            "median": _time(words, "infer_ms_p50"),
            "p95": _time(words, "infer_ms_p95"),
            "speed": speed,
        },
        "size": {
            "network": lambda bundle: escape(bundle.architecture.partition(".")[0]).replace(
                "_", "<wbr>_"
            ),
            "parameters": lambda bundle: _count(bundle.parameters, words),
            "file": lambda bundle: f"{words.write(bundle.size_bytes / 1e6, '.1f')} MB",
            "memory": _memory,
        },
    }
    bodies = "".join(_group(name, rows, bundles, missing, words) for name, rows in groups.items())
    return _table("tl-table", words["table.summary"], _head(bundles, missing, words), bodies)


def render_pairs(bundles: Mapping[str, Bundle], words: Words) -> str:
    """Return the table of one network's accuracy minus another's, or nothing where none was compared."""
    rows = []
    for role, other in PAIRS:
        pair = find_pair(bundles, role, other)
        if pair:
            low, high = pair["difference_interval"]
            first = words[f"role.{role if low > 0 else other}"]
            ahead = words["pair.tie"] if low <= 0 <= high else words["pair.ahead"].format(role=first)
            name = words["pair.minus"].format(role=words[f"role.{role}"], other=words[f"role.{other}"])
            ends = words["pair.interval"].format(low=_points(low, words), high=_points(high, words))
            rows.append(
                f'<tr><th scope="row">{name}</th><td>{_points(pair["difference"], words)}'
                f"<small>{ends}</small></td><td>{ahead}</td></tr>"
            )
    if not rows:
        return ""
    head = "".join(
        f'<th scope="col">{words[f"pair.{name}"]}</th>' for name in ("head", "points", "verdict")
    )
    return _table("tl-table", words["pair.caption"], head, f"<tbody>{''.join(rows)}</tbody>")


def render_classes(bundles: Mapping[str, Bundle], missing: Sequence[str], words: Words) -> str:
    """Return the table of each class's F1, or nothing where none was measured."""
    if not any(look_up(bundle.metrics, "test", "f1") for bundle in bundles.values()):
        return ""
    labels = list(dict.fromkeys(label for bundle in bundles.values() for label in bundle.labels))
    rows = "".join(
        f'<tr data-class="{escape(label)}"><th scope="row">{escape(words.find("class", label))}</th>'
        + "".join(
            _bar(bundle.role, look_up(bundle.metrics, "test", "f1", label), words)
            for bundle in bundles.values()
        )
        + f"<td>{NOTHING}</td>" * len(missing)
        + "</tr>"
        for label in labels
    )
    return _table(
        "tl-table tl-f1", words["table.f1"], _head(bundles, missing, words), f"<tbody>{rows}</tbody>"
    )


def render_confusion(bundle: Bundle, words: Words) -> str:
    """Return the photos by true class (rows) and predicted class (columns), or nothing where not recorded."""
    counts = look_up(bundle.metrics, "test", "confusion")
    if not counts:
        return ""
    names = [escape(words.find("class", label)) for label in bundle.labels]
    rows = []
    for name, row in zip(names, counts, strict=True):
        total = max(sum(row), 1)
        cells = "".join(
            f'<td style="--share:{SATURATION * count / total:.0f}%">' f"{count or ''}</td>"
            for count in row
        )
        rows.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
    head = "<td></td>" + "".join(f'<th scope="col"><span>{name}</span></th>' for name in names)
    caption = words["table.confusion"].format(who=words[f"the.{bundle.role}"])
    return _table("tl-confusion", caption, head, f"<tbody>{''.join(rows)}</tbody>")


def _table(looks: str, caption: str, head: str, bodies: str) -> str:
    return f'<table class="{looks}"><caption>{caption}</caption><thead><tr>{head}</tr></thead>{bodies}</table>'


def _head(bundles: Mapping[str, Bundle], missing: Sequence[str], words: Words) -> str:
    return "<td></td>" + "".join(
        f'<th scope="col" data-role="{role}">{words[f"role.{role}"]}</th>'
        for role in (*bundles, *missing)
    )


def _group(
    title: str,
    rows: Mapping[str, Cell],
    bundles: Mapping[str, Bundle],
    missing: Sequence[str],
    words: Words,
) -> str:
    """Return the rows of one kind of number below a heading; a row that nobody fills is left out."""
    lines = []
    for name, cell in rows.items():
        values = [cell(bundle) for bundle in bundles.values()]
        if any(value != NOTHING for value in values):
            cells = "".join(f"<td>{value}</td>" for value in [*values, *[NOTHING] * len(missing)])
            lines.append(f'<tr><th scope="row">{words[f"table.{name}"]}</th>{cells}</tr>')
    span = 1 + len(bundles) + len(missing)
    heading = f'<tr><th scope="rowgroup" colspan="{span}">{words[f"table.{title}"]}</th></tr>'
    return f"<tbody>{heading}{''.join(lines)}</tbody>" if lines else ""


def _share(words: Words, *keys: str) -> Cell:
    """Return what writes the share below `keys` as a percentage, with its interval where there is one."""
    return lambda bundle: _write(bundle, keys, words, scale=100, digits=1, unit=words["mark.percent"])


def _number(words: Words, *keys: str) -> Cell:
    """Return what writes the number below `keys`, with its interval where there is one."""
    return lambda bundle: _write(bundle, keys, words, scale=1, digits=3, unit="")


def _write(
    bundle: Bundle, keys: Sequence[str], words: Words, *, scale: int, digits: int, unit: str
) -> str:
    value = look_up(bundle.metrics, *keys)
    if value is None:
        return NOTHING
    interval = look_up(bundle.metrics, *keys[:-1], f"{keys[-1]}_interval") or ()
    ends = "&ndash;<wbr>".join(words.write(scale * end, f".{digits}f") for end in interval)
    return f"{words.write(scale * value, f'.{digits}f')}{unit}" + (
        f"<small>{ends}</small>" if ends else ""
    )


def _time(words: Words, key: str) -> Cell:
    def cell(bundle: Bundle) -> str:
        ms = look_up(bundle.metrics, "latency", key)
        return NOTHING if ms is None else f"{words.write(ms, '.1f')} ms"

    return cell


def _memory(bundle: Bundle) -> str:
    memory_mb = look_up(bundle.metrics, "latency", "memory_mb")
    return NOTHING if memory_mb is None else f"{memory_mb:.0f} MB"


def _count(parameters: int, words: Words) -> str:
    if parameters >= 1e5:
        return f"{words.write(parameters / 1e6, '.1f')} M"
    return words.write(parameters, ",")


def _bar(role: str, f1: Any, words: Words) -> str:
    if f1 is None:
        return f"<td>{NOTHING}</td>"
    bar = f'<i aria-hidden="true"><i style="width:{100 * f1:.1f}%"></i></i>'
    return f'<td data-role="{role}">{words.write(f1, ".3f")}{bar}</td>'


def _points(difference: float, words: Words) -> str:
    """Return a difference of shares in percentage points with its sign, a true minus, none for zero."""
    points = round(100 * difference, 1)
    return words.write(points, "+.1f").replace("-", "−") if points else words.write(0, ".1f")
