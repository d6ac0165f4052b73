"""The result cards that both tabs show, as HTML; their looks are in `style.css`."""

from collections.abc import Mapping, Sequence
from html import escape

from trashlens.bundle import Bundle
from trashlens.classifier import Prediction
from trashlens.comparison import Comparison
from trashlens.errors import BundleError
from trashlens.lineup import Lineup
from trashlens.ui.doubts import explain_doubt
from trashlens.ui.words import Words

__all__ = [
    "describe_bundle",
    "doubting_roles",
    "format_share",
    "group_roles",
    "name_roles",
    "render_cards",
    "render_empty",
    "render_problem",
    "render_timing",
    "render_verdict",
]

LEAST_SHARE = 0.005
"""A smaller share would be rounded to 0 %."""


def describe_bundle(bundle: Bundle, words: Words) -> str:
    """Return the network's architecture and size in a few words, and `int8` where it reckons so.

    timm's tag, behind the dot, tells which pretrained weights it grew from, and is left out.
    """
    millions = bundle.parameters / 1e6
    size = (
        f"{words.write(millions, '.1f')}\N{NO-BREAK SPACE}M"
        if millions >= 0.1
        else words.write(bundle.parameters, ",")
    )
    named = words["card.parameters"].format(
        architecture=bundle.architecture.partition(".")[0], count=size
    )
    return f"{named}, int8" if bundle.weights == "int8" else named


def name_roles(roles: Sequence[str], words: Words) -> str:
    """Return the roles as the subject of a sentence."""
    return words.join([words[f"the.{role}"] for role in roles])


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


def render_verdict(comparison: Comparison, words: Words) -> str:
    """Return the headline: what the networks agree on, or who says what and who is not sure."""
    groups, doubting = group_roles(comparison), doubting_roles(comparison)
    agreed = len(groups) == 1 and not doubting
    if agreed or not groups:
        sentence = _render_unanimous(groups, doubting, words)
    else:
        sentence = words.join([_render_naming(label, roles, words) for label, roles in groups.items()])
        if doubting:
            sentence += f"; {_render_doubting(doubting, words)}"
        if len(groups) > 1:
            sentence = f"<em>{words['verdict.disagree']}</em> {sentence}"
    sentence = sentence[0].upper() + sentence[1:]
    return f'<p class="tl-verdict" data-agreed="{str(agreed).lower()}">{sentence}.</p>'


def render_cards(lineup: Lineup, comparison: Comparison, words: Words) -> str:
    """Return one card for each role, side by side; those that did not run stay blank."""
    teacher = comparison.predictions.get("teacher")
    cards = []
    for role, one in lineup.items():
        prediction = comparison.predictions.get(role)
        if isinstance(one, BundleError):
            cards.append(_render_missing(role, one, words))
        elif prediction is None:
            cards.append(_render_blank(one.bundle, words["card.idle"], words))
        else:
            speed = _compare_speed(role, prediction, teacher, words)
            cards.append(_render_card(one.bundle, prediction, speed, words))
    return f'<div class="tl-cards">{"".join(cards)}</div>'


def render_timing(comparison: Comparison, words: Words) -> str:
    """Return what each step of the request cost, milliseconds, as a stacked bar with its legend."""
    steps = comparison.steps_ms
    bar = "".join(f'<i data-step="{name}" style="flex-grow:{ms:.3f}"></i>' for name, ms in steps.items())
    legend = "".join(
        f'<li data-step="{name}"><span>{_name_step(name, words)}</span><b>{_write_ms(ms, words)}</b></li>'
        for name, ms in steps.items()
    )
    total = words["timing.total"].format(time=_write_ms(comparison.total_ms, words))
    return (
        '<section class="tl-panel tl-timing">'
        f"<h2>{words['timing.title']} <span>{total}</span></h2>"
        f'<div class="tl-stack" aria-hidden="true">{bar}</div><ul>{legend}</ul></section>'
    )


def render_empty(lineup: Lineup, sentence: str, words: Words) -> str:
    """Return the state before any result: what will come, and the three networks with blank bars."""
    return f'<p class="tl-verdict tl-quiet">{escape(sentence)}</p>{_render_blanks(lineup, words)}'


def render_problem(lineup: Lineup, sentence: str, words: Words) -> str:
    """Return a sentence about what went wrong, where the result would have been."""
    return (
        f'<p class="tl-verdict tl-problem" role="alert">{escape(sentence)}</p>'
        f"{_render_blanks(lineup, words)}"
    )


def _render_unanimous(groups: Mapping[str, list[str]], doubting: list[str], words: Words) -> str:
    """Return what all say that ran: one class, or that they are not sure."""
    if groups:
        ((label, roles),) = groups.items()
        everybody = {2: "verdict.both", 3: "verdict.all"}
        if len(roles) not in everybody:
            return _render_naming(label, roles, words)
        return words[everybody[len(roles)]].format(label=_mark(label, words))
    nobody = {2: "verdict.neither", 3: "verdict.none"}
    if len(doubting) not in nobody:
        return _render_doubting(doubting, words)
    return words[nobody[len(doubting)]]


