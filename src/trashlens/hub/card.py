"""The model card: written from the bundles' records alone, so that no number is typed twice."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from trashlens.bundle import Bundle
from trashlens.records import find_pair
from trashlens.scoreboard import (
    format_objects,
    format_pairs,
    format_rejection,
    format_robustness,
    format_scores,
    format_table,
)

__all__ = ["is_measured", "write_card"]

TEMPLATE = Path(__file__).with_name("card.md")
TASK = "image-classification"


def write_card(
    bundles: Mapping[str, Bundle],
    *,
    repo: str,
    version: str,
    space: str | None = None,
    source: str | None = None,
) -> str:
    """Return README.md of the model repository `repo`, whose tag `version` names these bundles.

    `space` is the Space that shows the bundles at work; `source` is the address of the code's repository.
    """
    tests = {role: test for role, bundle in bundles.items() if (test := bundle.metrics.get("test"))}
    any_bundle = next(iter(bundles.values()))
    data = any_bundle.provenance.get("data")
    pair = find_pair(bundles, "student", "baseline")
    cpus = {(bundle.metrics.get("latency") or {}).get("cpu") for bundle in bundles.values()}
    card = ModelCard.from_template(
        _front_matter(bundles, repo=repo),
        template_path=str(TEMPLATE),
        repo=repo,
        version=version,
        space=space,
        source=source,
        labels=any_bundle.labels,
        table=format_table(bundles),
        scores=format_scores(bundles) if tests else None,
        pairs=format_pairs(bundles) if pair else None,
        objects_table=(
            format_objects(bundles) if any("objects" in test for test in tests.values()) else None
        ),
        rejection=(
            format_rejection(bundles) if any("accepted" in test for test in tests.values()) else None
        ),
        robustness=(
            format_robustness({repo: bundles})
            if any("robustness" in bundle.metrics for bundle in bundles.values())
            else None
        ),
        photos=next((test["photos"] for test in tests.values()), None),
        cpu=cpus.pop() if len(cpus) == 1 else None,
        objects=any("groups" in test.get("interval", "") for test in tests.values()),
        measured=is_measured(bundles),
        reliable=any("reliability" in test for test in tests.values()),
        tied=_are_tied(pair, tests.get("baseline"), tests.get("student")),
        data=data,
        origins={role: _origin(bundle) for role, bundle in bundles.items() if bundle.provenance},
    )
    return str(card.content)


def is_measured(bundles: Mapping[str, Bundle]) -> bool:
    """Say whether every bundle has its scores and times, so that there are pictures of them."""
    return all(
        bundle.metrics.get("test") and bundle.metrics.get("latency") for bundle in bundles.values()
    )


def _front_matter(bundles: Mapping[str, Bundle], *, repo: str) -> ModelCardData:
    """Return the card's metadata, with what was measured as its model-index."""
    results = [result for role, bundle in bundles.items() for result in _results(role, bundle)]
    datasets = {(bundle.provenance.get("data") or {}).get("dataset") for bundle in bundles.values()}
    return ModelCardData(
        license="mit",
        library_name="onnx",
        pipeline_tag=TASK,
        tags=["waste", "recycling", "trashnet", "knowledge-distillation", "onnxruntime"],
        datasets=sorted(name for name in datasets if name) or None,
        metrics=["accuracy", "f1"],
        model_name=repo.split("/")[-1],
        eval_results=results or None,
    )


def _results(role: str, bundle: Bundle) -> list[EvalResult]:
    """Return what was measured on the test photos, in the Hub's terms."""
    test = bundle.metrics.get("test")
    data = bundle.provenance.get("data") or {}
    if not test:
        return []
    common: dict[str, Any] = {
        "task_type": TASK,
        "dataset_type": data.get("dataset", "unknown"),
        "dataset_name": "TrashNet",
        "dataset_split": "test",
        "dataset_revision": data.get("revision"),
        # The hashes name the photos also where they did not come from a revision of the Hub.
        "dataset_args": {
            key: data[key] for key in ("split", "manifest_sha256", "content_sha256") if key in data
        },
    }
    about = {"role": role, "photos": test["photos"]}
    return [
        EvalResult(
            **common,
            metric_type="accuracy",
            metric_name=f"Accuracy of the {role}",
            metric_value=test["accuracy"],
            metric_args={**about, **_name_interval(test["accuracy_interval"])},
        ),
        EvalResult(
            **common,
            metric_type="f1",
            metric_name=f"Macro F1 of the {role}",
            metric_value=test["macro_f1"],
            metric_args={**about, "average": "macro", **_name_interval(test.get("macro_f1_interval"))},
        ),
    ]


def _origin(bundle: Bundle) -> dict[str, Any]:
    """Return how a bundle was made: its recipe as YAML, the code's commit, the epoch, the run's address."""
    provenance = bundle.provenance
    return {
        "recipe": yaml.safe_dump(provenance.get("recipe"), sort_keys=False),
        "commit": (provenance.get("environment") or {}).get("commit"),
        "epoch": provenance.get("epoch"),
        "run": (provenance.get("run") or {}).get("url"),
    }


def _name_interval(interval: Sequence[float] | None) -> dict[str, float]:
    """Return a 95 % interval as arguments of a metric."""
    return dict(zip(("interval_95_low", "interval_95_high"), interval or (), strict=False))


def _are_tied(
    pair: Mapping[str, Any] | None, one: Mapping[str, Any] | None, other: Mapping[str, Any] | None
) -> bool:
    """Say whether two networks cannot be told apart: by their paired difference, else by overlapping intervals."""
    if pair:
        low, high = pair["difference_interval"]
        return bool(low <= 0 <= high)
    if not one or not other:
        return False
    (low, high), (other_low, other_high) = one["accuracy_interval"], other["accuracy_interval"]
    return bool(low <= other_high and other_low <= high)
