"""What the page shows where a request ends without an answer: a full queue, a cleared batch, frames that fail."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import TIMEOUT_MS, launch_chromium, open_page, serve
from conftest import coloured_photo, encode
from playwright.sync_api import Browser, Page, expect

from trashlens.ui.words import load_words

expect.set_options(timeout=TIMEOUT_MS)
BUSY = load_words()["de"]["refused.busy"]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server") / "errors.txt"


@pytest.fixture(scope="module")
def url(toy_models: Path, log: Path) -> Iterator[str]:
    with serve(toy_models, log) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launch_chromium(encode(coloured_photo("cardboard")) * 2) as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, url: str) -> Iterator[Page]:
    with open_page(chromium, url, locale="de") as (opened, _):
        yield opened


def send(page: Page, tab: str, content: bytes, name: str = "a.jpg") -> None:
    photo = {"name": name, "mimeType": "image/jpeg", "buffer": content}
    page.locator(f"#{tab} input[type=file]").last.set_input_files([photo])


def fill_queue(page: Page) -> None:
    """Let the server answer as one whose queue is full does."""
    page.route(
        "**/queue/join*", lambda route: route.fulfill(status=503, json={"detail": "Queue is full."})
    )


def test_a_full_queue_is_said_in_place_of_the_answer_before(page: Page) -> None:
    send(page, "photo", encode(coloured_photo("cardboard")))
    expect(page.locator("#photo-details .tl-advice")).to_be_visible()
    fill_queue(page)
    send(page, "photo", encode(coloured_photo("metal")))
    expect(page.locator("#photo-results [role=alert]")).to_have_text(BUSY)
    expect(page.locator("#photo-results .tl-blank")).to_have_count(3)
    expect(page.locator("#photo-results")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#photo-details .tl-details")).to_have_count(0)
    expect(page.get_by_test_id("toast-text").last).to_have_text(BUSY)
    page.unroute_all()
    send(page, "photo", encode(coloured_photo("paper")))
    expect(page.locator("#photo-details .tl-advice")).to_be_visible()
    expect(page.locator("#photo-results [role=alert]")).to_have_count(0)


def count_answers(log: Path) -> int:
    return log.read_text().count('"way": "photo"')


def test_an_example_pressed_while_a_photo_is_shown_is_answered_once(page: Page, log: Path) -> None:
    send(page, "photo", encode(coloured_photo("cardboard")))
    expect(page.locator("#photo-details .tl-advice")).to_be_visible()
    before = count_answers(log)
    page.locator("#photo-examples button").first.click()
    expect(page.locator("#photo-results")).to_have_attribute("aria-busy", "true")
    expect(page.locator("#photo-results")).to_have_attribute("aria-busy", "false")
    assert count_answers(log) == before + 1
    # As where the change to nothing is seen only once the new photo is there.
    with page.expect_response("**/queue/data*"):
        page.locator("#photo-path :is(textarea, input)").evaluate(
            "(one) => { one.value = ''; one.dispatchEvent(new Event('input', { bubbles: true })); }"
        )
    page.wait_for_timeout(1_000)
    assert count_answers(log) == before + 1
    expect(page.locator("#photo-details .tl-advice")).to_be_visible()


def test_the_servers_own_refusal_stays(page: Page) -> None:
    send(page, "photo", b"no image")
    unreadable = load_words()["de"]["refused.unreadable"]
    expect(page.locator("#photo-results")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#photo-results [role=alert]")).to_have_text(unreadable)


def test_a_batch_that_finds_the_queue_full_was_not_deleted(page: Page) -> None:
    page.get_by_role("tab").nth(3).click()
    fill_queue(page)
    send(page, "batch-files", encode(coloured_photo("cardboard")))
    expect(page.locator("#batch [role=alert]")).to_have_text(BUSY)


def test_a_batch_that_is_cleared_while_it_runs_leaves_the_invitation(page: Page) -> None:
    page.get_by_role("tab").nth(3).click()
    invitation = page.locator("#batch .tl-verdict").inner_text()
    page.route("**/queue/data*", lambda _: None)  # which never comes back
    send(page, "batch-files", encode(coloured_photo("cardboard")))
    expect(page.locator("#batch .tl-waiting")).to_be_visible()
    with page.expect_response("**/cancel*"):
        page.locator("#batch-files").get_by_label(load_words()["de"]["gradio.clear"]).click()
    page.wait_for_timeout(500)  # what followed on it came at once
    expect(page.locator("#batch .tl-verdict")).to_have_text(invitation)
    expect(page.locator("#batch [role=alert]")).to_have_count(0)


COUNT_ALERTS = """
() => {
    window.alerts = 0;
    const isAlert = (node) => node.matches?.("[role=alert]") || node.querySelector?.("[role=alert]");
    new MutationObserver((records) => {
        for (const { addedNodes } of records) alerts += [...addedNodes].filter(isAlert).length;
    }).observe(document.querySelector("#webcam"), { childList: true, subtree: true });
}
"""


def watch_webcam(page: Page) -> None:
    page.get_by_role("tab").nth(1).click()
    page.evaluate(COUNT_ALERTS)
    page.locator("#webcam .tl-start").click()


def test_frames_that_cannot_be_read_get_a_sentence_of_their_own_once(page: Page) -> None:
    page.evaluate("HTMLCanvasElement.prototype.toDataURL = () => 'data:image/jpeg;base64,AAAA'")
    watch_webcam(page)
    answers = []
    page.on("response", lambda answer: answers.append(answer.status))
    sentence = load_words()["de"]["webcam.unreadable"]
    expect(page.locator("#webcam [role=alert]")).to_have_text(sentence)
    while answers.count(422) < 3:
        page.wait_for_timeout(100)
    assert page.evaluate("alerts") == 1


def test_a_server_that_stays_silent_is_said_to_be_once(page: Page) -> None:
    tries = []
    page.route("**/webcam", lambda route: (tries.append(route), route.abort()))
    watch_webcam(page)
    sentence = load_words()["de"]["webcam.silent"]
    expect(page.locator("#webcam [role=alert]")).to_have_text(sentence)
    while len(tries) < 3:
        page.wait_for_timeout(100)
    assert page.evaluate("alerts") == 1
