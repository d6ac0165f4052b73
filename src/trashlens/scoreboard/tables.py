"""What the bundles' records say, as Markdown tables; what was not measured is a dash."""

from collections.abc import Mapping, Sequence
from typing import Any

from trashlens.bundle import Bundle
from trashlens.records import PAIRS, find_pair, find_speed

__all__ = [
    "format_classes",
    "format_confusion",
    "format_latency",
    "format_objects",
    "format_pairs",
    "format_rejection",
    "format_report",
    "format_rows",
    "format_scores",
    "format_signed",
    "format_table",
]


def format_table(bundles: Mapping[str, Bundle], *, name: str = "test") -> str:
    """Return the Markdown table of what the bundles' records say; what was not measured is a dash."""
    measured = f"{name} accuracy (95 %) | macro F1"
    header = f"| role | network | parameters | file | {measured} | one photo | speed |"
    rows = [header, "|---|---|---:|---:|---:|---:|---:|---:|"]
    for role, bundle in bundles.items():
        test, latency = bundle.metrics.get(name), bundle.metrics.get("latency")
        accuracy = macro_f1 = time = speed = "–"
        if test:
            low, high = test["accuracy_interval"]
            accuracy = f"{test['accuracy']:.3f} ({low:.3f} to {high:.3f})"
            macro_f1 = f"{test['macro_f1']:.3f}"
        if latency:
            time, speed = f"{latency['infer_ms_p50']:.1f} ms", _format_speed(bundles, role)
        rows.append(
            f"| {role} | {bundle.architecture} | {bundle.parameters / 1e6:.1f} M "
            f"| {len(bundle.model) / 1e6:.1f} MB | {accuracy} | {macro_f1} | {time} | {speed} |"
        )
    return "\n".join(rows)


def format_latency(bundles: Mapping[str, Bundle]) -> str:
    """Return the Markdown table of the recorded times: how long, how steadily, and measured how."""
    rows = ["| role | median | 95th percentile | speed | measured |", "|---|---:|---:|---:|---|"]
    for role, bundle in bundles.items():
        latency = bundle.metrics.get("latency")
        if latency:
            rows.append(
                f"| {role} | {latency['infer_ms_p50']:.1f} ms | {latency['infer_ms_p95']:.1f} ms "
                f"| {_format_speed(bundles, role)} | {latency['requests']} photos "
                f"on {latency['cpu']} |"
            )
    return "\n".join(rows)


def format_scores(bundles: Mapping[str, Bundle], *, name: str = "test") -> str:
    """Return the Markdown table of macro F1 and calibration error with their intervals."""
    header = ("role", "macro F1 (95 %)", "calibration error (95 %)", "photos", "intervals")
    rows = []
    for role, bundle in bundles.items():
        test = bundle.metrics.get(name)
        if test:
            numbers = [
                _format_interval(test[key], test.get(f"{key}_interval")) for key in ("macro_f1", "ece")
            ]
            rows.append([role, *numbers, str(test["photos"]), test.get("interval", "–")])
        else:
            rows.append([role, *["–"] * 4])
    return format_rows(header, rows, aligned="l---l")


def format_classes(bundles: Mapping[str, Bundle], *, name: str = "test") -> str:
    """Return the Markdown table of each class's F1."""
    labels = next(iter(bundles.values())).labels
    rows = []
    for role, bundle in bundles.items():
        f1 = (bundle.metrics.get(name) or {}).get("f1", {})
        rows.append([role, *(f"{f1[label]:.3f}" if label in f1 else "–" for label in labels)])
    return format_rows(("F1", *labels), rows)


def format_pairs(bundles: Mapping[str, Bundle], *, name: str = "test") -> str:
    """Return the Markdown table of one network's accuracy minus another's on the same photos.

    Records of earlier versions do not say by these keys what one of them alone names rightly: a dash.
    """
    header = (
        "pair",
        "difference in accuracy (95 %)",
        "only the first right",
        "only the second right",
        "McNemar's p",
    )
    rows = []
    for role, other in PAIRS:
        pair = find_pair(bundles, role, other, name=name)
        if pair is None:
            rows.append([f"{role} − {other}", *["–"] * 4])
            continue
        low, high = (format_signed(end) for end in pair["difference_interval"])
        rows.append(
            [
                f"{role} − {other}",
                f"{format_signed(pair['difference'])} ({low} to {high})",
                str(pair.get("only_own", "–")),
                str(pair.get("only_other", "–")),
                _format_p(pair["p"]),
            ]
        )
    return format_rows(header, rows)


