"""The examples: what is drawn, what is served, and what a visitor can do with them."""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import ROOT, TIMEOUT_MS, launch_chromium, open_page, serve
from conftest import LABELS, coloured_photo, encode
from playwright.sync_api import Browser, Locator, Page, expect

from trashlens.errors import ImageError
from trashlens.image import decode_image
from trashlens.lineup import load_lineup
from trashlens.server.desk import Desk
from trashlens.server.settings import Settings
from trashlens.ui.examples import DRAWINGS, MOST, render_examples
from trashlens.ui.words import ENGLISH, load_words

WORDS = load_words()[ENGLISH]
LEADS = {tab: WORDS[f"lead.{tab}"] for tab in ("photo", "webcam", "device", "batch", "scoreboard")}

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as whoever publishes the page may give it: a photo a class, and more than are shown."""
    folder = tmp_path_factory.mktemp("my photos")
    for label in LABELS:
        (folder / f"a {label} & ünder.jpg").write_bytes(encode(coloured_photo(label)))
    for number in range(MOST):
        (folder / f"b{number}.jpg").write_bytes(encode(coloured_photo("glass", seed=number)))
    return folder


@pytest.fixture(scope="module")
def url(toy_models: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("server") / "errors.txt"
    with serve(toy_models, log, TRASHLENS_EXAMPLES=str(photos)) as address:
        yield address


@pytest.fixture(scope="module")
def drawn_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(ROOT / "models", tmp_path_factory.mktemp("server") / "errors.txt") as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launch_chromium(encode(coloured_photo("cardboard", size=(640, 480)))) as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, url: str) -> Iterator[Page]:
    with open_page(chromium, url) as (opened, _):
        yield opened


def example(page: Page, label: str, tab: str = "photo-examples") -> Locator:
    return page.locator(f"#{tab}").get_by_role("button", name=f"a {label} & ünder")


def expect_teacher(page: Page, label: str) -> None:
    winner = page.locator("#photo-results [data-role=teacher] .tl-winner strong")
    expect(winner).to_have_text(label, timeout=TIMEOUT_MS)


def fetch(address: str) -> tuple[int, bytes, dict[str, str]]:
    try:
        with urllib.request.urlopen(address) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, b"", {}


# The drawings


def test_there_is_a_small_drawing_of_each_class() -> None:
    assert {path.stem for path in DRAWINGS.iterdir()} == set(LABELS)
    for path in DRAWINGS.iterdir():
        image = decode_image(path)
        assert image.size == (512, 384)
        assert min(high - low for low, high in image.getextrema()) > 60, path  # something is on it
        assert path.stat().st_size < 30_000


# What is served


def test_each_button_has_a_picture_an_alternative_and_an_address() -> None:
    html = render_examples(Desk(load_lineup(ROOT / "models"), Settings()), WORDS)
    for label in LABELS:
        assert f'alt="Drawing: {label}"' in html
        assert re.search(rf'data-address="examples/[0-9a-f]{{16}}/{label}\.jpg"', html)
    assert html.count("data:image/jpeg;base64,") == len(LABELS)


def test_a_folder_that_is_not_there_or_holds_no_photo_ends_in_a_sentence(
    toy_models: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"text")
    for folder, sentence in ((tmp_path / "nowhere", "There is no folder"), (tmp_path, "a.jpg")):
        desk = Desk(load_lineup(toy_models), Settings(examples=folder))
        with pytest.raises(ImageError, match=sentence):
            render_examples(desk, WORDS)


def test_an_empty_folder_offers_nothing(toy_models: Path, tmp_path: Path) -> None:
    assert render_examples(Desk(load_lineup(toy_models), Settings(examples=tmp_path)), WORDS) == ""


def test_names_lead_to_the_examples_and_nowhere_else(page: Page, url: str, photos: Path) -> None:
    (photos.parent / "secret.jpg").write_bytes(b"secret")
    button = example(page, "metal")
    address = button.get_attribute("data-address") or ""
    name = "a metal & ünder.jpg"
    status, content, headers = fetch(f"{url}{address}")
    assert (status, content) == (200, (photos / name).read_bytes())
    assert headers["content-type"] == "image/jpeg"
    assert "immutable" in headers["cache-control"]
    folder = address.rpartition("/")[0]
    for wrong in (
        *("examples/0/b0.jpg", f"{folder}/b0.jpg", f"{folder}/b11.jpg", folder, "examples/", "examples"),
        *(f"{folder}/..%2f..%2fsecret.jpg", f"{folder}/../../secret.jpg", "examples/..%2fsecret.jpg"),
        *(f"{folder}/%2fetc%2fpasswd", f"{folder}/..", f"{folder}/%00", f"{folder}/{'a' * 5000}"),
    ):
        assert fetch(f"{url}{wrong}")[0] == 404, wrong


# What a visitor can do


def test_a_second_example_replaces_the_first(page: Page) -> None:
    expect(page.locator("#photo-examples button")).to_have_count(MOST)
    example(page, "paper").click()
    expect_teacher(page, "paper")
    expect(page.locator("#photo-details .tl-advice")).to_be_visible()
    example(page, "metal").click()
    expect_teacher(page, "metal")
    expect(page.get_by_alt_text("The photo you sent")).to_have_count(1)


def test_it_replaces_a_photo_of_ones_own_and_the_camera(page: Page) -> None:
    photo = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": encode(coloured_photo("glass"))}
    page.locator("#photo input[type=file]").set_input_files(photo)
    expect_teacher(page, "glass")
    example(page, "plastic").click()
    expect_teacher(page, "plastic")
    page.get_by_label("Remove Image").click()
    page.locator("#photo").get_by_label("Capture from camera").click()
    example(page, "trash").click()
    expect_teacher(page, "trash")


def test_the_last_of_many_counts(page: Page) -> None:
    for label in LABELS:
        example(page, label).click()
    expect_teacher(page, LABELS[-1])
    page.wait_for_timeout(1000)
    expect_teacher(page, LABELS[-1])


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_it_works_by_keyboard(page: Page, key: str) -> None:
    example(page, "cardboard").focus()
    page.keyboard.press("Tab")
    expect(example(page, "glass")).to_be_focused()
    page.keyboard.press(key)
    expect_teacher(page, "glass")


def test_one_that_cannot_be_fetched_is_said(page: Page) -> None:
    page.route("**/examples/**", lambda route: route.abort())
    example(page, "glass").click()
    expect(page.locator("#photo-examples p")).to_contain_text("could not be fetched")


def test_a_drawing_is_answered_like_a_photo(chromium: Browser, drawn_url: str) -> None:
    with open_page(chromium, drawn_url) as (page, _):
        page.get_by_role("button", name="Drawing: cardboard").click()
        expect(page.locator("#photo-results .tl-card[data-class=cardboard]").first).to_be_visible()
        expect(page.locator("#photo-results .tl-winner strong")).to_have_count(3)


def test_on_the_device_no_picture_leaves_it(chromium: Browser, drawn_url: str) -> None:
    with open_page(chromium, drawn_url) as (page, _):
        page.get_by_role("tab", name="On device").click()
        sent: list[int] = []
        page.on("request", lambda request: sent.append(len(request.post_data_buffer or b"")))
        page.locator("#device").get_by_role("button", name="Drawing: cardboard").click()
        expect(page.locator("#device .tl-speed b")).to_have_text(
            re.compile(r"\d ms"), timeout=TIMEOUT_MS
        )
        assert max(sent) < 2000


# Every tab


def test_each_tab_says_in_two_lines_on_a_phone_what_it_is_for(chromium: Browser, url: str) -> None:
    with open_page(chromium, url, viewport=PHONE) as (page, _):
        for name, sentence in LEADS.items():
            page.locator(f"[role=tab][data-tab-id={name}]").click()
            lead = page.get_by_text(sentence, exact=True)
            expect(lead).to_be_visible()
            height = lead.evaluate(
                "(one) => one.clientHeight / parseFloat(getComputedStyle(one).lineHeight)"
            )
            assert round(height) <= 2, name
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
        assert page.locator("[role=tab]").count() == len(LEADS)
