"""The Webcam tab: a live stream to the server, the chosen networks' results, and how fast they come."""

from trashlens.classifier import Comparison
from trashlens.lineup import available
from trashlens.server.desk import Desk
from trashlens.ui.camera import build_camera_tab
from trashlens.ui.cards import list_words, render_cards, render_empty, render_verdict

__all__ = ["COPIES", "build_webcam_tab", "render_frame"]

INVITATION = "Start the camera, hold one object in front of it, and the results follow."
NOTE = (
    "Latency is the way of a frame from your browser to the server and back as a result. Both numbers cover the "
    "last moments."
)
COPIES = "Live, the {roles} answers as a faster copy in int8; photos get the original."
"""Of one role or several, below the cards."""


def render_frame(desk: Desk, comparison: Comparison) -> str:
    """Return the answer to a frame, and below it which networks are copies of those that answer photos."""
    lineup = desk.live.lineup
    copies = [
        role
        for role, prediction in comparison.predictions.items()
        if prediction.bundle != desk.classifiers[role].bundle.short_id
    ]
    note = COPIES.format(roles=list_words(copies)) if copies else ""
    return (
        render_verdict(comparison)
        + render_cards(lineup, comparison)
        + (f'<p class="tl-note">{note}</p>' if note else "")
    )


def build_webcam_tab(desk: Desk) -> None:
    """Lay out the tab inside the current Blocks.

    Its frames go to the routes of `trashlens.server.streams`, not through Gradio's events: those take frames at a
    fixed pace, which a server that is slower answers late, and each as text within a queue's messages.
    """
    boxes = "".join(
        f'<label><input type="checkbox" value="{role}" checked> {role}</label>'
        for role in available(desk.lineup)
    )
    build_camera_tab(
        "webcam",
        controls=f'<fieldset class="tl-networks"><legend>Networks that run</legend>{boxes}</fieldset>',
        note=NOTE,
        results=render_empty(desk.lineup, INVITATION),
    )
