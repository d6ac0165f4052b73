"""Where each network comes from: the way back from an answer to the data that its bundle was trained on."""

from collections.abc import Mapping
from html import escape
from typing import Any

from trashlens.bundle import Bundle
from trashlens.classifier import Classifier
from trashlens.ui.words import Words

__all__ = ["describe_run", "render_origins"]


def render_origins(classifiers: Mapping[str, Classifier], words: Words) -> str:
    """Return a folded panel, HTML: bundle, checkpoint, run, code and data of each network, from its record."""
    bundles = [classifier.bundle for classifier in classifiers.values()]
    teacher = next((bundle for bundle in bundles if bundle.role == "teacher"), None)
    blocks = "".join(_render_block(bundle, teacher, words) for bundle in bundles)
    return (
        f'<details class="tl-panel tl-origins"><summary>{words["origin.title"]}</summary>'
        f"<div>{blocks}</div><p>{words['origin.note']}</p></details>"
    )


def describe_run(provenance: Mapping[str, Any], words: Words) -> str:
    """Return the name of the run that trained a network, HTML, and the way there where it is in W&B."""
    run = provenance.get("run")
    if not run:
        return words["origin.unknown"]
    name = f"<code>{escape(run['id'])}</code>"
    if (run.get("url") or "").startswith("https://"):
        said = words["origin.run.name"].format(run=name)
        return f'<a href="{escape(run["url"])}" target="_blank" rel="noopener">{said}</a>'
    return words["origin.run.offline"].format(run=name)


def _render_block(bundle: Bundle, teacher: Bundle | None, words: Words) -> str:
    provenance, unknown = bundle.provenance, words["origin.unknown"]
    checkpoint = provenance.get("checkpoint_sha256")
    facts = {
        "bundle": f"<code>{bundle.short_id}</code>",
        "checkpoint": f"<code>{escape(checkpoint[:12])}</code>" if checkpoint else unknown,
        "lesson": _describe_lesson(provenance, teacher, words) or unknown,
        "photos": _describe_data(provenance, words) or unknown,
        "run": describe_run(provenance, words),
        "code": _describe_code(provenance, words) or unknown,
        "accuracy": _describe_test(bundle, words),
        "sure": _describe_threshold(bundle, words),
    }
    rows = "".join(f"<dt>{words[f'origin.{name}']}</dt><dd>{fact}</dd>" for name, fact in facts.items())
    return f"<section><h3>{words[f'role.{bundle.role}']}</h3><dl>{rows}</dl></section>"


def _describe_lesson(provenance: Mapping[str, Any], teacher: Bundle | None, words: Words) -> str:
    """Return what it was taught with; a teacher that was replaced since is told from the one beside it."""
    history = provenance.get("history")
    if not history:
        return ""
    taught_by, key = (provenance.get("inputs") or {}).get("teacher"), "origin.labels"
    if taught_by:
        beside = teacher and {teacher.sha256, teacher.provenance.get("checkpoint_sha256")}
        key = "origin.teacher" if not beside or taught_by in beside else "origin.other"
    return words[key].format(
        checkpoint=f"<code>{escape((taught_by or '')[:12])}</code>",
        epochs=len(history),
        epoch=provenance.get("epoch"),
    )


def _describe_data(provenance: Mapping[str, Any], words: Words) -> str:
    data = provenance.get("data")
    if not data:
        return ""
    photos = words["origin.data"].format(
        count=words.write(sum(data["photos"]["train"].values()), ","),
        dataset=escape(data["dataset"]),
        split=escape(words.find("split", data["split"])),
        list=f"<code>{escape(data['manifest_sha256'][:12])}</code>",
    )
    if added := data.get("added"):
        photos += words["origin.given"].format(
            count=words.write(sum(added["photos"].values()), ","),
            list=f"<code>{escape(added['manifest_sha256'][:12])}</code>",
        )
    return photos


def _describe_code(provenance: Mapping[str, Any], words: Words) -> str:
    environment = provenance.get("environment")
    if not environment:
        return ""
    commit = (environment.get("commit") or words["origin.commit.unknown"])[:12]
    torch = environment.get("torch")
    return words["origin.commit.torch" if torch else "origin.commit"].format(
        commit=f"<code>{escape(commit)}</code>", torch=escape(torch or "")
    )


def _describe_test(bundle: Bundle, words: Words) -> str:
    test = bundle.metrics.get("test")
    if not test:
        return words["origin.unmeasured"]
    accuracy, low, high = (
        words.write(share, ".1%") for share in (test["accuracy"], *test["accuracy_interval"])
    )
    return words["origin.measured"].format(accuracy=accuracy, low=low, high=high, photos=test["photos"])


def _describe_threshold(bundle: Bundle, words: Words) -> str:
    if bundle.threshold is None:
        return words["origin.always"]
    wanted = ((bundle.metrics.get("val") or {}).get("accepted") or {}).get("wanted")
    return words["origin.threshold" if wanted is None else "origin.threshold.chosen"].format(
        threshold=words.write(bundle.threshold, ".1%"),
        wanted=f"{words.write(100 * (wanted or 0), 'g')}{words['mark.percent']}",
    )
