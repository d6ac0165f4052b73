"""The page in a real browser, in each language: all of it, wherever it is made, and fitting a phone."""

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import TIMEOUT_MS, launch_chromium, open_page, serve
from conftest import COLOURS, LABELS, coloured_photo, encode, toy_bundle, toy_model
from playwright.sync_api import Browser, Page, expect

from trashlens.bundle import ROLES
from trashlens.ui.words import ENGLISH, load_words

PHONE = {"width": 390, "height": 844}
TABS = ("photo", "webcam", "device", "batch", "scoreboard")
OTHERS = [language for language in load_words() if language != ENGLISH]
ATTRIBUTES = ["aria-label", "title", "alt", "placeholder"]
READ = """
(attributes) => [...document.querySelectorAll("body *")]
    .filter((element) => !element.closest("body [lang=en], script, style"))
    .flatMap((element) => [
        ...attributes.map((name) => element.getAttribute(name)),
        ...[...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data),
    ])
    .map((said) => (said ?? "").replace(/\\s+/g, " ").trim()).filter((said) => said)
"""
"""Everything on the page that is read or read out, shown or hidden, but what is said to be English."""
SHARED = {"baseline", "jpeg", "f1"}
"""Technical words, which stay."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of networks of which the baseline takes plastic for glass and back."""
    folder = tmp_path_factory.mktemp("models")
    swapped = {**COLOURS, "glass": COLOURS["plastic"], "plastic": COLOURS["glass"]}
    for role in ROLES:
        toy_bundle(role, toy_model(swapped if role == "baseline" else COLOURS)).write(folder / role)
    place = tmp_path_factory.mktemp("server")
    kept = {"TRASHLENS_FEEDBACK": str(place / "feedback")}
    with serve(folder, place / "errors.txt", **kept) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launch_chromium(encode(coloured_photo("cardboard", size=(640, 480)))) as browser:
        yield browser


def photo(label: str, name: str = "a.jpg") -> dict[str, object]:
    return {"name": name, "mimeType": "image/jpeg", "buffer": encode(coloured_photo(label))}


def open_tab(page: Page, tab: str) -> None:
    page.get_by_role("tab").nth(TABS.index(tab)).click()
    page.wait_for_timeout(300)


def read(page: Page) -> set[str]:
    return set(page.evaluate(READ, ATTRIBUTES))


def use_everything(page: Page) -> set[str]:
    """Go through all tabs as a visitor does; return everything that was said meanwhile."""
    said = read(page)
    page.locator("#photo input[type=file]").set_input_files(photo("plastic"))
    expect(page.locator("#photo-details .tl-advice article")).to_have_count(2)
    said |= read(page)
    page.locator("#photo input[type=file]").set_input_files(
        {"name": "b.jpg", "mimeType": "image/jpeg", "buffer": b"no image"}
    )
    expect(page.locator("#photo-results .tl-problem")).to_be_visible(timeout=TIMEOUT_MS)
    expect(page.get_by_test_id("toast-body")).to_be_visible()
    said |= read(page)
    open_tab(page, "webcam")
    page.locator("#webcam .tl-start").click()
    expect(page.locator("#webcam .tl-card .tl-winner span")).to_have_count(3)
    said |= read(page)
    page.locator("#webcam .tl-start").click()
    open_tab(page, "device")
    page.locator("#device input[type=file]").set_input_files(photo("paper"))
    expect(page.locator("#device .tl-card .tl-winner span")).to_be_visible()
    said |= read(page)
    open_tab(page, "batch")
    files = [photo(label, f"{index}.jpg") for index, label in enumerate(LABELS)]
    page.locator("#batch-files input[type=file]").set_input_files(
        [*files, {"name": "no.jpg", "mimeType": "image/jpeg", "buffer": b"no image"}]
    )
    expect(page.locator("#batch tbody tr")).to_have_count(len(files) + 1)
    said |= read(page)
    open_tab(page, "scoreboard")
    page.locator(".tl-origins summary").click()
    return said | read(page)


def find_english(said: set[str], language: str) -> set[str]:
    """Return what is said as the English table says it, and the language's does not."""
    own = {sentence.lower() for sentence in load_words()[language].sentences.values()}
    patterns = []
    for sentence in load_words()[ENGLISH].sentences.values():
        literal = re.sub(r"\{\w+\}", "", sentence)
        # A few letters between numbers may be of any language.
        least = 1 if literal == sentence else 4
        if sentence.lower() not in own | SHARED and len(re.findall("[a-z]", literal)) > least:
            plain = re.escape(re.sub(r"<[^>]*>", "", sentence).replace("&amp;", "&"))
            patterns.append(re.compile(re.sub(r"\\{\w+\\}", ".+", plain), re.IGNORECASE))
    return {one for one in said if any(pattern.fullmatch(one) for pattern in patterns)}


