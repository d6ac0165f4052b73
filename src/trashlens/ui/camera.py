"""What the tabs that film look like, and the script that runs each of them behind `camera.js`."""

from html import escape
from pathlib import Path

import gradio as gr

__all__ = ["build_camera_tab"]

FOLDER = Path(__file__).parent


def build_camera_tab(name: str, *, controls: str, note: str, results: str) -> None:
    """Lay out a tab inside the current Blocks: camera, `controls`, two numbers and `note`; beside them `results`.

    `NAME.js` in this folder runs it: a function's body, in which `element` is what is laid out here.
    """
    scripts = [FOLDER / "camera.js", FOLDER / "examples.js", FOLDER / f"{name}.js"]
    gr.HTML(
        '<div class="tl-camera"><div>'
        '<video playsinline muted aria-label="What the camera shows"></video>'
        '<div class="tl-controls"><button type="button" class="tl-start">Start</button>'
        '<select class="tl-menu" aria-label="Camera" hidden></select></div>'
        f"{controls}"
        '<dl class="tl-readout">'
        '<div><dt>Frames per second</dt><dd class="tl-rate">&ndash;</dd></div>'
        '<div><dt>Latency</dt><dd class="tl-latency">&ndash;</dd></div></dl>'
        f'<p class="tl-note">{escape(note)}</p></div>'
        f'<div class="tl-results">{results}</div></div>',
        js_on_load="\n".join(path.read_text(encoding="utf-8") for path in scripts),
        elem_id=name,
        apply_default_css=False,
    )
