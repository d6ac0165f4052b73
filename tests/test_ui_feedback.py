"""The question below a result says truly where the photo goes, and is not asked where nothing is kept."""

import json
import re
from pathlib import Path

import anyio
import pytest
from conftest import LABELS

from trashlens.lineup import load_lineup
from trashlens.server.desk import Desk
from trashlens.server.feedback import Feedback
from trashlens.server.settings import Settings
from trashlens.ui.examples import DRAWINGS
from trashlens.ui.feedback import render_feedback
from trashlens.ui.page import build_page
from trashlens.ui.words import ENGLISH, load_words

WORDS = load_words()[ENGLISH]


@pytest.mark.parametrize(
    ("dataset", "public", "place"),
    [
        (None, False, "kept on this server,"),
        ("ada/given", False, "kept in the private dataset ada/given on Hugging Face,"),
        (
            "ada/given",
            True,
            "kept in the public dataset ada/given on Hugging Face, for everyone to see,",
        ),
    ],
)
def test_consent_names_the_place(
    toy_models: Path, tmp_path: Path, dataset: str | None, public: bool, place: str
) -> None:
    feedback = Feedback(tmp_path, most_bytes=1, dataset=dataset, public=public)
    page = render_feedback(
        Desk(load_lineup(toy_models), Settings(), feedback), "/tmp/a/photo.jpg", WORDS
    )
    assert place in page
    assert re.findall(r'type="radio" name="label" value="(\w+)"', page) == [*LABELS, "none"]
    assert "checked" not in page
    assert '<button type="submit" disabled>' in page


def test_the_pages_own_examples_are_not_asked_for(toy_models: Path, tmp_path: Path) -> None:
    desk = Desk(load_lineup(toy_models), Settings(), Feedback(tmp_path, most_bytes=1))
    sent = tmp_path / "renamed.jpg"
    sent.write_bytes((DRAWINGS / "glass.jpg").read_bytes())
    assert render_feedback(desk, str(sent), WORDS) == ""
    # As many bytes, and others.
    sent.write_bytes(sent.read_bytes()[:-1] + b"x")
    assert "<form" in render_feedback(desk, str(sent), WORDS)


def test_a_path_is_text(toy_models: Path, tmp_path: Path) -> None:
    desk = Desk(load_lineup(toy_models), Settings(), Feedback(tmp_path, most_bytes=1))
    assert 'data-path="/tmp/&quot;&gt;&lt;b&gt;.jpg"' in render_feedback(desk, '/tmp/"><b>.jpg', WORDS)


def test_where_nothing_is_kept_nothing_is_asked(toy_models: Path, tmp_path: Path) -> None:
    lineup = load_lineup(toy_models)
    assert render_feedback(Desk(lineup, Settings()), "/tmp/a/photo.jpg", WORDS) == ""

    async def build(feedback: Feedback | None) -> str:
        page = build_page(Desk(lineup, Settings(), feedback))
        return json.dumps(page.get_config_file(), default=str).replace("\\n", " ")

    # Without a running loop Gradio makes one of its own and leaves it open.
    assert "within minutes.<" in anyio.run(build, None)
    assert "within minutes, except" in anyio.run(build, Feedback(tmp_path, most_bytes=1))