def _render_naming(label: str, roles: list[str], words: Words) -> str:
    sentence = words["verdict.names.one" if len(roles) == 1 else "verdict.names.many"]
    return sentence.format(who=name_roles(roles, words), label=_mark(label, words))


def _render_doubting(roles: list[str], words: Words) -> str:
    sentence = words["verdict.unsure.one" if len(roles) == 1 else "verdict.unsure.many"]
    return sentence.format(who=name_roles(roles, words))


def _mark(label: str, words: Words) -> str:
    return f'<strong data-class="{escape(label)}">{escape(words.find("class", label))}</strong>'


def _render_card(bundle: Bundle, prediction: Prediction, speed: str, words: Words) -> str:
    winner, sure = prediction.label, prediction.sure
    name, share = escape(words.find("class", winner)), format_share(prediction.confidence, words)
    rows = "".join(
        _render_row(label, value, words, wins=sure and label == winner)
        for label, value in prediction.confidences.items()
    )
    # Without a class the card has no colour of its own.
    looks = f'data-class="{escape(winner)}"' if sure else "data-unsure"
    guess = words["card.guess"].format(label=name, share=share)
    answer = (
        f"<strong>{name}</strong><span>{share}</span>"
        if sure
        else f'<strong title="{escape(explain_doubt(bundle, words))}">{words["card.unsure"]}</strong>'
        f"<small>{guess}</small>"
    )
    return (
        f'<article class="tl-card" data-role="{bundle.role}" data-bundle="{prediction.bundle}" {looks}>'
        f"{_render_head(bundle, words)}"
        f'<p class="tl-winner">{answer}</p>'
        f'<ul class="tl-bars" aria-label="{words["card.probabilities"]}">{rows}</ul>'
        f'<p class="tl-speed"><b>{_write_ms(prediction.infer_ms, words)}</b><span>{speed}</span></p></article>'
    )


def _render_blanks(lineup: Lineup, words: Words) -> str:
    cards = [
        (
            _render_missing(role, one, words)
            if isinstance(one, BundleError)
            else _render_blank(one.bundle, words["card.waiting"], words)
        )
        for role, one in lineup.items()
    ]
    return f'<div class="tl-cards">{"".join(cards)}</div>'


def _render_missing(role: str, error: BundleError, words: Words) -> str:
    """Return the card of a role whose bundle cannot be used, with the reason, which is meant for who serves it."""
    return (
        f'<article class="tl-card tl-blank" data-role="{role}"><header><h2>{words.find("role", role)}</h2>'
        f"<p>{words.sentences.get(f'character.{role}', '')}</p></header>"
        f'<p class="tl-winner"><strong>{words["card.unavailable"]}</strong></p>'
        f'<p class="tl-reason" lang="en">{escape(str(error))}</p></article>'
    )


def _render_blank(bundle: Bundle, mark: str, words: Words) -> str:
    rows = "".join(_render_row(label, None, words, wins=False) for label in bundle.labels)
    return (
        f'<article class="tl-card tl-blank" data-role="{bundle.role}">{_render_head(bundle, words)}'
        f'<p class="tl-winner"><strong>{mark}</strong></p>'
        f'<ul class="tl-bars" aria-label="{words["card.classes"]}">{rows}</ul>'
        '<p class="tl-speed"><b>&ndash;</b></p></article>'
    )


def _render_head(bundle: Bundle, words: Words) -> str:
    return (
        f"<header><h2>{words[f'role.{bundle.role}']}</h2><p>{words[f'character.{bundle.role}']}</p>"
        f"<p>{escape(describe_bundle(bundle, words))}</p></header>"
    )


def _render_row(label: str, value: float | None, words: Words, *, wins: bool) -> str:
    share = "&ndash;" if value is None else format_share(value, words)
    name = escape(words.find("class", label))
    return (
        f'<li data-class="{escape(label)}"{" data-wins" if wins else ""}><span>{name}</span>'
        f'<i aria-hidden="true"><i style="width:{100 * (value or 0):.0f}%"></i></i><b>{share}</b></li>'
    )


def _name_step(step: str, words: Words) -> str:
    """Return the name of a step; one network's is `infer, ROLE`."""
    kind, _, role = step.partition(", ")
    return words[f"timing.{kind}"].format(role=words.find("role", role))


def _compare_speed(role: str, prediction: Prediction, teacher: Prediction | None, words: Words) -> str:
    """Return how many times the teacher's speed this is, in words."""
    if role == "teacher":
        return words["card.reference"]
    if teacher is None:
        return ""
    ratio = teacher.infer_ms / max(prediction.infer_ms, 1e-6)
    return words["card.speed"].format(times=words.write(ratio, ".1f"))


def format_share(value: float, words: Words) -> str:
    """Return a percentage that says 0 or 100 only where that is exact."""
    if 0 < value < LEAST_SHARE:
        return f"&lt;{words.write(0.01, '.0%')}"
    if 1 - LEAST_SHARE <= value < 1:
        return f"&gt;{words.write(0.99, '.0%')}"
    return words.write(value, ".0%")


def _write_ms(ms: float, words: Words) -> str:
    """Return milliseconds with about three digits."""
    return f"{words.write(ms, '.2f' if ms < 1 else '.1f' if ms < 100 else '.0f')} ms"
