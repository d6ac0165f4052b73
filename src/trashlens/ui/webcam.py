"""The Webcam tab: a live stream, the chosen networks' results, and how fast they come; `webcam.js` runs it."""

from pathlib import Path

import gradio as gr

from trashlens.lineup import Lineup, available
from trashlens.server.desk import Desk
from trashlens.ui.cards import render_empty

__all__ = ["build_webcam_tab"]

INVITATION = "Start the camera, hold one object in front of it, and the results follow."
NOTE = (
    "Latency is the way of a frame from your browser to the server and back as a result. Both numbers cover the "
    "last moments. Frames are not kept."
)


def build_webcam_tab(desk: Desk) -> None:
    """Lay out the tab inside the current Blocks.

    Its frames go to the routes of `trashlens.server.streams`, not through Gradio's events: those take frames at a
    fixed pace, which a server that is slower answers late, and each as text within a queue's messages.
    """
    gr.HTML(
        _render(desk.lineup),
        js_on_load=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"),
        elem_id="webcam",
        apply_default_css=False,
    )


def _render(lineup: Lineup) -> str:
    boxes = "".join(
        f'<label><input type="checkbox" value="{role}" checked> {role}</label>'
        for role in available(lineup)
    )
    return (
        '<div class="tl-webcam"><div>'
        '<video playsinline muted aria-label="What the camera shows"></video>'
        '<div class="tl-controls"><button type="button">Start</button>'
        '<select aria-label="Camera" hidden></select></div>'
        f'<fieldset id="networks"><legend>Networks that run</legend>{boxes}</fieldset>'
        '<dl class="tl-readout">'
        '<div><dt>Frames per second</dt><dd id="rate">&ndash;</dd></div>'
        '<div><dt>Latency</dt><dd id="latency">&ndash;</dd></div></dl>'
        f'<p class="tl-note">{NOTE}</p></div>'
        f'<div id="webcam-results">{render_empty(lineup, INVITATION)}</div></div>'
    )
