"""The Webcam tab: a live stream to the server, the chosen networks' results, and how fast they come."""

from trashlens.comparison import Comparison
from trashlens.lineup import available
from trashlens.server.desk import Desk
from trashlens.ui.camera import CameraTab, build_camera_tab
from trashlens.ui.cards import name_roles, render_cards, render_empty, render_problem, render_verdict
from trashlens.ui.refusals import reword
from trashlens.ui.words import ENGLISH, Parts, Words, load_words

__all__ = ["build_webcam_tab", "render_frame", "render_frame_problem"]

UNREADABLE = ("refused.unreadable", "refused.empty", "refused.damaged")
"""What is said of an upload that cannot be read, with what to send instead: who films sends no file."""


def render_frame(desk: Desk, comparison: Comparison, words: Words) -> str:
    """Return the answer to a frame, and below it how its times and networks differ from a photo's."""
    copies = [
        role
        for role, prediction in comparison.predictions.items()
        if prediction.bundle != desk.classifiers[role].bundle.short_id
    ]
    notes = [words["webcam.at_once"]] if len(comparison.predictions) > 1 else []
    if copies:
        notes.append(words["webcam.copies"].format(roles=name_roles(copies, words)))
    note = f'<p class="tl-note">{" ".join(notes)}</p>' if notes else ""
    return render_verdict(comparison, words) + render_cards(desk.live.lineup, comparison, words) + note


def render_frame_problem(desk: Desk, sentence: str, words: Words) -> str:
    """Return why there is no answer to a frame, from the English sentence."""
    unreadable = sentence in {load_words()[ENGLISH][key] for key in UNREADABLE}
    said = words["webcam.unreadable"] if unreadable else reword(sentence, words)
    return render_problem(desk.lineup, said, words)


def build_webcam_tab(desk: Desk, parts: Parts) -> None:
    """Lay out the tab inside the current Blocks.

    Its frames go to the routes of `trashlens.server.streams`, not through Gradio's events: those take frames at a
    fixed pace, which a server that is slower answers late, and each as text within a queue's messages.
    """
    build_camera_tab("webcam", parts, lambda words: _render(desk, words))


def _render(desk: Desk, words: Words) -> CameraTab:
    boxes = "".join(
        f'<label><input type="checkbox" value="{role}" checked> {words[f"role.{role}"]}</label>'
        for role in available(desk.lineup)
    )
    seconds = desk.settings.stream_s
    time = (
        words["time.minutes"].format(count=words.write(seconds / 60, "g"))
        if seconds >= 120
        else words["time.seconds"].format(count=words.write(seconds, "g"))
    )
    # The server refuses in English, whoever asks.
    refusals = ("refused.busy", "refused.places")
    return CameraTab(
        controls=f'<fieldset class="tl-networks"><legend>{words["webcam.networks"]}</legend>{boxes}</fieldset>',
        note=words["webcam.note"],
        results=render_empty(desk.lineup, words["webcam.invitation"], words),
        said={
            **words.pick("webcam.choose", "webcam.silent"),
            **{load_words()[ENGLISH][key]: words[key] for key in refusals},
            "stopped": words["webcam.stopped"].format(time=time),
        },
    )
