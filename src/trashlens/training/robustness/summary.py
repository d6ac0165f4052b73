"""What many answers on changed photos come to, as plain values for JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trashlens.training.evaluate.intervals import name_bootstrap, percentile_interval, resample_sums
from trashlens.training.robustness.corruptions import CORRUPTIONS, STRENGTHS

__all__ = ["Answers", "compare_answers", "disagreement", "summarise"]


class Answers(NamedTuple):
    """What one network says about every variant of every photo; variants come in the order of `VARIANTS`."""

    predicted: NDArray[np.str_]
    """The class named, [variants, N]."""
    sure: NDArray[np.bool_]
    """Whether the answer reaches the bundle's threshold, [variants, N]."""


def summarise(
    labels: NDArray[np.str_],
    answers: Answers,
    *,
    classes: Sequence[str],
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return one network's robustness.

    `labels` [N] are the true classes, `groups` [N] the object on each photo, over which intervals are drawn.
    Keys: `photos`; `clean`, accuracy on unchanged photos; `robust`, the mean accuracy over corruptions and
    strengths, with its 95 % `robust_interval`; `lost`, clean minus robust, with `lost_interval`; `interval`,
    how both are drawn; `accuracy`, by corruption a list over strengths; `named`, how photos on other grounds
    are named: by class the share at each strength, beside `true`, by class the share there is; `accepted`: for
    `clean` and `changed` photos the `coverage` of sure answers and the `precision` of those.
    """
    right = answers.predicted == labels
    shares = right[1:].reshape(len(CORRUPTIONS), len(STRENGTHS), -1).mean(axis=2)
    robust = right[1:].mean(axis=0)
    members = np.arange(len(labels)) if groups is None else np.array(groups)
    sums = resample_sums(np.stack([robust, right[0], np.ones(len(labels))], axis=1), members, seed=seed)
    background = answers.predicted[1:].reshape(len(CORRUPTIONS), len(STRENGTHS), -1)[
        list(CORRUPTIONS).index("background")
    ]
    return {
        "photos": len(labels),
        "clean": float(right[0].mean()),
        "robust": float(robust.mean()),
        "robust_interval": percentile_interval(sums[:, 0] / sums[:, 2]),
        "lost": float(right[0].mean() - robust.mean()),
        "lost_interval": percentile_interval((sums[:, 1] - sums[:, 0]) / sums[:, 2]),
        "interval": name_bootstrap(None if groups is None else members, photos=len(labels)),
        "accuracy": dict(zip(CORRUPTIONS, shares.tolist(), strict=True)),
        "named": {label: (background == label).mean(axis=1).tolist() for label in classes},
        "true": {label: float((labels == label).mean()) for label in classes},
        "accepted": {
            "clean": _accepted(right[:1], answers.sure[:1]),
            "changed": _accepted(right[1:], answers.sure[1:]),
        },
    }


def _accepted(right: NDArray[np.bool_], sure: NDArray[np.bool_]) -> dict[str, float | None]:
    return {
        "coverage": float(sure.mean()),
        "precision": float(right[sure].mean()) if sure.any() else None,
    }


def disagreement(answers: Mapping[str, Answers]) -> dict[str, Any]:
    """Return on which share of the photos the networks do not all say the same.

    Keys: `clean`; `changed`, the mean over corruptions and strengths; `by`, by corruption a list over strengths.
    """
    named = np.stack([one.predicted for one in answers.values()])
    differ = (named != named[0]).any(axis=0)
    shares = differ[1:].reshape(len(CORRUPTIONS), len(STRENGTHS), -1).mean(axis=2)
    return {
        "clean": float(differ[0].mean()),
        "changed": float(differ[1:].mean()),
        "by": dict(zip(CORRUPTIONS, shares.tolist(), strict=True)),
    }


def compare_answers(
    labels: NDArray[np.str_],
    first: Answers,
    second: Answers,
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return what the second network gained over the first on the same photos: accuracy, second minus first.

    Keys: `clean` and `robust`, each with its paired 95 % interval, `clean_interval` and `robust_interval`
    (percentile bootstrap over groups, or over photos where none are known).
    """
    gains = (second.predicted == labels).astype(np.float64) - (first.predicted == labels)
    parts = np.stack([gains[0], gains[1:].mean(axis=0), np.ones(len(labels))], axis=1)
    members = np.arange(len(labels)) if groups is None else np.array(groups)
    sums = resample_sums(parts, members, seed=seed)
    return {
        "clean": float(parts[:, 0].mean()),
        "clean_interval": percentile_interval(sums[:, 0] / sums[:, 2]),
        "robust": float(parts[:, 1].mean()),
        "robust_interval": percentile_interval(sums[:, 1] / sums[:, 2]),
    }
