"""The result cards that both tabs show, as HTML; their looks are in `style.css`."""

from collections.abc import Mapping
from html import escape

from trashlens.bundle import Bundle
from trashlens.classifier import Comparison, Prediction
from trashlens.errors import BundleError
from trashlens.lineup import Lineup

__all__ = [
    "describe_bundle",
    "doubting_roles",
    "format_share",
    "group_roles",
    "list_words",
    "render_cards",
    "render_empty",
    "render_problem",
    "render_timing",
    "render_verdict",
]

CHARACTERS = {
    "teacher": "The large network the student learned from.",
    "baseline": "A light network, trained on the labels alone.",
    "student": "The same light network, taught by the teacher.",
}
"""What part each role plays, one line each."""

LEAST_SHARE = 0.005
"""A smaller share would be rounded to 0 %."""


def describe_bundle(bundle: Bundle) -> str:
    """Return the network's architecture and size in a few words, and `int8` where it reckons so.

    timm's tag, behind the dot, tells which pretrained weights it grew from, and is left out.
    """
    millions = bundle.parameters / 1e6
    size = f"{millions:.1f}\N{NO-BREAK SPACE}M" if millions >= 0.1 else f"{bundle.parameters:,}"
    stored = ", int8" if bundle.weights == "int8" else ""
    return f"{bundle.architecture.partition('.')[0]}, {size}\N{NO-BREAK SPACE}parameters{stored}"


