"""The line at the top of each tab: what it is for, and what happens to the photo."""

from html import escape

import gradio as gr

__all__ = ["LEADS", "build_lead"]

LEADS = {
    "photo": "One photo, three answers. It goes to this server, which deletes it within minutes.",
    "webcam": "Live answers while you film. Frames go to this server, which keeps none of them.",
    "device": "The student alone, in your browser. No picture leaves this device.",
    "batch": "Many photos at once, in one table. This server deletes them within minutes.",
    "scoreboard": "How good and how fast the three networks are. No photo is needed here.",
}
"""By tab."""


def build_lead(tab: str) -> None:
    """Lay out the line of a tab inside the current Blocks."""
    gr.HTML(f'<p class="tl-lead">{escape(LEADS[tab])}</p>', apply_default_css=False)
