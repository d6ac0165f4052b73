"""Whether the server is there: a script says so when it is not, and mends the page when it is again."""

import json
from pathlib import Path

from trashlens.ui.words import load_words

__all__ = ["render_presence"]

SCRIPT = Path(__file__).with_suffix(".js")


def render_presence() -> str:
    """Return a script for the page's head."""
    sentences = {language: words["webcam.silent"] for language, words in load_words().items()}
    script = SCRIPT.read_text(encoding="utf-8").replace("= TABLE;", f"= {json.dumps(sentences)};")
    return f"<script>{script}</script>"
