"""What the page says, in each language that it speaks; one YAML file a language, English is the source."""

from trashlens.ui.words.choice import choose_language, words_for
from trashlens.ui.words.opening import Opening
from trashlens.ui.words.parts import Parts
from trashlens.ui.words.tables import ENGLISH, Words, load_words

__all__ = ["ENGLISH", "Opening", "Parts", "Words", "choose_language", "load_words", "words_for"]
