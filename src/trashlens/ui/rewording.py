"""What Gradio says by itself in the browser, and the gate by its answers: a script puts the page's words there."""

import json
from collections.abc import Mapping

from trashlens.server.gate import BUSY
from trashlens.server.settings import Settings, too_large
from trashlens.ui.photo_input import NOT_UPLOADED
from trashlens.ui.refusals import reword
from trashlens.ui.words import Words, load_words

__all__ = ["render_rewording"]

# A file over the limit, or no image by its name, is refused in the browser already, in Gradio's words; what the
# gate refuses comes as it says it to programs.
SCRIPT = """
<script>
new MutationObserver(() => {
    const sentences = Object.entries(%s[document.documentElement.lang] ?? {});
    for (const text of document.querySelectorAll("[data-testid=toast-text]"))
        for (const [theirs, ours] of sentences)
            if (text.textContent !== ours && text.textContent.startsWith(theirs)) text.textContent = ours;
}).observe(document.documentElement, { childList: true, subtree: true });
</script>
"""


def render_rewording(settings: Settings) -> str:
    """Return a script for the page's head."""
    return SCRIPT % json.dumps({code: _pair(words, settings) for code, words in load_words().items()})


def _pair(words: Words, settings: Settings) -> Mapping[str, str]:
    """Return by the beginning of a sentence what is said in its place."""
    over = too_large(settings)
    return {
        "File(s) exceed": reword(over, words),
        "Invalid file type": words["refused.unreadable"],
        **{sentence: reword(sentence, words) for sentence in (over, BUSY, NOT_UPLOADED)},
    }
