"""The Batch tab in a browser: photos and a zip in, one table out, disagreement first, and the same as CSV."""

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import TIMEOUT_MS, launch_chromium, open_page, serve
from conftest import coloured_photo, encode
from playwright.sync_api import Browser, Page, expect

from trashlens.bundle import ROLES
from trashlens.table import column_names

expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="module")
def url(toy_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("server") / "errors.txt"
    with serve(toy_models, log, TRASHLENS_BATCH_PHOTOS="6", TRASHLENS_AT_ONCE="2") as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launch_chromium(encode(coloured_photo("paper")) * 3) as browser:
        yield browser


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Cardboard, a text, and a zip of plastic, which the baseline takes for glass, and of metal."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "=box.jpg").write_bytes(encode(coloured_photo("cardboard")))
    (folder / "notes.txt").write_text("no photo")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("__MACOSX/._bottle.jpg", b"x")
        archive.writestr("in/<b>can.jpg", encode(coloured_photo("metal")))
        archive.writestr("in/bottle.jpg", encode(coloured_photo("plastic")))
    return [folder / name for name in ("=box.jpg", "notes.txt", "more.zip")]


def send(page: Page, files: list[Path]) -> None:
    page.locator("#batch-files input[type=file]").set_input_files(files)


def names(page: Page) -> list[str]:
    return page.locator("#batch tbody th").all_inner_texts()


@pytest.fixture
def page(chromium: Browser, url: str) -> Iterator[Page]:
    with open_page(chromium, url) as (opened, _):
        opened.get_by_role("tab", name="Batch").click()
        yield opened


def test_disagreement_comes_first_and_what_cannot_be_read_last(page: Page, files: list[Path]) -> None:
    expect(page.locator("#batch")).to_contain_text("Send up to 6 photos, or zips of them, 128 MB in all")
    send(page, files)
    rows = page.locator("#batch tbody tr")
    expect(rows).to_have_count(4)
    assert names(page)[0] == "in/bottle.jpg"
    assert set(names(page)[1:3]) == {"=box.jpg", "in/<b>can.jpg"}
    assert names(page)[3] == "notes.txt"
    expect(rows.first.locator("[data-role] strong")).to_have_text(["plastic", "glass", "plastic"])
    expect(rows.first).to_contain_text("disagree")
    expect(rows.last).to_contain_text("This is not an image that can be read.")
    expect(page.locator("#batch .tl-summary p")).to_have_text(
        "4 photos: the networks disagree about 1, they agree on 2, 1 cannot be read."
    )
    shown = page.locator("#batch tbody img").evaluate_all("all => all.map((one) => one.naturalWidth)")
    assert shown == [144] * 3


def test_a_column_sorts_and_sorts_backwards(page: Page, files: list[Path]) -> None:
    send(page, files)
    expect(page.locator("#batch tbody tr")).to_have_count(4)
    verdict = page.locator("#batch thead th").last
    expect(verdict).to_have_attribute("aria-sort", "ascending")
    head = page.locator("#batch thead th", has_text="Baseline")
    head.get_by_role("button").press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(verdict).not_to_have_attribute("aria-sort", "ascending")
    assert names(page) == ["=box.jpg", "in/bottle.jpg", "in/<b>can.jpg", "notes.txt"]
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert names(page) == ["notes.txt", "in/<b>can.jpg", "in/bottle.jpg", "=box.jpg"]


def test_the_csv_has_the_rows_of_the_table(page: Page, files: list[Path]) -> None:
    send(page, files)
    expect(page.locator("#batch tbody tr")).to_have_count(4)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert download.value.suggested_filename == "trashlens.csv"
    content = Path(download.value.path()).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(content)))
    assert list(rows[0]) == column_names(ROLES)
    assert [row["file"].removeprefix("'") for row in rows] == names(page)
    assert {row["file"] for row in rows} >= {"'=box.jpg"}
    for row, shown in zip(rows, page.locator("#batch tbody tr").all(), strict=True):
        labels = shown.locator("[data-role] strong").all_inner_texts()
        assert [row[f"{role}_label"] for role in ROLES if row[f"{role}_label"]] == labels
        assert row["problem"] in shown.inner_text()
    assert [row["disagree"] for row in rows] == ["true", "false", "false", ""]


