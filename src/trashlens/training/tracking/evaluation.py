"""Record a measurement of the three bundles as a W&B run of its own, which gives the bundles' versions."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from trashlens.bundle import Bundle
from trashlens.training.checkpoint import describe_environment
from trashlens.training.tracking.run import track
from trashlens.training.tracking.versions import bundle_version

__all__ = ["record_evaluation"]


def record_evaluation(
    bundles: Mapping[str, Bundle],
    models: Path,
    photos: Sequence[bytes | Path],
    answers: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]],
    drawings: Mapping[str, Figure],
    *,
    name: str,
    folder: Path,
    roles: Collection[str],
) -> None:
    """Record the bundles below `models`, measured on the split `name`, as a run whose files lie in `folder`.

    It gives a version of the bundles of `roles`; the others are there to be compared with. `answers` are, by
    role, the true classes [N] and the probabilities [N, classes] for the N photos.
    """
    config = {
        "split": name,
        "photos": len(photos),
        "bundles": {role: bundle.sha256 for role, bundle in bundles.items()},
        "environment": describe_environment(),
    }
    with track(config, name="evaluate", folder=folder, job_type="evaluate") as tracker:
        for role, bundle in bundles.items():
            labels, probabilities = answers[role]
            tracker.log_predictions(role, photos, labels, probabilities, classes=bundle.labels, step=0)
        tracker.log_drawings(drawings, step=0)
        tracker.log_rows("comparison", [_row(bundle, name) for bundle in bundles.values()], step=0)
        pairs = [row for bundle in bundles.values() for row in _pair_rows(bundle, name)]
        if pairs:
            tracker.log_rows("pairs", pairs, step=0)
        for role, bundle in bundles.items():
            tracker.summarise_score(role, bundle.metrics[name])
            if role in roles:
                tracker.give(bundle_version(bundle, models / role))


def _row(bundle: Bundle, name: str) -> dict[str, Any]:
    """Return a bundle's line of the comparison."""
    score, latency = bundle.metrics[name], bundle.metrics["latency"]
    low, high = score["accuracy_interval"]
    return {
        "role": bundle.role,
        "network": bundle.architecture,
        "parameters": bundle.parameters,
        "bytes": len(bundle.model),
        "accuracy": score["accuracy"],
        "accuracy_low": low,
        "accuracy_high": high,
        "macro_f1": score["macro_f1"],
        "ece": score["ece"],
        "infer_ms_p50": latency["infer_ms_p50"],
        "infer_ms_p95": latency["infer_ms_p95"],
    }


def _pair_rows(bundle: Bundle, name: str) -> list[dict[str, Any]]:
    """Return a bundle's lines of the comparison in pairs: by how much it is better than each other one."""
    rows = []
    for other, pair in (bundle.metrics[name].get("paired") or {}).items():
        low, high = pair["difference_interval"]
        rows.append(
            {
                **{"network": bundle.role, "against": other, "difference": pair["difference"]},
                **{"difference_low": low, "difference_high": high, "interval": pair["interval"]},
                **{
                    "only_other": pair["only_other"],
                    "only_network": pair["only_own"],
                    "p": pair["p"],
                },
            }
        )
    return rows
