"""The tables of words: by language, what the page says of each thing."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import yaml

__all__ = ["ENGLISH", "Words", "load_words"]

ENGLISH = "en"
"""The source of the others, and what who speaks none of them gets."""
LANGUAGES = (ENGLISH, "de", "es", "fr", "it", "pl")
# The parser in C takes a tenth of the time, and is not in every wheel of PyYAML.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, kw_only=True)
class Words:
    """What the page says in one language."""

    language: str
    """Its code in two letters (ISO 639-1)."""
    sentences: Mapping[str, str]
    """By key; what stands in braces is filled in by name. Those with tags or entities are HTML, others text."""

    def __getitem__(self, key: str) -> str:
        """Return a sentence."""
        return self.sentences[key]

    def find(self, kind: str, name: str) -> str:
        """Return the word for what has a name elsewhere, such as a class, or the name where there is none."""
        return self.sentences.get(f"{kind}.{name}", name)

    def join(self, parts: Sequence[str]) -> str:
        """Return the parts as in a sentence: `a`, `a and b`, `a, b and c`."""
        *first, last = parts
        return self["list"].format(first=", ".join(first), last=last) if first else last

    def write(self, number: float, spec: str) -> str:
        """Return a number as the format `spec` says, with the language's point, comma and percent sign."""
        marks = {mark: self[f"mark.{name}"] for mark, name in MARKS.items()}
        return "".join(marks.get(character, character) for character in format(number, spec))

    def write_date(self, date: datetime.date) -> str:
        """Return a day."""
        return f"{date:{self['mark.date']}}"

    def pick(self, *keys: str) -> dict[str, str]:
        """Return some sentences by key, for a script."""
        return {key: self[key] for key in keys}


MARKS = {".": "decimal", ",": "thousands", "%": "percent"}


@cache
def load_words() -> Mapping[str, Words]:
    """Return the tables by language, English first."""
    return MappingProxyType({language: _load(language) for language in LANGUAGES})


def _load(language: str) -> Words:
    text = Path(__file__).with_name(f"{language}.yaml").read_text(encoding="utf-8")
    # A constructor of plain strings, numbers and lists only, whichever of the two it is.
    sentences = yaml.load(text, LOADER)  # noqa: S506
    return Words(language=language, sentences=MappingProxyType(sentences))
