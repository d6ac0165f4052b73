"""What the tabs that film look like, and the script that runs each of them behind `camera.js`."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from trashlens.ui.words import Parts, Words

__all__ = ["CameraTab", "build_camera_tab"]

FOLDER = Path(__file__).parent
SAID = (
    *("camera.start", "camera.stop", "camera.starting", "camera.denied", "camera.absent", "camera.busy"),
    *("camera.failed", "camera.disconnected", "camera.insecure", "mark.decimal", "mark.percent"),
)
"""Sentences that `camera.js` says."""


@dataclass(frozen=True, kw_only=True)
class CameraTab:
    """What a tab that films adds to the others, as HTML in one language."""

    controls: str
    note: str
    """A sentence below the two numbers; plain text."""
    results: str
    said: Mapping[str, Any]
    """What its script says, by key."""


def build_camera_tab(name: str, parts: Parts, render: Callable[[Words], CameraTab]) -> None:
    """Lay out a tab inside the current Blocks: camera, controls, two numbers, a note; beside them results.

    `NAME.js` in this folder runs it: a function's body, in which `element` is what is laid out here.
    """
    scripts = [FOLDER / "camera.js", FOLDER / "examples.js", FOLDER / f"{name}.js"]
    gr.HTML(
        parts.add(name, lambda words: _render(render(words), words)),
        js_on_load="\n".join(path.read_text(encoding="utf-8") for path in scripts),
        elem_id=name,
        apply_default_css=False,
    )


def _render(tab: CameraTab, words: Words) -> str:
    said = json.dumps({**words.pick(*SAID), **tab.said})
    return (
        '<div class="tl-camera"><div>'
        f'<video playsinline muted aria-label="{words["camera.picture"]}"></video>'
        f'<div class="tl-controls"><button type="button" class="tl-start">{words["camera.start"]}</button>'
        f'<select class="tl-menu" aria-label="{words["camera.label"]}" hidden></select></div>'
        f"{tab.controls}"
        '<dl class="tl-readout">'
        f'<div><dt>{words["camera.rate"]}</dt><dd class="tl-rate">&ndash;</dd></div>'
        f'<div><dt>{words["camera.latency"]}</dt><dd class="tl-latency">&ndash;</dd></div></dl>'
        f'<p class="tl-note">{escape(tab.note)}</p><data class="tl-words" value="{escape(said)}"></data></div>'
        f'<div class="tl-results">{tab.results}</div></div>'
    )
