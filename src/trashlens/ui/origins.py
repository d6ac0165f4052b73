"""Where each network comes from: the way back from an answer to the data that its bundle was trained on."""

from collections.abc import Mapping
from html import escape
from typing import Any

from trashlens.bundle import Bundle
from trashlens.classifier import Classifier

from trashlens.ui.words import Words

__all__ = ["UNKNOWN", "describe_run", "render_origins"]

UNKNOWN = "not recorded"


def render_origins(classifiers: Mapping[str, Classifier], words: Words) -> str:
    """Return a folded panel, HTML: bundle, checkpoint, run, code and data of each network, from its record."""
    bundles = [classifier.bundle for classifier in classifiers.values()]
    teacher = next((bundle for bundle in bundles if bundle.role == "teacher"), None)
    blocks = "".join(_render_block(bundle, teacher) for bundle in bundles)
    return (
        '<details class="tl-panel tl-origins"><summary>Where these networks come from</summary>'
        f"<div>{blocks}</div>"
        "<p>Every answer of the API and of the command line names its bundle. The bundle&rsquo;s record holds the "
        "recipe, the run and the SHA-256 of the list of photos it was trained on; above are the first twelve "
        "digits of each.</p></details>"
    )


def describe_run(provenance: Mapping[str, Any]) -> str:
    """Return the name of the run that trained a network, HTML, and the way there where it is in W&B."""
    run = provenance.get("run")
    if not run:
        return UNKNOWN
    name = f"W&amp;B run <code>{escape(run['id'])}</code>"
    if (run.get("url") or "").startswith("https://"):
        return f'<a href="{escape(run["url"])}" target="_blank" rel="noopener">{name}</a>'
    return f"{name}, recorded offline"


def _render_block(bundle: Bundle, teacher: Bundle | None) -> str:
    provenance = bundle.provenance
    checkpoint = provenance.get("checkpoint_sha256")
    facts = {
        "bundle": f"<code>{bundle.short_id}</code>",
        "from checkpoint": f"<code>{escape(checkpoint[:12])}</code>" if checkpoint else UNKNOWN,
        "learned from": _describe_lesson(provenance, teacher),
        "photos": _describe_data(provenance),
        "run": describe_run(provenance),
        "code": _describe_code(provenance),
        "test accuracy": _describe_test(bundle),
        "is sure": _describe_threshold(bundle),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{fact}</dd>" for name, fact in facts.items())
    return f"<section><h3>{bundle.role}</h3><dl>{rows}</dl></section>"


def _describe_lesson(provenance: Mapping[str, Any], teacher: Bundle | None) -> str:
    """Return what it was taught with; a teacher that was replaced since is told from the one beside it."""
    history = provenance.get("history")
    if not history:
        return UNKNOWN
    taught_by, signal = (provenance.get("inputs") or {}).get("teacher"), "labels"
    if taught_by:
        beside = teacher and {teacher.sha256, teacher.provenance.get("checkpoint_sha256")}
        whose = "the teacher" if not beside or taught_by in beside else "an earlier or other teacher"
        signal = f"labels and {whose}&rsquo;s checkpoint <code>{escape(taught_by[:12])}</code>"
    return f"{signal}, {len(history)} epochs, the best one kept ({provenance.get('epoch')})"


def _describe_data(provenance: Mapping[str, Any]) -> str:
    data = provenance.get("data")
    if not data:
        return UNKNOWN
    count = sum(data["photos"]["train"].values())
    dataset, split = escape(data["dataset"]), escape(data["split"])
    return f"{count:,} of {dataset}, {split} split, list <code>{escape(data['manifest_sha256'][:12])}</code>"


def _describe_code(provenance: Mapping[str, Any]) -> str:
    environment = provenance.get("environment")
    if not environment:
        return UNKNOWN
    commit = (environment.get("commit") or "unknown")[:12]
    torch = environment.get("torch")
    return f"commit <code>{escape(commit)}</code>" + (f", torch {escape(torch)}" if torch else "")


def _describe_test(bundle: Bundle) -> str:
    test = bundle.metrics.get("test")
    if not test:
        return "not measured"
    low, high = test["accuracy_interval"]
    return f"{test['accuracy']:.1%} ({low:.1%} to {high:.1%}) of {test['photos']} photos"


def _describe_threshold(bundle: Bundle) -> str:
    if bundle.threshold is None:
        return "always"
    least = f"where a class has {bundle.threshold:.1%} or more"
    wanted = ((bundle.metrics.get("val") or {}).get("accepted") or {}).get("wanted")
    return (
        least
        if wanted is None
        else f"{least}, chosen so that {100 * wanted:g}% of such answers are right"
    )