def format_rejection(bundles: Mapping[str, Bundle], *, name: str = "test") -> str:
    """Return the Markdown table of what each network is sure of, and how much of what is no waste it rejects.

    `promised` is the precision that its threshold was chosen for, on the validation photos.
    """
    origins = {"real": "photos of no waste rejected", "generated": "drawings rejected"}
    if any("own" in bundle.metrics.get("unrelated", {}) for bundle in bundles.values()):
        origins["own"] = "own photos rejected"
    rows = []
    for role, bundle in bundles.items():
        kept = (bundle.metrics.get(name) or {}).get("accepted") or {}
        unrelated = bundle.metrics.get("unrelated") or {}
        rejected = [_format_rejected(unrelated, one) for one in origins]
        shares = [
            "–" if kept.get(key) is None else _format_interval(kept[key], kept.get(f"{key}_interval"))
            for key in ("coverage", "precision")
        ]
        least = "always" if bundle.threshold is None else f"{bundle.threshold:.3f}"
        wanted = ((bundle.metrics.get("val") or {}).get("accepted") or {}).get("wanted")
        promised = "–" if bundle.threshold is None or wanted is None else f"{100 * wanted:g} %"
        rows.append([role, least, promised, *shares, *rejected])
    header = (
        *("role", "sure from", "promised", "share it is sure of (95 %)", "right of those (95 %)"),
        *origins.values(),
    )
    return format_rows(header, rows)


def _format_rejected(unrelated: Mapping[str, Any], origin: str) -> str:
    """Return the share that is rejected and of how many; of views of photographs both are counted."""
    if origin not in unrelated:
        return "–"
    record = unrelated[origin]
    said = f"{record['rejected']:.1%} of {record['photos']}"
    if origin == "real" and "kinds" in record:
        return f"{said} views of {len(record['kinds'])} photos"
    return said


def format_objects(bundles: Mapping[str, Bundle], *, name: str = "test") -> str:
    """Return the Markdown table of the accuracy on objects that were trained on and on new ones.

    Beside each: the share that the network is sure of, and what share of those is right.
    """
    rows = []
    for role, bundle in bundles.items():
        parts = (bundle.metrics.get(name) or {}).get("objects") or {}
        cells = []
        for part in ("trained", "new"):
            one = parts.get(part)
            cells += (
                [
                    _format_interval(one["accuracy"], one["accuracy_interval"]),
                    _format_kept(one.get("accepted")),
                    str(one["photos"]),
                ]
                if one
                else ["–"] * 3
            )
        rows.append([role, *cells])
    beside = ("sure of / right of those", "photos")
    header = ("role", "objects that were trained on (95 %)", *beside, "new objects (95 %)", *beside)
    return format_rows(header, rows)


def _format_kept(kept: Mapping[str, Any] | None) -> str:
    """Return the share that a network is sure of and the share of those that is right."""
    if kept is None:
        return "–"
    precision = "–" if kept["precision"] is None else f"{kept['precision']:.3f}"
    return f"{kept['coverage']:.3f} / {precision}"


def format_confusion(bundle: Bundle, *, name: str = "test") -> str:
    """Return the Markdown table of photos by true class (rows) and predicted class (columns)."""
    counts = (bundle.metrics.get(name) or {}).get("confusion")
    rows = [
        [label, *(["–"] * len(bundle.labels) if counts is None else map(str, counts[index]))]
        for index, label in enumerate(bundle.labels)
    ]
    return format_rows(("true, predicted", *bundle.labels), rows)


def format_report(bundles: Mapping[str, Bundle], *, name: str = "test") -> str:
    """Return everything that was measured on the split `name`, as Markdown."""
    parts = [
        format_table(bundles, name=name),
        "## Macro F1 and calibration",
        format_scores(bundles, name=name),
        "## F1 by class",
        format_classes(bundles, name=name),
        "## In pairs, on the same photos",
        format_pairs(bundles, name=name),
        "## By whether other photos of the same object were trained on",
        format_objects(bundles, name=name),
        "## Knowing when not to know",
        format_rejection(bundles, name=name),
    ]
    for role, bundle in bundles.items():
        parts += [f"## Photos by true and predicted class, {role}", format_confusion(bundle, name=name)]
    return "\n\n".join(parts)


def format_rows(header: Sequence[str], rows: Sequence[Sequence[str]], *, aligned: str = "l") -> str:
    """Return a Markdown table; `aligned` is `l` for each column of words, other columns hold numbers."""
    rules = ("---" if side == "l" else "---:" for side in aligned.ljust(len(header), "-"))
    lines = [f"| {' | '.join(header)} |", f"|{'|'.join(rules)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _format_interval(value: float, interval: Sequence[float] | None) -> str:
    return (
        f"{value:.3f}" if interval is None else f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
    )


def _format_speed(bundles: Mapping[str, Bundle], role: str) -> str:
    speed = find_speed(bundles, role)
    return "–" if speed is None else f"{speed:.1f}×"


def format_signed(value: float) -> str:
    """Return a difference with its sign, a true minus, and none for what rounds to zero."""
    return f"{value:+.3f}".replace("-", "−") if round(value, 3) else "0.000"


def _format_p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
