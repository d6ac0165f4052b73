"""Two bundles side by side: what pruning saved, and what it cost in accuracy."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from trashlens.benchmark.classifiers import time_classifiers
from trashlens.bundle import Bundle
from trashlens.classifier import Classifier
from trashlens.errors import RecipeError
from trashlens.machine import processor_name
from trashlens.training.pruning.cost import count_cost

__all__ = ["compare_bundles", "format_comparison"]


def compare_bundles(
    before: Bundle, after: Bundle, *, rounds: int = 200, threads: int | None = None
) -> dict[str, Any]:
    """Return `before`, `after` and `shares`: layers, parameters, multiply-adds, bytes, times and accuracy.

    Both are timed on one photo in turn, in ONNX Runtime as they are served, so that what else the machine does
    slows both alike. The accuracy is what their records hold, on the same photos or not at all.

    Raises:
        RecipeError: they name other classes.
    """
    if before.labels != after.labels:
        raise RecipeError("The two bundles name other classes, and cannot be compared.")
    bundles = {"before": before, "after": after}
    sessions = {name: Classifier(bundle, threads=threads or 0) for name, bundle in bundles.items()}
    times = time_classifiers(sessions, rounds=rounds)
    sides = {
        name: {
            "bundle": bundle.short_id,
            "network": bundle.architecture,
            **asdict(count_cost(bundle.model, size_px=bundle.preprocess.size_px)),
            "infer_ms_p50": times.summary(name).p50_ms,
            "infer_ms_p95": times.summary(name).p95_ms,
            "accuracy": {
                split: {key: measured[key] for key in ("accuracy", "macro_f1", "photos")}
                for split, measured in bundle.metrics.items()
                if split in ("val", "test")
            },
        }
        for name, bundle in bundles.items()
    }
    faster = times.ratio("before", "after")
    return {
        **sides,
        "shares": {
            key: sides["after"][key] / sides["before"][key]
            for key in ("layers", "parameters", "macs", "size_bytes")
        },
        "times_as_fast": {"median": faster.median, "low": faster.low, "high": faster.high},
        "accuracy_lost": (
            _find_losses(sides["before"]["accuracy"], sides["after"]["accuracy"])
            if _split_of(before) == _split_of(after)
            else {}
        ),
        "machine": {"cpu": processor_name(), "threads": threads, "rounds": rounds},
    }


def format_comparison(comparison: Mapping[str, Any]) -> str:
    """Return the comparison as a Markdown table."""
    before, after, shares = (comparison[key] for key in ("before", "after", "shares"))
    faster = comparison["times_as_fast"]
    rows: list[tuple[Any, ...]] = [
        ("Input, px", before["size_px"], after["size_px"], ""),
        ("Layers", before["layers"], after["layers"], f"{shares['layers']:.0%}"),
        ("Parameters, 10⁶", *_in(1e6, before, after, "parameters"), f"{shares['parameters']:.1%}"),
        ("Multiply-adds, 10⁶", *_in(1e6, before, after, "macs"), f"{shares['macs']:.1%}"),
        ("File, MB", *_in(1e6, before, after, "size_bytes"), f"{shares['size_bytes']:.1%}"),
        (
            "Inference, median ms",
            *_in(1, before, after, "infer_ms_p50"),
            f"{faster['median']:.2f}× as fast ({faster['low']:.2f} to {faster['high']:.2f})",
        ),
    ]
    for split, lost in comparison["accuracy_lost"].items():
        sides = [f"{side['accuracy'][split]['accuracy']:.1%}" for side in (before, after)]
        rows.append((f"Accuracy, {split}", *sides, f"{-100 * lost:+.1f} points"))
    lines = [
        f"| | {before['network']} `{before['bundle']}` | pruned `{after['bundle']}` | |",
        "|---|---:|---:|---|",
        *("| " + " | ".join(map(str, row)) + " |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _in(unit: float, before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> tuple[str, str]:
    return f"{before[key] / unit:.2f}", f"{after[key] / unit:.2f}"


def _split_of(bundle: Bundle) -> dict[str, Any]:
    """Return what tells which photos are in its splits."""
    data = bundle.provenance.get("data") or {}
    return {key: data.get(key) for key in ("manifest_sha256", "fold")}


def _find_losses(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, float]:
    """Return by split how much accuracy was lost, where both were measured on as many photos."""
    return {
        split: before[split]["accuracy"] - after[split]["accuracy"]
        for split in before
        if split in after and before[split]["photos"] == after[split]["photos"]
    }
