"""What the bundles' records say, as a table for people."""

from collections.abc import Mapping

from trashlens.bundle import Bundle

__all__ = ["format_table"]


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
            time, speed = f"{latency['infer_ms_p50']:.1f} ms", f"{latency['times_teacher_speed']:.1f}×"
        rows.append(
            f"| {role} | {bundle.architecture} | {bundle.parameters / 1e6:.1f} M "
            f"| {len(bundle.model) / 1e6:.1f} MB | {accuracy} | {macro_f1} | {time} | {speed} |"
        )
    return "\n".join(rows)
