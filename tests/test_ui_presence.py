"""The page when its server, or the way to it, is gone for a while: it says so, and mends itself."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import TIMEOUT_MS, launch_chromium, open_page, serve
from conftest import coloured_photo, encode
from playwright.sync_api import Browser, Page, expect

expect.set_options(timeout=TIMEOUT_MS)
AWAY = "The server does not answer."


@pytest.fixture(scope="module")
def url(toy_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    with serve(toy_models, folder / "errors.txt", TRASHLENS_KEEP_S="3") as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launch_chromium(encode(coloured_photo("cardboard")) * 2) as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, url: str) -> Iterator[Page]:
    with open_page(chromium, url) as (opened, _):
        yield opened


def send(page: Page, label: str) -> None:
    photo = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": encode(coloured_photo(label))}
    page.locator("#photo input[type=file]").set_input_files(photo)


def expect_answer(page: Page, label: str) -> None:
    expect(page.locator("#photo-results .tl-verdict")).to_contain_text(
        f"All three networks say {label}."
    )
    expect(page.locator("#photo-results")).to_have_attribute("aria-busy", "false")


def test_while_the_next_photo_is_at_work_the_last_answer_is_marked(page: Page) -> None:
    send(page, "cardboard")
    expect_answer(page, "cardboard")
    page.route("**/queue/join*", lambda _: None)  # which never comes back
    send(page, "metal")
    expect(page.locator("#photo-results")).to_have_attribute("aria-busy", "true")
    expect(page.locator("#photo-details")).to_have_attribute("aria-busy", "true")


def test_a_photo_sent_while_the_line_is_cut_ends_in_a_page_that_works(page: Page) -> None:
    send(page, "cardboard")
    expect_answer(page, "cardboard")
    page.context.set_offline(True)
    send(page, "metal")
    expect(page.locator(".tl-away")).to_contain_text(AWAY)
    page.context.set_offline(False)
    expect(page.locator(".tl-away")).to_have_count(0)
    expect(page.locator("#photo-results")).to_contain_text("Send a photo")  # loaded anew
    send(page, "paper")
    expect_answer(page, "paper")


def test_an_idle_page_keeps_what_it_shows(page: Page) -> None:
    send(page, "cardboard")
    expect_answer(page, "cardboard")
    page.context.set_offline(True)
    expect(page.locator(".tl-away")).to_contain_text(AWAY)
    page.context.set_offline(False)
    expect(page.locator(".tl-away")).to_have_count(0)
    expect_answer(page, "cardboard")
    send(page, "paper")
    expect_answer(page, "paper")


def test_a_batch_whose_server_ends_is_not_waited_for_without_end(
    toy_models: Path, chromium: Browser, tmp_path: Path
) -> None:
    photo = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": encode(coloured_photo("cardboard"))}
    with (
        serve(toy_models, tmp_path / "errors.txt", stop=signal.SIGKILL) as address,
        open_page(chromium, address) as (page, _),
    ):
        page.get_by_role("tab", name="Batch").click()
        page.route("**/queue/data*", lambda _: None)
        page.locator("#batch-files input[type=file]").set_input_files([photo])
        expect(page.locator("#batch .tl-waiting")).to_be_visible()
        page.context.set_offline(True)
        expect(page.locator(".tl-away")).to_contain_text(AWAY)
        page.context.set_offline(False)
        expect(page.locator("#batch .tl-waiting")).to_have_count(0)


def test_photos_of_a_batch_that_were_swept_are_asked_for_again(page: Page) -> None:
    photos = [
        {"name": f"{label}.jpg", "mimeType": "image/jpeg", "buffer": encode(coloured_photo(label))}
        for label in ("cardboard", "metal")
    ]
    page.get_by_role("tab", name="Batch").click()
    chooser = page.locator("#batch-files input[type=file]")
    chooser.last.set_input_files(photos[:1])
    expect(page.locator("#batch tbody tr")).to_have_count(1)
    page.wait_for_timeout(8_000)  # swept every three seconds, at an age of three
    chooser.last.set_input_files(photos[1:])
    expect(page.locator("#batch .tl-problem")).to_contain_text(
        "deleted from the server meanwhile. Send it again."
    )


def test_a_pasted_photo_is_answered(page: Page) -> None:
    content = list(encode(coloured_photo("paper")))
    page.evaluate(
        """(content) => {
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([new Uint8Array(content)], "a.jpg", { type: "image/jpeg" }));
            document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
        }""",
        content,
    )
    expect_answer(page, "paper")
