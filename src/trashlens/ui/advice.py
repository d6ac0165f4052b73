"""What a class of waste means for sorting: general advice, and the container where the visitor lives."""

from html import escape

from trashlens.comparison import Comparison
from trashlens.ui.cards import doubting_roles, group_roles, name_roles
from trashlens.ui.regions import render_bins, render_chooser
from trashlens.ui.words import Words

__all__ = ["render_advice"]


def render_advice(comparison: Comparison, words: Words) -> str:
    """Return HTML with advice for every class that a network is sure of, the teacher's first, and who names it.

    Where none is sure there is advice for a better photo instead.
    """
    groups = group_roles(comparison)
    if not groups:
        return (
            f'<section class="tl-panel tl-advice"><h2>{words["advice.try"]}</h2>'
            f"<p>{words['advice.again']}</p></section>"
        )
    doubted = len(groups) > 1 or bool(doubting_roles(comparison))
    items = []
    for label, roles in groups.items():
        known = words.sentences.get(f"advice.{label}", words["advice.unknown"])
        name = words.find("class", label)
        heading = escape(name[0].upper() + name[1:])
        if doubted:
            says = words["advice.says.one" if len(roles) == 1 else "advice.says.many"]
            condition = words["advice.if"].format(label=escape(name))
            heading = f"{condition} <span>{says.format(who=name_roles(roles, words))}</span>"
        items.append(
            f'<article data-class="{escape(label)}"><h3>{heading}</h3>{render_bins(label, words)}'
            f"<p>{known}</p></article>"
        )
    return (
        f'<section class="tl-panel tl-advice"><h2>{words["advice.title"]}</h2>{"".join(items)}'
        f'<div class="tl-local">{render_chooser(words)}<p>{words["advice.local"]}</p></div></section>'
    )
