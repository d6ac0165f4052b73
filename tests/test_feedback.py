"""Feedback as visitors give it: a real server, a real browser, and what lies on the disk afterwards."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import TIMEOUT_MS, launch_chromium, open_page, serve, upload
from conftest import LABELS, coloured_photo, encode
from playwright.sync_api import Browser, Page, expect

from trashlens.image import decode_image
from trashlens.server.feedback import FULL
from trashlens.ui.words import ENGLISH, load_words

UNREACHED = load_words()[ENGLISH]["feedback.unreached"]

expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launch_chromium(encode(coloured_photo("paper", size=(640, 480))) * 30) as browser:
        yield browser


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server of this module keeps feedback."""
    return tmp_path_factory.mktemp("server") / "feedback"


@pytest.fixture(scope="module")
def url(toy_models: Path, place: Path) -> Iterator[str]:
    settings = {"TRASHLENS_FEEDBACK": str(place), "TRASHLENS_METRICS": "true"}
    with serve(toy_models, place.with_name("errors.txt"), **settings) as address:
        yield address


@pytest.fixture
def page(chromium: Browser, url: str) -> Iterator[Page]:
    with open_page(chromium, url) as (opened, _):
        yield opened


class Kept:
    """What is kept since the test began."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._before = set(place.rglob("*"))
        self._lines = len(self._read())

    def lines(self) -> list[dict[str, Any]]:
        return self._read()[self._lines :]

    def files(self) -> set[Path]:
        return {path for path in self._place.rglob("*") if path.is_file()} - self._before

    def _read(self) -> list[dict[str, Any]]:
        tables = self._place.rglob("metadata.jsonl")
        return [json.loads(line) for table in tables for line in table.read_text().splitlines()]


@pytest.fixture
def kept(url: str, place: Path) -> Kept:  # noqa: ARG001 - the server makes the folder
    return Kept(place)


def choose(page: Page, label: str, *, seed: int = 0) -> None:
    """Send a photo of a class and wait for the answer."""
    content = encode(coloured_photo(label, size=(1600, 1200), seed=seed), comment=b"taken at home")
    file = {"name": "my kitchen.jpg", "mimeType": "image/jpeg", "buffer": content}
    page.locator("#photo input[type=file]").set_input_files(file)
    expect(page.locator("#photo-details .tl-timing")).to_be_visible()


def ask(url: str, values: object, **headers: str) -> tuple[int, dict[str, Any]]:
    """Ask for feedback to be kept, as a script would; return the status and the answer."""
    request = urllib.request.Request(
        f"{url}feedback", json.dumps(values).encode(), {"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def count_answered(url: str) -> float:
    with urllib.request.urlopen(f"{url}metrics", timeout=60) as metrics:
        counted = re.search(r'verdict="answered",way="feedback"\} (\S+)', metrics.read().decode())
    return float(counted[1]) if counted else 0.0


def test_nothing_is_kept_before_the_click_and_then_one_photo_and_one_line(
    page: Page, kept: Kept
) -> None:
    choose(page, "paper")
    panel = page.locator(".tl-feedback")
    button = panel.get_by_role("button", name="Send")
    panel.get_by_text("Wrong? Tell us").click()
    expect(button).to_be_disabled()
    panel.get_by_role("radio", name="glass").check()
    expect(button).to_be_disabled()
    panel.get_by_role("checkbox").check()
    expect(button).to_be_enabled()
    panel.get_by_role("checkbox").uncheck()
    expect(button).to_be_disabled()
    panel.get_by_role("checkbox").check()
    assert kept.lines() == []
    assert kept.files() == set()
    button.click()
    thanks = panel.get_by_role("status")
    expect(thanks).to_contain_text("Thank you.")
    expect(thanks).to_be_focused()
    expect(panel.locator("form")).to_be_hidden()
    (line,) = kept.lines()
    (photo,) = (path for path in kept.files() if path.suffix == ".jpg")
    assert line["label"] == "glass"
    assert photo.parent.name == "glass"
    assert line["file_name"] == f"glass/{photo.name}"
    assert photo.stem[:12] in str(thanks.text_content())
    assert {one["role"]: one["label"] for one in line["said"]} == dict.fromkeys(
        ("teacher", "baseline", "student"), "paper"
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", line["day"])
    assert b"home" not in photo.read_bytes()
    assert max(decode_image(photo).size) <= 1024


def test_who_thinks_until_the_photo_is_swept_can_still_send(
    chromium: Browser, toy_models: Path, tmp_path: Path
) -> None:
    settings = {"TRASHLENS_FEEDBACK": str(tmp_path / "feedback"), "TRASHLENS_KEEP_S": "2"}
    with (
        serve(toy_models, tmp_path / "errors.txt", **settings) as url,
        open_page(chromium, url) as (page, _),
    ):
        choose(page, "metal")
        path = page.locator(".tl-feedback form").get_attribute("data-path")
        assert path is not None
        for _ in range(100):
            if not Path(path).exists():
                break
            page.wait_for_timeout(100)
        assert ask(url, {"path": path, "label": "metal", "consent": True})[0] == 410
        panel = page.locator(".tl-feedback")
        panel.get_by_text("Wrong? Tell us").click()
        panel.get_by_role("radio", name="none of these").check()
        panel.get_by_role("checkbox").check()
        panel.get_by_role("button", name="Send").click()
        expect(panel.get_by_role("status")).to_contain_text("Thank you.")
    (table,) = (tmp_path / "feedback").rglob("metadata.jsonl")
    assert [json.loads(line)["label"] for line in table.read_text().splitlines()] == ["none"]


def test_the_form_works_with_the_keyboard_alone(page: Page, kept: Kept) -> None:
    choose(page, "plastic")
    page.locator(".tl-feedback summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".tl-feedback [role=status]")).to_contain_text("Thank you.")
    assert [line["label"] for line in kept.lines()] == [LABELS[1]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_screen_reader_finds_its_way(chromium: Browser, url: str, scheme: str) -> None:
    with open_page(chromium, url, color_scheme=scheme) as (page, _):
        choose(page, "paper")
        page.locator(".tl-feedback summary").click()
        assert Axe().run(page).response["violations"] == []
        page.get_by_role("group", name="What is it?").get_by_role("radio", name="glass").check()
        consent = page.get_by_role("checkbox", name="I agree")
        expect(consent).to_have_accessible_description(re.compile("Nothing that names you"))
        consent.check()
        assert Axe().run(page).response["violations"] == []


def test_a_refusal_is_read_out_and_what_was_ticked_stays(page: Page, kept: Kept) -> None:
    choose(page, "metal", seed=1)
    page.locator(".tl-feedback summary").click()
    page.get_by_role("radio", name="glass").check()
    page.get_by_role("checkbox").check()
    page.route("**/feedback", lambda route: route.fulfill(status=507, json={"detail": FULL}))
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".tl-feedback [role=status]")).to_have_text(FULL)
    page.unroute("**/feedback")
    page.route("**/feedback", lambda route: route.abort())
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".tl-feedback [role=status]")).to_have_text(UNREACHED)
    page.unroute("**/feedback")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".tl-feedback [role=status]")).to_contain_text("Thank you.")
    assert [line["label"] for line in kept.lines()] == ["glass"]


def test_a_new_photo_asks_anew(page: Page) -> None:
    choose(page, "plastic")
    page.get_by_text("Wrong? Tell us").click()
    page.get_by_role("radio", name="glass").check()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".tl-feedback [role=status]")).to_contain_text("Thank you.")
    before = page.locator(".tl-feedback form").get_attribute("data-path")
    choose(page, "glass")
    expect(page.locator(".tl-feedback form")).not_to_have_attribute("data-path", str(before))
    expect(page.locator(".tl-feedback [role=status]")).to_be_empty()
    page.get_by_text("Wrong? Tell us").click()
    expect(page.locator(".tl-feedback form")).to_be_visible()
    assert page.locator(".tl-feedback input:checked").count() == 0
    expect(page.get_by_role("button", name="Send")).to_be_disabled()


def test_the_api_keeps_nothing_without_consent_class_and_photo(
    url: str, kept: Kept, tmp_path: Path
) -> None:
    path = upload(url, "photo.jpg", encode(coloured_photo("paper")))
    good = {"path": path, "label": "glass", "consent": True}
    foreign = tmp_path / "photo.jpg"
    coloured_photo("paper").save(foreign)
    wrong: list[tuple[int, object]] = [
        (422, {**good, "consent": False}),
        (422, {**good, "consent": "true"}),
        (422, {"path": path, "label": "glass"}),
        (422, {**good, "label": "gold"}),
        (422, {**good, "label": ["glass"]}),
        (422, {**good, "label": "../glass"}),
        (410, {**good, "path": str(foreign)}),
        (410, {**good, "path": f"{path}/../../../{foreign.name}"}),
        (422, {**good, "path": None}),
        (410, {**good, "path": "https://example.org/photo.jpg"}),
        (422, [good]),
        (410, {**good, "path": f"{path}x"}),
        (422, {**good, "path": upload(url, "photo.jpg", b"no photo")}),
    ]
    for status, values in wrong:
        answered, said = ask(url, values)
        assert answered == status, values
        assert said["detail"].endswith("."), values
        assert str(tmp_path) not in said["detail"]
    assert ask(url, good, **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert kept.lines() == []
    assert kept.files() == set()
    before = count_answered(url)
    assert ask(url, good)[0] == 201
    assert [line["label"] for line in kept.lines()] == ["glass"]
    assert count_answered(url) == before + 1


def test_a_server_that_keeps_nothing_asks_nothing(
    chromium: Browser, toy_models: Path, tmp_path: Path
) -> None:
    with serve(toy_models, tmp_path / "errors.txt") as url:
        path = upload(url, "photo.jpg", encode(coloured_photo("paper")))
        with pytest.raises(urllib.error.HTTPError, match=r"40[45]"):
            urllib.request.urlopen(
                urllib.request.Request(f"{url}feedback", json.dumps({"path": path}).encode()), timeout=60
            )
        with open_page(chromium, url) as (page, _):
            choose(page, "paper")
            assert page.locator(".tl-feedback").count() == 0
