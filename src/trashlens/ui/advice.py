"""What a class of waste means for sorting, as general advice."""

from collections.abc import Mapping
from html import escape
from types import MappingProxyType

from trashlens.classifier import Comparison

__all__ = ["ADVICE", "LOCAL_RULES", "render_advice"]

ADVICE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "cardboard": (
            "Usually collected with paper.",
            "Flatten it and keep it dry. Greasy or wet cardboard, such as a used pizza box, spoils the "
            "rest and mostly belongs to residual or organic waste.",
        ),
        "glass": (
            "Bottles and jars usually go to the glass bank, often by colour.",
            "Empty is enough; lids come off. Drinking glasses, window panes, mirrors, ceramics and light "
            "bulbs melt differently and stay out.",
        ),
        "metal": (
            "Cans, lids and foil usually go with packaging or to a metal collection.",
            "Empty them; no need to wash. Batteries, electrical devices and spray cans with contents go "
            "to a collection point.",
        ),
        "paper": (
            "Usually collected as paper.",
            "Clean and dry. Receipts on thermal paper, tissues and coated or food-stained paper mostly "
            "belong to residual waste.",
        ),
        "plastic": (
            "Packaging usually goes to the packaging or plastics bin, deposit bottles back to the shop.",
            "Empty it and separate lids and films that come off. Many places take packaging only, not "
            "toys or household goods made of plastic.",
        ),
        "trash": (
            "Usually residual waste.",
            "What is soiled, or made of several materials that do not come apart, is seldom recyclable. "
            "Electronics, batteries and chemicals never belong here: they go to a collection point.",
        ),
    }
)
"""By class: where it usually goes, and what to watch for."""

LOCAL_RULES = "Rules differ locally: this is general advice, and what counts is the list of your own collection service."


def render_advice(comparison: Comparison) -> str:
    """Return HTML with advice for every class that is named, the teacher's first, and who names it."""
    namers: dict[str, list[str]] = {}
    for role, prediction in comparison.predictions.items():
        namers.setdefault(prediction.label, []).append(role)
    items = "".join(
        _render_item(label, roles, certain=len(namers) == 1) for label, roles in namers.items()
    )
    return (
        '<section class="tl-advice" aria-label="Sorting advice">'
        f'<h2>Where it goes</h2><div class="tl-advice-items">{items}</div>'
        f'<p class="tl-local">{LOCAL_RULES}</p></section>'
    )


def _render_item(label: str, roles: list[str], *, certain: bool) -> str:
    where, watch = ADVICE.get(label, ("There is no advice for this class.", ""))
    named = (
        "" if certain else f' <span class="tl-namers">say{"s" if len(roles) == 1 else ""} {{}}</span>'
    )
    heading = escape(label.capitalize()) if certain else f"If it is {escape(label)}"
    named = (
        ""
        if certain
        else f'<span class="tl-namers">as the {escape(" and the ".join(roles))} says</span>'
    )
    return (
        f'<article data-class="{escape(label)}"><h3>{heading} {named}</h3>'
        f"<p><strong>{where}</strong> {watch}</p></article>"
    )
