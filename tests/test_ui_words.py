"""The tables of words: the same keys in every language, each used; which language is chosen; what is refused."""

import ast
import datetime
import re
import string
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.requests import Request

import trashlens
from trashlens.errors import ImageError
from trashlens.image import ImageLimits, archives, check_bytes, limits, source
from trashlens.server import batches, feedback, feedback_route
from trashlens.server.batches import FAILED
from trashlens.server.refusals import BUSY
from trashlens.server.settings import Settings, too_large
from trashlens.ui.photo_input import NOT_UPLOADED
from trashlens.ui.refusals import reword
from trashlens.ui.words import ENGLISH, choose_language, load_words, words_for

UI = Path(trashlens.__file__).parent / "ui"
KEEPING = (feedback.FULL, feedback.FAILED, feedback_route.GONE)
OTHERS = [language for language in load_words() if language != ENGLISH]
NAMED_ELSEWHERE = {"class", "role", "the", "character", "advice", "altered", "split", "region"}
"""Kinds whose names come from a bundle or from the regions."""


def placeholders(sentence: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(sentence) if name)


def tags(sentence: str) -> list[str]:
    return re.findall(r"</?\w+>|&\w+;", sentence)


def used_words() -> tuple[set[str], set[str]]:
    """Return the keys that the code of the page names, and the beginnings of those that it puts together."""
    whole, begun = set(), set()
    for path in UI.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                begun.add(str(node.values[0].value))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                whole.add(node.value)
    for path in UI.glob("*.js"):
        whole |= set(re.findall(r'"([\w.]+)"', path.read_text(encoding="utf-8")))
    return whole, {one for one in begun if re.fullmatch(r"[a-z]+\.([a-z]+\.)?", one)}


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_says_the_same_things(language: str) -> None:
    english, words = load_words()[ENGLISH].sentences, load_words()[language].sentences
    assert list(words) == list(english)  # in the same order, so that they can be read side by side
    for key, sentence in english.items():
        # The reason is an English sentence, for those who read English alone.
        wanted = [] if key == "refused.unusual" else placeholders(sentence)
        assert placeholders(words[key]) == wanted, key
        assert tags(words[key]) == tags(sentence), key
        assert words[key], key


def test_few_words_are_those_of_english() -> None:
    """What was forgotten would stay as it is; names of things may be the same in several languages."""
    english = load_words()[ENGLISH].sentences
    for language in OTHERS:
        same = {key for key, said in load_words()[language].sentences.items() if said == english[key]}
        assert all(len(english[key].split()) <= 2 or "{" in english[key] for key in same), same


def test_every_word_is_used_and_none_is_missing() -> None:
    keys = set(load_words()[ENGLISH].sentences)
    kinds = {key.partition(".")[0] for key in keys}
    whole, begun = used_words()
    named = {
        one
        for one in whole
        if one.partition(".")[0] in kinds and re.fullmatch(r"[a-z]+(\.\w+)+(?<!\.js)(?<!\.css)", one)
    }
    assert {one for one in named if one not in keys} == set()
    put_together = {key for key in keys if key.startswith(tuple(begun))}
    of_patterns = {key for key in keys if key.startswith(("refused.", "mark.", "gradio."))}
    of_names = {key for key in keys if key.partition(".")[0] in NAMED_ELSEWHERE}
    assert keys - named - put_together - of_patterns - of_names - {"list"} == set()
    assert len(named) > 100


def test_what_is_html_is_whole() -> None:
    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            assert not attrs
            self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    for words in load_words().values():
        for key, sentence in words.sentences.items():
            reader = Reader()
            reader.feed(sentence)
            assert not reader.open, (words.language, key)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("DE-ch", "de"),
        ("nl,de;q=0.8,en;q=0.5", "de"),  # the first that the page speaks
        ("nl, en;q=0.9, de;q=0.8", "en"),
        ("en;q=0.5, it;q=0.9", "it"),
        ("pl;q=0, fr;q=0.1", "fr"),  # 0 is what one does not want
        ("es;q=much, fr", "fr"),
        ("ja,zh", "en"),
        ("*", "en"),
        ("den,", "en"),
        (",;=,q", "en"),
    ],
)
def test_the_first_language_that_the_page_speaks_is_chosen(accepted: str, language: str) -> None:
    assert choose_language(accepted) == language
    headers = [(b"accept-language", accepted.encode())] if accepted else []
    assert words_for(Request({"type": "http", "headers": headers})).language == language


