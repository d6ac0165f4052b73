"""What was refused, in the visitor's language: the rooms below speak English, and know no words of the page."""

import re
from collections.abc import Mapping
from functools import cache

from trashlens.ui.words import ENGLISH, Words, load_words

__all__ = ["reword"]


def reword(sentence: str, words: Words) -> str:
    """Return the visitor's sentence for an English one, by its pattern in the English table.

    One that is not there follows a general sentence, in parentheses.
    """
    if words.language == ENGLISH:
        return sentence
    for key, pattern in _read_patterns().items():
        if found := pattern.fullmatch(sentence):
            return words[key].format(
                **{name: _rewrite(part, words) for name, part in found.groupdict().items()}
            )
    return words["refused.other"].format(reason=sentence.rstrip("."))


@cache
def _read_patterns() -> Mapping[str, re.Pattern[str]]:
    """Return by key what an English sentence looks like, whatever its numbers; all but the general one."""
    sentences = load_words()[ENGLISH].sentences
    return {
        key: re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(sentence)))
        for key, sentence in sentences.items()
        if key.startswith("refused.") and key != "refused.other"
    }


def _rewrite(part: str, words: Words) -> str:
    """Return a number as the language writes it; a part of a sentence stays, without its full stop."""
    return re.sub(r"(?<=\d)\.(?=\d)", words["mark.decimal"], part.removesuffix("."))
