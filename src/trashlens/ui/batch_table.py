"""The table of a batch, as HTML; `batch.js` sorts it, its looks are in `style.css`."""

import re
from base64 import b64encode
from collections.abc import Sequence
from html import escape

from trashlens.classifier import Prediction
from trashlens.server.batches import Seen
from trashlens.table import Row
from trashlens.ui.cards import format_share
from trashlens.ui.refusals import reword
from trashlens.ui.words import Words

__all__ = ["order_rows", "render_table"]

VERDICTS = ("disagree", "unsure", "agree", "unread")
"""What is said about a photo, in the order of the table: what deserves a look comes first."""


def order_rows(seen: Sequence[Seen]) -> list[Seen]:
    """Return disagreement first, then doubt, then agreement, each with the least confident before the others."""
    return sorted(seen, key=lambda one: (VERDICTS.index(_judge(one.row)), _least_confidence(one.row)))


def render_table(seen: Sequence[Seen], roles: Sequence[str], words: Words, *, download: str) -> str:
    """Return the rows in their order below a summary, a link to `download`, and what clears the list."""
    heads = [words["batch.photo"], *(words[f"role.{role}"].capitalize() for role in roles)]
    cells = "".join(
        f'<th scope="col"{sorted_by}><button type="button">{name}</button></th>'
        for name, sorted_by in [*((name, "") for name in heads), (words["batch.verdict"], SORTED)]
    )
    rows = "".join(_render_row(one, roles, words) for one in seen)
    summary = _sum_up([one.row for one in seen], words)
    return (
        f'<div class="tl-batch" data-file="{words["batch.file"]}"><div class="tl-summary">'
        f'<p role="status">{summary}</p>'
        f'<a class="tl-download" download="trashlens.csv" href="{download}">{words["batch.download"]}</a>'
        f'<button type="button" class="tl-again" data-clear="{words["gradio.clear"]}">{words["batch.clear"]}'
        f'</button></div><p class="tl-note">{words["batch.note"]}</p>'
        f'<table><thead><tr data-said="{words["batch.sort"]}">{cells}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


SORTED = ' aria-sort="ascending"'


def _sum_up(rows: Sequence[Row], words: Words) -> str:
    """Return how many photos there are of each verdict."""
    verdicts = [_judge(row) for row in rows]
    parts = [
        words[f"batch.sum.{one}"].format(count=verdicts.count(one))
        for one in VERDICTS
        if one in verdicts
    ]
    photos = words["batch.one" if len(rows) == 1 else "batch.many"].format(photos=len(rows))
    return f"{photos} {', '.join(parts)}."


def _render_row(one: Seen, roles: Sequence[str], words: Words) -> str:
    verdict = _judge(one.row)
    picture = (
        f'<img src="data:image/jpeg;base64,{b64encode(one.thumbnail).decode()}" alt="" width="72" height="72">'
        if one.thumbnail
        else "<span></span>"
    )
    name = escape(one.row.file)
    cells = (
        "".join(_render_cell(role, one.row.answer.predictions.get(role), words) for role in roles)
        if one.row.answer
        else f'<td class="tl-why" colspan="{len(roles)}">{escape(reword(one.row.problem, words))}</td>'
    )
    key = f"{VERDICTS.index(verdict)} {_least_confidence(one.row):.4f}"
    return (
        f'<tr data-verdict="{verdict}"><th scope="row" data-key="{name}">{picture}'
        f"<span>{_let_break(name)}</span></th>"
        f'{cells}<td data-key="{key}" class="tl-said"><span>{words[f"batch.{verdict}"]}</span></td></tr>'
    )


def _let_break(name: str) -> str:
    """Return the HTML of a file's name so that a narrow line ends between its parts, not within one."""
    return re.sub(r"([-_/])(?=[^-_/])", r"\1<wbr>", name)


def _render_cell(role: str, prediction: Prediction | None, words: Words) -> str:
    if prediction is None:
        return "<td></td>"
    label, share = escape(prediction.label), format_share(prediction.confidence, words)
    name = escape(words.find("class", prediction.label))
    # Most confident first among those of one class, and what is not sure behind them all.
    key = f"{0 if prediction.sure else 1} {name} {1 - prediction.confidence:.4f}"
    answer = (
        f'<strong data-class="{label}">{name}</strong> <span>{share}</span>'
        if prediction.sure
        else f"<em>{words['batch.unsure']}</em> <small>{name}, {share}</small>"
    )
    return f'<td data-key="{key}" data-role="{role}" data-said="{words[f"role.{role}"]}">{answer}</td>'


def _judge(row: Row) -> str:
    if row.answer is None:
        return "unread"
    return "disagree" if row.disagree else "unsure" if row.doubted else "agree"


def _least_confidence(row: Row) -> float:
    return (
        min((one.confidence for one in row.answer.predictions.values()), default=0.0)
        if row.answer
        else 0.0
    )
