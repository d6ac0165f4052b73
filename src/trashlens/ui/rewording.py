"""What Gradio says by itself in the browser, and the gate to programs: a script puts the page's words there."""

import json
from collections.abc import Mapping
from pathlib import Path

from trashlens.server.refusals import BUSY, SLOW
from trashlens.server.settings import Settings, too_large
from trashlens.ui.photo_input import NOT_UPLOADED
from trashlens.ui.refusals import reword
from trashlens.ui.words import ENGLISH, Words, load_words

__all__ = ["render_rewording"]

SCRIPT = Path(__file__).with_suffix(".js")
SAID = {
    "gradio.webcam": "Click to Access Webcam",
    "gradio.grant": "grant webcam access",
    "gradio.snapshot": "capture photo",
    "gradio.source": "select input source",
    "gradio.add": "common.upload",
}
"""What Gradio says where that is put right in English, too; of the others the English table has it."""


def render_rewording(settings: Settings) -> str:
    """Return a script for the page's head."""
    tables = {language: _pair(words, settings) for language, words in load_words().items()}
    script = SCRIPT.read_text(encoding="utf-8").replace("TABLES[", f"{json.dumps(tables)}[")
    return f"<script>{script}</script>"


def _pair(words: Words, settings: Settings) -> Mapping[str, Mapping[str, str]]:
    """Return by what is said, and by how it begins, what the page says instead."""
    over = too_large(settings)
    english = load_words()[ENGLISH]
    said = {key: SAID.get(key, english[key]) for key in english.sentences if key.startswith("gradio.")}
    said["photo.alt"] = english["photo.alt"]
    return {
        "whole": {sentence: words[key] for key, sentence in said.items() if words[key] != sentence},
        # A file over the limit, or no image by its name, is refused in the browser already.
        "begun": {
            "File(s) exceed": reword(over, words),
            "Invalid file type": words["refused.unreadable"],
            # To a visitor it means that the upload was swept.
            NOT_UPLOADED: words["refused.swept"],
            # Gradio's client says it in place of what the server said.
            "This application is currently busy": reword(BUSY, words),
            **{sentence: reword(sentence, words) for sentence in (over, BUSY, SLOW)},
        },
    }
