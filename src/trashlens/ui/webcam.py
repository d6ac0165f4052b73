"""The Webcam tab: a live stream to the server, the chosen networks' results, and how fast they come."""

from trashlens.lineup import available
from trashlens.server.desk import Desk
from trashlens.ui.camera import build_camera_tab
from trashlens.ui.cards import render_empty

__all__ = ["build_webcam_tab"]

INVITATION = "Start the camera, hold one object in front of it, and the results follow."
NOTE = (
    "Latency is the way of a frame from your browser to the server and back as a result. Both numbers cover the "
    "last moments."
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
