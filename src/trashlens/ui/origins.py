"""Where each network comes from: the way back from an answer to the data that its bundle was trained on."""

from collections.abc import Mapping
from html import escape
from typing import Any

from trashlens.bundle import Bundle
from trashlens.classifier import Classifier

__all__ = ["render_origins"]

UNKNOWN = "not recorded"


def render_origins(classifiers: Mapping[str, Classifier]) -> str:
    """Return a folded table, HTML: bundle, run, code and data of each network, from the bundles' records."""
    bundles = [classifier.bundle for classifier in classifiers.values()]
    rows = {
        "bundle": [f"<code>{bundle.short_id}</code>" for bundle in bundles],
        "learned from": [_describe_lesson(bundle.provenance) for bundle in bundles],
        "photos": [_describe_data(bundle.provenance) for bundle in bundles],
        "run": [_describe_run(bundle.provenance) for bundle in bundles],
        "code": [_describe_code(bundle.provenance) for bundle in bundles],
        "test accuracy": [_describe_test(bundle) for bundle in bundles],
    }
    head = "".join(f'<th scope="col">{bundle.role}</th>' for bundle in bundles)
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for name, cells in rows.items()
    )
    return (
        '<details class="tl-panel tl-origins"><summary>Where these networks come from</summary>'
        f"<div><table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        "<p>Every answer of the API and of the command line names its bundle. The bundle&rsquo;s record holds the "
        "recipe, the run and the SHA-256 of the list of photos it was trained on.</p></details>"
    )


def _describe_lesson(provenance: Mapping[str, Any]) -> str:
    history = provenance.get("history")
    if not history:
        return UNKNOWN
    teacher = (provenance.get("inputs") or {}).get("teacher")
    signal = "labels" if not teacher else f"labels and the teacher <code>{escape(teacher[:12])}</code>"
    return f"{signal}, {len(history)} epochs, the best one kept ({provenance.get('epoch')})"


def _describe_data(provenance: Mapping[str, Any]) -> str:
    data = provenance.get("data")
    if not data:
        return UNKNOWN
    count = sum(data["photos"]["train"].values())
    dataset, split = escape(data["dataset"]), escape(data["split"])
    return f"{count:,} of {dataset}, {split} split, list <code>{escape(data['manifest_sha256'][:12])}</code>"


def _describe_run(provenance: Mapping[str, Any]) -> str:
    run = provenance.get("run")
    if not run:
        return UNKNOWN
    name = f"W&amp;B run <code>{escape(run['id'])}</code>"
    if (run.get("url") or "").startswith("https://"):
        return f'<a href="{escape(run["url"])}" target="_blank" rel="noopener">{name}</a>'
    return f"{name}, recorded offline"


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
