"""The Scoreboard tab: everything that the records of the serving bundles say, as HTML."""

from collections.abc import Mapping, Sequence
from html import escape

import yaml

from trashlens.bundle import Bundle
from trashlens.lineup import Lineup, available
from trashlens.records import look_up
from trashlens.ui.cards import name_roles
from trashlens.ui.origins import UNKNOWN, describe_run
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
    method = f'<p class="tl-read tl-method">{describe_measuring(bundles)}</p>'
    summary = _panel("At a glance", render_summary(bundles, missing) + method, looks="tl-tall")
    aside = _render_aside(bundles, missing)
    top = f'{summary}<div class="tl-aside">{aside}</div>' if aside else summary
    return (
        f'<div class="tl-scores">{render_intro(bundles, missing, words)}'
        f"{top}{_render_details(bundles)}{_panel('Where to look further', _render_links(bundles))}</div>"
    )


def _render_aside(bundles: Mapping[str, Bundle], missing: Sequence[str]) -> str:
    """Return what stands beside the summary: the networks against each other."""
    return (
        _panel(
            "Accuracy against time",
            draw_accuracy_latency(bundles),
            "Higher is better, further left is faster. Upright, the 95% interval; to the right, the time that 95% "
            "of the photos stay below.",
        )
        + _panel(
            "One against another",
            render_pairs(bundles),
            "Accuracy on the same photos, in percentage points. Where the interval holds zero, it is a tie.",
        )
        + _panel(
            "F1 by class",
            render_classes(bundles, missing),
            "Whether a class is found, and right where it is named: 1 is best.",
        )
    )


def _render_details(bundles: Mapping[str, Bundle]) -> str:
    """Return what takes a picture for each network."""
    confusion = {role: render_confusion(bundle) for role, bundle in bundles.items()}
    reliability = {role: draw_reliability(bundle) for role, bundle in bundles.items()}
    return _panel(
        "What is taken for what",
        _side_by_side(confusion),
        "A row is a true class, a column what the network called its photos. The diagonal is right; the fuller a "
        "cell&rsquo;s colour, the larger its share of the row.",
    ) + _panel(
        "Can the confidence be believed?",
        _side_by_side(reliability),
        "A dot is the photos of like confidence: how sure the network was, and how many of them it named rightly. "
        "On the dashed line it is as often right as it claims. Dots grow with their photos, which the bars count; "
        "lines are 95% intervals, Wilson&rsquo;s.",
    )


def _panel(title: str, content: str, note: str = "", looks: str = "") -> str:
    """Return a section with its heading and what a stranger needs to read it; nothing without content."""
    if not content:
        return ""
    said = f'<p class="tl-read">{note}</p>' if note else ""
    return f'<section class="tl-panel {looks}"><h2>{title}</h2>{said}{content}</section>'


def _side_by_side(parts: Mapping[str, str]) -> str:
    """Return what there is of each network side by side, and a sentence about those without."""
    figures = "".join(
        f'<section data-role="{role}"><h3>{role}</h3>{part}</section>'
        for role, part in parts.items()
        if part
    )
    without = [f"the {role}" for role, part in parts.items() if not part]
    said = f'<p class="tl-read">Not recorded for {", ".join(without)}.</p>' if without else ""
    return f'<div class="tl-beside">{figures}</div>{said}' if figures else ""


def _render_links(bundles: Mapping[str, Bundle]) -> str:
    """Return each network's run, version, model page and recipe."""
    return f'<div class="tl-beside">{"".join(map(_render_link_block, bundles.values()))}</div>'


def _render_link_block(bundle: Bundle) -> str:
    provenance = bundle.provenance
    facts = {
        "trained in": describe_run(provenance),
        "version": _describe_version(bundle),
        "model page": _describe_model_page(bundle),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{fact}</dd>" for name, fact in facts.items())
    recipe = provenance.get("recipe")
    text = escape(yaml.safe_dump(recipe, sort_keys=False)) if recipe else ""
    folded = (
        f'<details><summary>Recipe</summary><pre tabindex="0">{text}</pre></details>' if recipe else ""
    )
    return f'<section data-role="{bundle.role}"><h3>{bundle.role}</h3><dl>{rows}</dl>{folded}</section>'


def _describe_version(bundle: Bundle) -> str:
    """Return the version of the bundle in W&B, by the name and alias that `trashlens` logs it under."""
    name = f"<code>{bundle.role}-bundle:{bundle.short_id}</code>"
    url = look_up(bundle.provenance, "artifact", "url")
    return _link(url, name)


def _describe_model_page(bundle: Bundle) -> str:
    repo = look_up(bundle.provenance, "hub", "repo")
    return _link(f"{HUB}/{repo}", escape(repo)) if repo else UNKNOWN


def _link(url: str | None, text: str) -> str:
    if not (url or "").startswith("https://"):
        return text
    return f'<a href="{escape(url or "")}" target="_blank" rel="noopener">{text}</a>'