@pytest.mark.parametrize("language", OTHERS)
def test_no_english_is_left_anywhere(chromium: Browser, url: str, language: str) -> None:
    with open_page(chromium, url, locale=language) as (page, _):
        said = use_everything(page)
        assert page.evaluate("document.documentElement.lang") == language
    assert find_english(said, language) == set()
    assert not {one for one in said if "__i18n__" in one or "trashlens-" in one}
    words = load_words()[language]
    for key in (
        "page.tagline",
        "tab.device",
        "character.teacher",
        "batch.download",
        "table.size",
        "origin.title",
        "feedback.open",
    ):
        assert " ".join(words[key].split()) in said, key
    assert {"Trashlens", words["refused.unreadable"]} <= said


def test_english_would_be_found(chromium: Browser, url: str) -> None:
    with open_page(chromium, url) as (page, _):
        said = use_everything(page)
    assert len(find_english(said, "de")) > 60


@pytest.mark.parametrize("language", list(load_words()))
def test_five_tabs_fit_a_phone(chromium: Browser, url: str, language: str) -> None:
    with open_page(chromium, url, locale=language, viewport=PHONE) as (page, _):
        page.locator("#photo input[type=file]").set_input_files(photo("plastic"))
        expect(page.locator("#photo-details .tl-advice")).to_be_visible()
        tabs = page.get_by_role("tab")
        expect(tabs).to_have_count(5)
        for index in range(5):
            box = tabs.nth(index).bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= PHONE["width"]
            tabs.nth(index).click()
            page.wait_for_timeout(200)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (
            "nl,de;q=0.8,en;q=0.5",
            "de",
        ),  # Gradio by itself would look at the browser's own first language alone
        ("it-IT,it;q=0.9", "it"),
        ("ja", "en"),
    ],
)
def test_all_of_the_page_is_in_the_language_that_the_server_chose(
    chromium: Browser, url: str, accepted: str, language: str
) -> None:
    headers = {"Accept-Language": accepted}
    with open_page(chromium, url, extra_http_headers=headers) as (page, _):
        words = load_words()[language]
        assert page.evaluate("document.documentElement.lang") == language
        expect(page.locator(".tl-header p")).to_have_text(words["page.tagline"])
        expect(page.get_by_role("tab").first).to_have_text(words["tab.photo"])
        page.locator("#photo input[type=file]").set_input_files(photo("paper"))
        expect(page.locator("#photo-results .tl-verdict")).to_contain_text(words["class.paper"])
        expect(page.locator("#photo-details .tl-advice h2")).to_have_text(words["advice.title"])


def test_nothing_is_shown_in_english_first(chromium: Browser, url: str) -> None:
    """What the page says is noted at each change, from its first."""
    watch = """
        window.said = new Set();
        new MutationObserver(() => {
            const shown = document.querySelectorAll(".tl-header p, [role=tab], .tl-verdict");
            for (const one of shown) said.add(one.textContent);
        }).observe(document, { childList: true, subtree: true, characterData: true });
    """
    context = chromium.new_context(locale="it-IT")
    context.add_init_script(watch)
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#photo-results .tl-card")).to_have_count(3)
    said = {one.strip() for one in page.evaluate("[...said]")}
    context.close()
    english, italian = (load_words()[language] for language in (ENGLISH, "it"))
    assert italian["page.tagline"] in said
    assert (
        not {english[key] for key in ("page.tagline", "tab.photo", "tab.device", "photo.invitation")}
        & said
    )


def fetch(url: str, accepted: str) -> tuple[str, dict[str, str]]:
    request = urllib.request.Request(url, headers={"Accept-Language": accepted})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode(), {name.lower(): value for name, value in answer.headers.items()}


def test_the_page_says_its_language_before_any_script(url: str) -> None:
    page, headers = fetch(url, "pl-PL,pl;q=0.9")
    assert re.search(r'<html\s+lang="pl"', page)
    assert headers["content-language"] == "pl"
    assert "accept-language" in headers["vary"].lower()
    assert re.search(r'<html\s+lang="en"', fetch(url, "ja")[0])


def test_the_page_brings_the_words_of_its_language_alone(url: str) -> None:
    for language, other in (("it", "de"), ("de", "en"), ("en", "pl")):
        page = fetch(url, language)[0]
        for key in ("page.tagline", "photo.invitation", "webcam.note"):
            assert load_words()[language][key] in page
            assert load_words()[other][key] not in page
        config = fetch(f"{url}config", language)[0]
        assert load_words()[language]["page.tagline"] in config


def test_the_api_and_health_stay_english(url: str) -> None:
    assert '"status":"ok"' in fetch(f"{url}health", "de")[0]
    assert "Uploaded" not in fetch(f"{url}gradio_api/info", "de")[0]


def test_the_tables_are_shipped() -> None:
    folder = Path(__file__).parent.parent / "src" / "trashlens" / "ui" / "words"
    assert {path.stem for path in folder.glob("*.yaml")} == set(load_words())
