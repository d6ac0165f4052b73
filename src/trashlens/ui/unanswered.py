"""What a tab shows where its request ended without an answer: the queue was full, or the upload is gone."""

import json
from collections.abc import Callable
from pathlib import Path

import gradio as gr
from gradio.events import Dependency

from trashlens.ui.words import Parts, Words

__all__ = ["show_unanswered"]

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


def show_unanswered(
    run: Dependency,
    inputs: list[gr.Image | gr.File | gr.HTML | gr.Textbox],
    shown: gr.HTML,
    parts: Parts,
    *,
    empty: str,
    render: Callable[[str, Words], str],
) -> Dependency:
    """Let `shown` say why `run` ended without an answer; return the event after which it does.

    Without it the answer to what was sent before would stay. `inputs` are what the visitor sends, `shown`, and
    where the server shows refusals itself, the folder of the upload that has its answer. `empty` is what there
    is to see where nothing is sent, and `render` makes the HTML of a sentence.
    """

    def add(key: str) -> str:
        return parts.add(f"{shown.elem_id}-{key}", lambda words: render(words[f"refused.{key}"], words))

    script = SCRIPT
    for name, html in {"EMPTY": empty, "SWEPT": add("swept"), "BUSY": add("busy")}.items():
        script = script.replace(name, json.dumps(html))
    failure: Dependency = run.failure(None, inputs, shown, js=script, show_progress="hidden")
    return failure
