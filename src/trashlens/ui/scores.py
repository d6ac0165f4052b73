"""The Scoreboard tab: everything that the records of the serving bundles say, as HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import yaml

from trashlens.bundle import Bundle
from trashlens.lineup import Lineup, available
from trashlens.records import look_up
from trashlens.ui.cards import name_roles
from trashlens.ui.origins import describe_run
from trashlens.ui.score_pictures import draw_accuracy_latency
from trashlens.ui.score_reliability import draw_reliability
from trashlens.ui.score_tables import (
    render_classes,
    render_confusion,
    render_pairs,
    render_summary,
)
from trashlens.ui.score_words import describe_measuring, render_intro
from trashlens.ui.words import Words

__all__ = ["render_scores"]

HUB = "https://huggingface.co"


def render_scores(lineup: Lineup, words: Words) -> str:
    """Return the tab; what no record holds is a dash or left out, and a role that is not there is said so."""
    bundles = {role: one.bundle for role, one in available(lineup).items()}
    missing = [role for role in lineup if role not in bundles]
    method = f'<p class="tl-read tl-method">{describe_measuring(bundles, words)}</p>'
    summary = _panel(
        words["panel.glance"], render_summary(bundles, missing, words) + method, looks="tl-tall"
    )
    aside = _render_aside(bundles, missing, words)
    top = f'{summary}<div class="tl-aside">{aside}</div>' if aside else summary
    links = _panel(words["panel.links"], _render_links(bundles, words))
    return (
        f'<div class="tl-scores">{render_intro(bundles, missing, words)}'
        f"{top}{_render_details(bundles, words)}{links}</div>"
    )


def _render_aside(bundles: Mapping[str, Bundle], missing: Sequence[str], words: Words) -> str:
    """Return what stands beside the summary: the networks against each other."""
    parts = {
        "tradeoff": draw_accuracy_latency(bundles, words),
        "pairs": render_pairs(bundles, words),
        "f1": render_classes(bundles, missing, words),
    }
    return "".join(
        _panel(words[f"panel.{name}"], part, words[f"panel.{name}.note"]) for name, part in parts.items()
    )


def _render_details(bundles: Mapping[str, Bundle], words: Words) -> str:
    """Return what takes a picture for each network."""
    parts = {
        "confusion": {role: render_confusion(bundle, words) for role, bundle in bundles.items()},
        "reliability": {role: draw_reliability(bundle, words) for role, bundle in bundles.items()},
    }
    return "".join(
        _panel(words[f"panel.{name}"], _side_by_side(part, words), words[f"panel.{name}.note"])
        for name, part in parts.items()
    )


def _panel(title: str, content: str, note: str = "", looks: str = "") -> str:
    """Return a section with its heading and what a stranger needs to read it; nothing without content."""
    if not content:
        return ""
    said = f'<p class="tl-read">{note}</p>' if note else ""
    return f'<section class="tl-panel {looks}"><h2>{title}</h2>{said}{content}</section>'


def _side_by_side(parts: Mapping[str, str], words: Words) -> str:
    """Return what there is of each network side by side, and a sentence about those without."""
    figures = "".join(
        f'<section data-role="{role}"><h3>{words[f"role.{role}"]}</h3>{part}</section>'
        for role, part in parts.items()
        if part
    )
    without = [role for role, part in parts.items() if not part]
    sentence = words["scores.unrecorded"].format(roles=name_roles(without, words)) if without else ""
    said = f'<p class="tl-read">{sentence}</p>' if without else ""
    return f'<div class="tl-beside">{figures}</div>{said}' if figures else ""


def _render_links(bundles: Mapping[str, Bundle], words: Words) -> str:
    """Return each network's run, version, recipe and, where it is published, model page."""
    blocks = "".join(_render_link_block(bundle, words) for bundle in bundles.values())
    return f'<div class="tl-beside">{blocks}</div>'


def _render_link_block(bundle: Bundle, words: Words) -> str:
    provenance = bundle.provenance
    recipe = provenance.get("recipe")
    facts = {
        "run": describe_run(provenance, words),
        "version": _describe_version(bundle),
        **_describe_model_page(bundle),
        "recipe": _describe_recipe(recipe or {}, words),
    }
    rows = "".join(f"<dt>{words[f'link.{name}']}</dt><dd>{fact}</dd>" for name, fact in facts.items())
    text = escape(yaml.safe_dump(recipe, sort_keys=False)) if recipe else ""
    folded = (
        f'<details><summary>{words["link.recipe.whole"]}</summary>'
        f'<pre tabindex="0" lang="en">{text}</pre></details>'
        if recipe
        else ""
    )
    name = words[f"role.{bundle.role}"]
    return f'<section data-role="{bundle.role}"><h3>{name}</h3><dl>{rows}</dl>{folded}</section>'


def _describe_version(bundle: Bundle) -> str:
    """Return the version of the bundle in W&B, by the name and alias that `trashlens` logs it under."""
    name = f"<code>{bundle.role}-bundle:{bundle.short_id}</code>"
    url = look_up(bundle.provenance, "artifact", "url")
    return _link(url, name)


def _describe_model_page(bundle: Bundle) -> dict[str, str]:
    """Return the `page` on the Hub that the bundle was published on, if any."""
    repo = look_up(bundle.provenance, "hub", "repo")
    return {"page": _link(f"{HUB}/{repo}", escape(repo))} if repo else {}


def _describe_recipe(recipe: Mapping[str, Any], words: Words) -> str:
    """Return network, size, epochs and teaching in a line, or that they are not recorded."""
    network, side_px = look_up(recipe, "network", "name"), look_up(recipe, "preprocess", "size_px")
    epochs = look_up(recipe, "schedule", "epochs")
    if None in (network, side_px, epochs):
        return words["origin.unknown"]
    said = words["link.recipe.short"].format(
        network=escape(str(network)), side=escape(str(side_px)), epochs=escape(str(epochs))
    )
    method = look_up(recipe, "objective", "distill", "method")
    return (
        words["link.recipe.taught"].format(recipe=said, method=escape(str(method))) if method else said
    )


def _link(url: str | None, text: str) -> str:
    if not (url or "").startswith("https://"):
        return text
    return f'<a href="{escape(url or "")}" target="_blank" rel="noopener">{text}</a>'
