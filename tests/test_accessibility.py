"""Every tab, light in English and dark in German, through axe-core: what hinders keyboards and screen readers."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import launch_chromium, open_page, serve
from conftest import coloured_photo, encode
from playwright.sync_api import Browser, Page, expect

from trashlens.bundle import Bundle
from trashlens.ui.words import load_words


@pytest.fixture(scope="module")
def url(toy_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = Path(shutil.copytree(toy_models, tmp_path_factory.mktemp("models") / "models"))
    # It is never sure.
    replace(Bundle.load(models / "baseline"), threshold=1.0).write(models / "baseline")
    with serve(models, tmp_path_factory.mktemp("server") / "errors.txt") as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launch_chromium(encode(coloured_photo("cardboard", size=(640, 480)))) as browser:
        yield browser


def find_faults(page: Page) -> list[tuple[str, str, list[str]]]:
    """Return impact, rule and places of everything that axe-core finds."""
    violations = Axe().run(page).response["violations"]
    return [
        (one["impact"], one["id"], [node["html"][:80] for node in one["nodes"]]) for one in violations
    ]


@pytest.mark.parametrize(("scheme", "language"), [("light", "en"), ("dark", "de")])
def test_nothing_is_found_on_any_tab(chromium: Browser, url: str, scheme: str, language: str) -> None:
    words = load_words()[language]
    with open_page(chromium, url, color_scheme=scheme, locale=language) as (page, _):
        names = page.get_by_role("tab").all_text_contents()
        assert len(names) >= 3
        for name in names:
            page.get_by_role("tab", name=name).click()
            page.wait_for_timeout(300)  # the tab's content fades in
            assert find_faults(page) == [], name
        page.get_by_role("tab", name=words["tab.photo"]).click()
        photo = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": encode(coloured_photo("paper"))}
        page.locator("#photo input[type=file]").set_input_files(photo)
        expect(page.locator("#photo-details .tl-advice")).to_be_visible()
        page.get_by_text(words["origin.title"]).click()
        page.get_by_text(words["doubt.question"]).click()
        assert find_faults(page) == []


def test_faults_are_found(chromium: Browser, url: str) -> None:
    with open_page(chromium, url) as (page, _):
        page.evaluate("document.body.append(document.createElement('button'))")
        assert [rule for _, rule, _ in find_faults(page)] == ["button-name"]