def test_too_many_photos_are_one_sentence_and_the_next_batch_works(
    page: Page, files: list[Path]
) -> None:
    photo = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": files[0].read_bytes()}
    many = [{**photo, "name": f"{number}.jpg"} for number in range(7)]
    page.locator("#batch-files input[type=file]").set_input_files(many)
    expect(page.locator("#batch [role=alert]")).to_have_text(
        "A batch may have 6 photos, and this one has more. Send fewer at a time."
    )
    page.locator("#batch-files").get_by_label("Clear").click()
    expect(page.locator("#batch")).to_contain_text("Send up to 6 photos")
    send(page, files[:1])
    expect(page.locator("#batch tbody tr")).to_have_count(1)


def test_the_list_says_what_its_links_are_and_that_it_grows_and_is_cleared(
    page: Page, files: list[Path]
) -> None:
    send(page, files[:1])
    expect(page.locator("#batch tbody tr")).to_have_count(1)
    expect(page.locator("#batch .tl-note")).to_contain_text("Photos that you add join these.")
    link = page.locator("#batch-files a[download]")
    expect(link).to_have_accessible_name(re.compile(r"^Download =box\.jpg, [\d.]+\s.?B"))
    expect(page.locator("#batch-files").get_by_role("button", name="Add files")).to_be_visible()
    expect(page.locator("[aria-label*='common.']")).to_have_count(0)
    send(page, files[2:])
    expect(page.locator("#batch tbody tr")).to_have_count(3)
    page.get_by_role("button", name="Clear the list").press("Enter")
    expect(page.locator("#batch")).to_contain_text("Send up to 6 photos")
    expect(link).to_have_count(0)
    expect(page.locator("#batch-files button.upload-container")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(
    chromium: Browser, url: str, files: list[Path], scheme: str
) -> None:
    with open_page(chromium, url, color_scheme=scheme) as (page, _):
        page.get_by_role(
            "tab", name="Batch"
        ).click()  # before Gradio puts it into the menu of narrow screens
        page.set_viewport_size({"width": 390, "height": 844})
        send(page, files)
        expect(page.locator("#batch tbody tr")).to_have_count(4)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = page.locator("#batch tbody tr").first.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_on_a_narrow_phone_a_name_has_its_line_and_the_networks_are_a_column(
    chromium: Browser, url: str, files: list[Path]
) -> None:
    photo = {
        "name": "IMG_20240817_142233.jpg",
        "mimeType": "image/jpeg",
        "buffer": files[0].read_bytes(),
    }
    with open_page(chromium, url, locale="pl", viewport={"width": 360, "height": 800}) as (page, _):
        page.get_by_role("tab").nth(3).click()
        page.locator("#batch-files input[type=file]").set_input_files([photo])
        row = page.locator("#batch tbody tr")
        expect(row).to_have_count(1)
        name, said = (row.locator(one).bounding_box() for one in ("th > span:last-child", ".tl-said"))
        assert name is not None
        assert said is not None
        assert said["y"] >= name["y"] + name["height"]
        assert row.locator("th wbr").count() == 2
        lefts = row.locator("[data-role]").evaluate_all(
            "all => all.map((one) => one.firstElementChild.getBoundingClientRect().left)"
        )
        heads = row.locator("[data-role]").evaluate_all(
            "all => all.map((one) => parseFloat(getComputedStyle(one, '::before').width))"
        )
        assert len(lefts) == 3
        assert set(lefts) == {lefts[0]}
        assert max(heads) < lefts[0] - 16  # they do not lie on one another
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
