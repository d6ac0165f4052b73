"""The parts of the page that are the same for all who read its language, handed to Gradio's own i18n."""

from collections.abc import Callable

import gradio as gr

from trashlens.ui.words.choice import CHOSEN
from trashlens.ui.words.tables import ENGLISH, Words, load_words

__all__ = ["Parts"]


class _Translations(gr.I18n):
    """Gradio's translations, of which a page gets those of its visitor: as English, which Gradio falls back to.

    So they are shown in any language, also in one that Gradio does not know by itself, such as Italian.
    """

    @property
    def translations_dict(self) -> dict[str, dict[str, str]]:
        """Return what goes to the visitor."""
        return {ENGLISH: self.translations[CHOSEN.get()]}


class Parts:
    """What is on the page before anybody does anything, in every language.

    Gradio puts it in for a component's label, placeholder or value, in its configuration as in an event's output.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self.i18n = _Translations(**{language: {} for language in load_words()})

    def add(self, name: str, render: Callable[[Words], str]) -> str:
        """Return the mark that Gradio replaces by what `render` makes of the visitor's words."""
        key = f"trashlens-{name}"  # beside Gradio's own
        for language, words in load_words().items():
            self.i18n.translations[language][key] = render(words)
        return str(self.i18n(key))

    def word(self, key: str) -> str:
        """Return the mark for a sentence of the tables."""
        return self.add(key, lambda words: words[key])
