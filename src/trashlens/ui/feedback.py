"""What the Photo tab asks below a result: whether it is wrong, what it is, and whether the photo may be kept."""

from html import escape
from pathlib import Path

from trashlens.server.desk import Desk
from trashlens.server.feedback import NONE, Feedback
from trashlens.server.feedback_route import list_labels

__all__ = ["SCRIPT", "UNLESS_GIVEN", "render_feedback"]

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
"""Runs the form, in the element that `render_feedback` is shown in."""

UNLESS_GIVEN = ", except those that are given to it on purpose"
"""Ends the sentence by which photos are deleted, where feedback is kept."""
OPEN = "Wrong? Tell us"
QUESTION = "What is it?"
NOTHING = "none of these, or no waste"
CONSENT = (
    "I agree that this photo and my answer are kept {place}, to train and test such networks. "
    "The photo is mine to give and shows no person."
)
ON_SERVER = "on this server"
IN_PRIVATE = "in the private dataset {dataset} on Hugging Face"
IN_PUBLIC = "in the public dataset {dataset} on Hugging Face, for everyone to see"
PRIVACY = (
    "What is kept: a small copy of the photo without its place, time and name; your answer; what the networks "
    "said; the day. Nothing that names you. You get a number; name it to whoever runs this server, and they can "
    "delete what is kept under it."
)
SEND = "Send"
SENDING = "Sending"
THANKS = "Thank you. It is kept under the number {name}."
TOO_OLD = "The photo is no longer at hand. Choose it again above, and then tell us."
UNREACHED = "The server did not answer. Try again."


def render_feedback(desk: Desk, source: str) -> str:
    """Return the closed question about the upload at `source`, or nothing where no feedback is kept."""
    if desk.feedback is None:
        return ""
    choices = "".join(
        f'<label><input type="radio" name="label" value="{escape(label)}">'
        f"<span>{NOTHING if label == NONE else escape(label)}</span></label>"
        for label in list_labels(desk)
    )
    consent = CONSENT.format(place=_name_place(desk.feedback))
    words = {"sending": SENDING, "thanks": THANKS, "old": TOO_OLD, "unreached": UNREACHED}
    data = "".join(f' data-{key}="{escape(text)}"' for key, text in words.items())
    return (
        f'<section class="tl-panel tl-feedback"><details><summary>{OPEN}</summary>'
        f'<form data-path="{escape(source)}"{data}>'
        f"<fieldset><legend>{QUESTION}</legend>{choices}</fieldset>"
        f'<label><input type="checkbox" name="consent" aria-describedby="feedback-privacy"><span>{consent}</span>'
        f'</label><p class="tl-note" id="feedback-privacy">{PRIVACY}</p>'
        f'<button type="submit" disabled>{SEND}</button></form>'
        '<p role="status" tabindex="-1"></p></details></section>'
    )


def _name_place(feedback: Feedback) -> str:
    """Return where what is given will lie, as HTML."""
    if feedback.dataset is None:
        return ON_SERVER
    return (IN_PUBLIC if feedback.public else IN_PRIVATE).format(dataset=escape(feedback.dataset))
