"""What a class of waste means for sorting: general advice, and the container where the visitor lives."""

from collections.abc import Mapping
from html import escape
from types import MappingProxyType

from trashlens.classifier import Comparison
from trashlens.ui.cards import doubting_roles, group_roles, list_words
from trashlens.ui.regions import render_bins, render_chooser

__all__ = ["ADVICE", "LOCAL_RULES", "TRY_AGAIN", "render_advice"]

ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "cardboard": """<strong>Usually collected with paper.</strong> Flatten it and keep it dry. Greasy or wet
cardboard, such as a used pizza box, spoils the rest and mostly belongs to residual or organic waste.""",
        "glass": """<strong>Bottles and jars usually go to the glass bank, often by colour.</strong> Empty is
enough; lids come off. Drinking glasses, window panes, mirrors, ceramics and light bulbs melt differently
and stay out.""",
        "metal": """<strong>Cans, lids and foil usually go with packaging or to a metal collection.</strong>
Empty is enough. Batteries, electrical devices and spray cans that still hold something go to a collection
point.""",
        "paper": """<strong>Usually collected as paper.</strong> Keep it clean and dry. Thermal receipts,
tissues and coated or food-stained paper mostly belong to residual waste.""",
        "plastic": """<strong>Packaging usually goes to the packaging or plastics bin, deposit bottles
back to the shop.</strong> Empty is enough; take off lids and films that come off. Many places take packaging only,
not toys or household goods.""",
        "trash": """<strong>Usually residual waste.</strong> What is soiled, or made of several materials that
do not come apart, is seldom recycled. Electronics, batteries and chemicals never belong here: they go to a
collection point.""",
    }
)
"""By class, as HTML: where it usually goes, and what to watch for."""

LOCAL_RULES = (
    "<strong>Rules differ locally.</strong> "
    "This is general advice; your own collection service has the last word."
)

TRY_AGAIN = (
    "<strong>Take a closer photo of one object, against a plain background.</strong> "
    "If it is no waste at all, &ldquo;not sure&rdquo; is the right answer."
)


def render_advice(comparison: Comparison) -> str:
    """Return HTML with advice for every class that a network is sure of, the teacher's first, and who names it.

    Where none is sure there is advice for a better photo instead.
    """
    groups = group_roles(comparison)
    if not groups:
        return f'<section class="tl-panel tl-advice"><h2>What to try</h2><p>{TRY_AGAIN}</p></section>'
    doubted = len(groups) > 1 or bool(doubting_roles(comparison))
    items = []
    for label, roles in groups.items():
        known = ADVICE.get(label, "There is no advice for this class yet.")
        heading = escape(label.capitalize())
        if doubted:
            who = list_words([f"the {role}" for role in roles])
            says = "says" if len(roles) == 1 else "say"
            heading = f"If it is {escape(label)} <span>as {who} {says}</span>"
        items.append(
            f'<article data-class="{escape(label)}"><h3>{heading}</h3>{render_bins(label)}<p>{known}</p></article>'
        )
    return (
        '<section class="tl-panel tl-advice"><h2>Where it goes</h2>'
        f'{"".join(items)}<div class="tl-local">{render_chooser()}<p>{LOCAL_RULES}</p></div></section>'
    )
