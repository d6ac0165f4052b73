"""The line at the top of each tab: what it is for, and what happens to the photo."""

from html import escape

import gradio as gr

from trashlens.ui.words import Parts

__all__ = ["build_lead"]


def build_lead(tab: str, parts: Parts) -> None:
    """Lay out the line of a tab inside the current Blocks."""
    gr.HTML(
        parts.add(f"lead-{tab}", lambda words: f'<p class="tl-lead">{escape(words[f"lead.{tab}"])}</p>'),
        apply_default_css=False,
    )