def list_words(words: list[str]) -> str:
    """Join words as in a sentence: `a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def group_roles(comparison: Comparison) -> dict[str, list[str]]:
    """Return the roles that are sure by the class they name, the class of the teacher first."""
    groups: dict[str, list[str]] = {}
    for role, prediction in comparison.predictions.items():
        if prediction.sure:
            groups.setdefault(prediction.label, []).append(role)
    return groups


def doubting_roles(comparison: Comparison) -> list[str]:
    """Return the roles that are not sure."""
    return [role for role, prediction in comparison.predictions.items() if not prediction.sure]


def render_verdict(comparison: Comparison) -> str:
    """Return the headline: what the networks agree on, or who says what and who is not sure."""
    groups, doubting = group_roles(comparison), doubting_roles(comparison)
    agreed = len(groups) == 1 and not doubting
    if agreed or not groups:
        sentence = _render_unanimous(groups, doubting)
    else:
        sentence = list_words(
            [f"{_name(roles)} {_render_naming(label, roles)}" for label, roles in groups.items()]
        )
        if doubting:
            sentence += f"; {_name(doubting)} {'is' if len(doubting) == 1 else 'are'} not sure"
        if len(groups) > 1:
            sentence = f"<em>The networks disagree:</em> {sentence}"
    sentence = sentence[0].upper() + sentence[1:]
    return f'<p class="tl-verdict" data-agreed="{str(agreed).lower()}">{sentence}.</p>'


def render_cards(lineup: Lineup, comparison: Comparison) -> str:
    """Return one card for each role, side by side; those that did not run stay blank."""
    teacher = comparison.predictions.get("teacher")
    cards = []
    for role, one in lineup.items():
        prediction = comparison.predictions.get(role)
        if isinstance(one, BundleError):
            cards.append(_render_missing(role, one))
        elif prediction is None:
            cards.append(_render_blank(one.bundle, "not running"))
        else:
            cards.append(_render_card(one.bundle, prediction, _compare_speed(role, prediction, teacher)))
    return f'<div class="tl-cards">{"".join(cards)}</div>'


def render_timing(comparison: Comparison) -> str:
    """Return what each step of the request cost, milliseconds, as a stacked bar with its legend."""
    steps = comparison.steps_ms
    bar = "".join(f'<i data-step="{name}" style="flex-grow:{ms:.3f}"></i>' for name, ms in steps.items())
    legend = "".join(
        f'<li data-step="{name}"><span>{name}</span><b>{_format_ms(ms)}</b></li>'
        for name, ms in steps.items()
    )
    return (
        '<section class="tl-panel tl-timing">'
        f"<h2>Where the time went <span>{_format_ms(comparison.total_ms)} in all</span></h2>"
        f'<div class="tl-stack" aria-hidden="true">{bar}</div><ul>{legend}</ul></section>'
    )


def render_empty(lineup: Lineup, sentence: str) -> str:
    """Return the state before any result: what will come, and the three networks with blank bars."""
    return f'<p class="tl-verdict tl-quiet">{escape(sentence)}</p>{_render_blanks(lineup)}'


def render_problem(lineup: Lineup, sentence: str) -> str:
    """Return a sentence about what went wrong, where the result would have been."""
    return (
        f'<p class="tl-verdict tl-problem" role="alert">{escape(sentence)}</p>{_render_blanks(lineup)}'
    )


def _render_unanimous(groups: Mapping[str, list[str]], doubting: list[str]) -> str:
    """Return what all say that ran: one class, or that they are not sure."""
    if groups:
        ((label, roles),) = groups.items()
        everybody = {2: "both networks", 3: "all three networks"}
        return f"{everybody.get(len(roles), _name(roles))} {_render_naming(label, roles)}"
    nobody = {2: "neither network is sure", 3: "none of the three networks is sure"}
    return nobody.get(len(doubting), f"{_name(doubting)} is not sure")


def _render_naming(label: str, roles: list[str]) -> str:
    says = "says" if len(roles) == 1 else "say"
    return f'{says} <strong data-class="{escape(label)}">{escape(label)}</strong>'


def _name(roles: list[str]) -> str:
    return list_words([f"the {role}" for role in roles])


def _render_card(bundle: Bundle, prediction: Prediction, speed: str) -> str:
    winner, sure = prediction.label, prediction.sure
    share = format_share(prediction.confidence)
    rows = "".join(
        _render_row(label, value, wins=sure and label == winner)
        for label, value in prediction.confidences.items()
    )
    # Without a class the card has no colour of its own.
    looks = f'data-class="{escape(winner)}"' if sure else "data-unsure"
    answer = (
        f"<strong>{escape(winner)}</strong><span>{share}</span>"
        if sure
        else f"<strong>not sure</strong><small>most like {escape(winner)}, {share}</small>"
    )
    return (
        f'<article class="tl-card" data-role="{bundle.role}" data-bundle="{prediction.bundle}" {looks}>'
        f"{_render_head(bundle)}"
        f'<p class="tl-winner">{answer}</p>'
        f'<ul class="tl-bars" aria-label="Probability of each class">{rows}</ul>'
        f'<p class="tl-speed"><b>{_format_ms(prediction.infer_ms)}</b><span>{speed}</span></p></article>'
    )


def _render_blanks(lineup: Lineup) -> str:
    cards = [
        (
            _render_missing(role, one)
            if isinstance(one, BundleError)
            else _render_blank(one.bundle, "waiting")
        )
        for role, one in lineup.items()
    ]
    return f'<div class="tl-cards">{"".join(cards)}</div>'


def _render_missing(role: str, error: BundleError) -> str:
    """Return the card of a role whose bundle cannot be used, with the reason."""
    return (
        f'<article class="tl-card tl-blank" data-role="{role}"><header><h2>{role}</h2>'
        f"<p>{CHARACTERS.get(role, '')}</p></header>"
        '<p class="tl-winner"><strong>unavailable</strong></p>'
        f'<p class="tl-reason">{escape(str(error))}</p></article>'
    )


def _render_blank(bundle: Bundle, mark: str) -> str:
    rows = "".join(_render_row(label, None, wins=False) for label in bundle.labels)
    return (
        f'<article class="tl-card tl-blank" data-role="{bundle.role}">{_render_head(bundle)}'
        f'<p class="tl-winner"><strong>{mark}</strong></p>'
        f'<ul class="tl-bars" aria-label="The classes">{rows}</ul>'
        '<p class="tl-speed"><b>&ndash;</b></p></article>'
    )


def _render_head(bundle: Bundle) -> str:
    return (
        f"<header><h2>{bundle.role}</h2><p>{CHARACTERS.get(bundle.role, '')}</p>"
        f"<p>{escape(describe_bundle(bundle))}</p></header>"
    )


def _render_row(label: str, value: float | None, *, wins: bool) -> str:
    share = "&ndash;" if value is None else format_share(value)
    return (
        f'<li data-class="{escape(label)}"{" data-wins" if wins else ""}><span>{escape(label)}</span>'
        f'<i aria-hidden="true"><i style="width:{100 * (value or 0):.1f}%"></i></i><b>{share}</b></li>'
    )


def _compare_speed(role: str, prediction: Prediction, teacher: Prediction | None) -> str:
    """Return how many times the teacher's speed this is, in words."""
    if role == "teacher":
        return "the reference"
    if teacher is None:
        return ""
    ratio = teacher.infer_ms / max(prediction.infer_ms, 1e-6)
    return f"{ratio:.1f}&times; the teacher&rsquo;s speed"


def format_share(value: float) -> str:
    """Return a percentage that says 0 or 100 only where that is exact."""
    if 0 < value < LEAST_SHARE:
        return "&lt;1%"
    if 1 - LEAST_SHARE <= value < 1:
        return "&gt;99%"
    return f"{value:.0%}"


def _format_ms(ms: float) -> str:
    """Return milliseconds with about three digits."""
    return f"{ms:.2f} ms" if ms < 1 else f"{ms:.1f} ms" if ms < 100 else f"{ms:.0f} ms"
