"""What the Photo tab asks below a result: whether it is wrong, what it is, and whether the photo may be kept."""

import json
from html import escape
from pathlib import Path

from trashlens.given import NONE
from trashlens.server.desk import Desk
from trashlens.server.feedback import FAILED, FULL, Feedback
from trashlens.server.feedback_route import GONE, list_labels
from trashlens.server.refusals import BUSY
from trashlens.ui.examples import is_example
from trashlens.ui.refusals import reword
from trashlens.ui.words import Words

__all__ = ["SCRIPT", "render_feedback"]

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
"""Runs the form, in the element that `render_feedback` is shown in."""

SAID = {
    "sending": "feedback.sending",
    "thanks": "feedback.thanks",
    "old": "feedback.old",
    "unreached": "feedback.unreached",
}
"""What the script says, by its name for it."""


def render_feedback(desk: Desk, source: str, words: Words) -> str:
    """Return the closed question about the upload at `source`; none of an example, or where nothing is kept."""
    if desk.feedback is None or is_example(desk, source):
        return ""
    nothing = words["feedback.nothing"]
    choices = "".join(
        f'<label><input type="radio" name="label" value="{escape(label)}">'
        f"<span>{nothing if label == NONE else escape(words.find('class', label))}</span></label>"
        for label in list_labels(desk)
    )
    consent = words["feedback.consent"].format(place=_name_place(desk.feedback, words))
    refusals = {sentence: reword(sentence, words) for sentence in (BUSY, FULL, FAILED, GONE)}
    said = {name: words[key] for name, key in SAID.items()} | {"refusals": json.dumps(refusals)}
    data = "".join(f' data-{name}="{escape(text)}"' for name, text in said.items())
    return (
        f'<section class="tl-panel tl-feedback"><details><summary>{words["feedback.open"]}</summary>'
        f'<form data-path="{escape(source)}"{data}>'
        f"<fieldset><legend>{words['feedback.question']}</legend>{choices}</fieldset>"
        f'<label><input type="checkbox" name="consent" aria-describedby="feedback-privacy"><span>{consent}</span>'
        f'</label><p class="tl-note" id="feedback-privacy">{words["feedback.privacy"]}</p>'
        f'<button type="submit" disabled>{words["feedback.send"]}</button></form>'
        '<p role="status" tabindex="-1"></p></details></section>'
    )


def _name_place(feedback: Feedback, words: Words) -> str:
    """Return where what is given will lie, as HTML."""
    if feedback.dataset is None:
        return words["feedback.server"]
    key = "feedback.public" if feedback.public else "feedback.private"
    return words[key].format(dataset=escape(feedback.dataset))