def test_numbers_and_days_are_written_as_the_language_does() -> None:
    english, german, french = (load_words()[language] for language in ("en", "de", "fr"))
    assert english.write(1234.5, ",.1f") == "1,234.5"
    assert german.write(1234.5, ",.1f") == "1.234,5"
    assert french.write(1234.5, ",.1f") == "1\u202f234,5"
    assert [words.write(0.123, ".1%") for words in (english, german)] == ["12.3%", "12,3\u00a0%"]
    day = datetime.date(2026, 11, 2)
    assert [words.write_date(day) for words in (english, german)] == ["02 November 2026", "02.11.2026"]
    assert german.join(["a", "b", "c"]) == "a, b und c"


def raised(path: Path) -> Iterator[str]:
    """Return every sentence that a module raises for a visitor, with sevens in its gaps."""
    names = vars(limits) | vars(source) | vars(archives) | vars(batches)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("ImageError", "RequestError"):
            (said,) = node.args
            parts = said.values if isinstance(said, ast.JoinedStr) else [said]
            if isinstance(said, ast.Constant | ast.JoinedStr | ast.Name):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else fill(part, names)
                    for part in parts
                )


def fill(part: ast.expr, names: dict[str, object]) -> str:
    """Return what a name stands for where it is a sentence, else a number."""
    value = part.value if isinstance(part, ast.FormattedValue) else part
    known = names.get(value.id) if isinstance(value, ast.Name) else None
    return known if isinstance(known, str) else "7"


def all_refusals() -> list[str]:
    root = Path(trashlens.__file__).parent
    paths = [*root.glob("image/*.py"), *root.glob("server/*.py")]
    others = [
        BUSY,
        FAILED,
        NOT_UPLOADED,
        too_large(Settings()),
        limits.too_many_pixels("31", ImageLimits()),
    ]
    return [sentence for path in paths for sentence in raised(path)] + others


@pytest.mark.parametrize("language", OTHERS)
def test_every_refusal_is_known_in_every_language(language: str) -> None:
    words, sentences = load_words()[language], all_refusals()
    assert len(sentences) > 30
    unknown = words["refused.other"].partition("{")[0]
    # The first two name paths that a person gave, which nobody does on the page; `webcam.js` says the third.
    elsewhere = ("7 is not a file", "7 cannot be opened", load_words()[ENGLISH]["webcam.stopped"][:22])
    for sentence in sentences:
        if not sentence.startswith(elsewhere):
            assert not reword(sentence, words).startswith(unknown), sentence
        assert reword(sentence, load_words()[ENGLISH]) == sentence


def test_a_refusals_numbers_are_written_as_the_language_does() -> None:
    german = load_words()["de"]
    with pytest.raises(ImageError) as caught:
        check_bytes(3 * 2**19, ImageLimits(max_bytes=2**20))
    assert reword(str(caught.value), german) == (
        "Die Datei hat 1,5 MB; erlaubt sind 1 MB. Schick eine kleinere Kopie des Fotos."
    )


def test_an_unusual_file_is_refused_with_the_way_out_alone() -> None:
    german = load_words()["de"]
    odd = "This kind of TIFF cannot be read. Save the photo as an ordinary JPEG and send that."
    assert reword(odd, german) == (
        "Die Datei ist ungewöhnlich gespeichert. Speichere das Foto als gewöhnliches JPEG und schick das."
    )
    assert reword("Something new.", german) == "Das lässt sich nicht lesen (Something new)."


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_wrong_with_a_zip_is_said_whole(language: str) -> None:
    sentences = set(raised(Path(archives.__file__)))
    reworded = {reword(sentence, load_words()[language]) for sentence in sentences}
    assert len(reworded) == len(sentences) >= 7
    assert not {one for one in reworded if "(" in one}
