"""Why this answer: below the results, for each network the photo with what speaks for its answer laid over it."""

import json
from html import escape
from pathlib import Path

from trashlens.classifier import Classifier, Prediction
from trashlens.comparison import Comparison
from trashlens.lineup import Lineup, available
from trashlens.ui.words import Words

__all__ = ["SCRIPT", "render_heat"]

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
"""Draws the maps in an element that has what `render_heat` returns, when the visitor opens it."""


def render_heat(lineup: Lineup, comparison: Comparison, source: str, words: Words) -> str:
    """Return the closed panel for an explained comparison of the photo at `source`, an upload's path.

    Empty where no network has a map. Of the path the page learns only the folder, by which the script knows the
    photo on the page that is meant.
    """
    networks = available(lineup)
    if not any(prediction.map for prediction in comparison.predictions.values()):
        return ""
    figures = "".join(
        _render_figure(role, networks[role], prediction, words)
        for role, prediction in comparison.predictions.items()
    )
    return (
        f'<details class="tl-panel tl-heat" data-photo="{escape(Path(source).parent.name)}">'
        f"<summary>{words['heat.question']}</summary><p>{words['heat.reading']}</p>"
        f'<p class="tl-scale"><span>{words["heat.least"]}</span><i aria-hidden="true"></i>'
        f'<span>{words["heat.most"]}</span></p>'
        f'<div class="tl-maps">{figures}</div></details>'
    )


def _render_figure(role: str, network: Classifier, prediction: Prediction, words: Words) -> str:
    label = escape(words.find("class", prediction.label))
    said = label if prediction.sure else words["heat.guess"].format(label=label)
    caption = f"<figcaption><b>{words[f'role.{role}']}</b> <span>{said}</span></figcaption>"
    if prediction.map is None:
        return f'<figure data-role="{role}">{caption}<p class="tl-reason">{words["heat.absent"]}</p></figure>'
    numbers = json.dumps([[round(value, 2) for value in row] for row in prediction.map])
    share = network.bundle.preprocess.crop_share
    name = words["heat.alternative"].format(role=words[f"role.{role}"], label=label)
    return (
        f'<figure data-role="{role}" data-class="{escape(prediction.label)}">{caption}'
        f'<canvas role="img" aria-label="{name}" '
        f'data-share="{share}" data-map="{numbers}"></canvas></figure>'
    )
