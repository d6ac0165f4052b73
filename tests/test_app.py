"""The page as visitors and scripts meet it: a real server, a real browser, no network."""

import dataclasses
import io
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlparse

import httpx
import numpy as np
import onnx
import pytest
from browser import (
    ROOT,
    TIMEOUT_MS,
    app_environment,
    call_classify,
    call_with_path,
    call_with_values,
    launch_chromium,
    open_page,
    serve,
    upload,
)
from conftest import COLOURS, LABELS, coloured_photo, encode, huge_png, toy_bundle, toy_model
from gradio_client import Client, handle_file
from onnx import helper, numpy_helper
from PIL import Image, ImageOps
from playwright.sync_api import Browser, Locator, Page, expect

from trashlens.bundle import ROLES, load_bundle

expect.set_options(timeout=TIMEOUT_MS)


def look_at_upper_half(model: bytes) -> bytes:
    """Return the toy graph so changed that it sees only the upper half, and can tell up from down."""
    graph = onnx.load_from_string(model)
    graph.graph.node[0].input[0] = "upper"
    for name, value in {"starts": 0, "ends": 16, "slice_axes": 2}.items():
        graph.graph.initializer.append(numpy_helper.from_array(np.array([value]), name))
    graph.graph.node.insert(
        0, helper.make_node("Slice", ["images", "starts", "ends", "slice_axes"], ["upper"])
    )
    onnx.checker.check_model(graph)
    return graph.SerializeToString()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles that agree on every class, but that the baseline takes plastic for glass and back."""
    folder = tmp_path_factory.mktemp("upper_half_models")
    swapped = {**COLOURS, "glass": COLOURS["plastic"], "plastic": COLOURS["glass"]}
    for role in ROLES:
        model = toy_model(swapped if role == "baseline" else COLOURS)
        bundle = toy_bundle(role, look_at_upper_half(model))
        # High enough for grey, which lies between the colours, and low enough for each of them.
        bundle = dataclasses.replace(bundle, threshold=0.99)
        bundle.write(folder / role)
        if role == "teacher":
            copy = {
                "model": look_at_upper_half(toy_model(sharpness=39.0)),
                "weights": "int8",
                "provenance": {"copy_of": {"sha256": bundle.sha256}},
            }
            dataclasses.replace(bundle, **copy).write(folder / "live" / role)
    return folder


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server says on stderr."""
    return tmp_path_factory.mktemp("server") / "errors.txt"


@pytest.fixture(scope="module")
def url(models: Path, errors: Path) -> Iterator[str]:
    with serve(models, errors) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser whose camera shows cardboard for two seconds, then plastic, and so on."""
    frames = [encode(coloured_photo(label, size=(640, 480))) for label in ("cardboard", "plastic")]
    with launch_chromium(b"".join(frame * 60 for frame in frames)) as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, url: str) -> Iterator[Page]:
    with open_page(chromium, url) as (opened, _):
        yield opened


def send(page: Page, name: str, content: bytes) -> None:
    """Choose a file for the Photo tab, whatever its name and content."""
    file = {"name": name, "mimeType": "image/jpeg", "buffer": content}
    page.locator("#photo input[type=file]").set_input_files(file)


def winner(page: Page, role: str, tab: str = "photo") -> Locator:
    results = "#photo-results" if tab == "photo" else f"#{tab} .tl-results"
    return page.locator(f"{results} [data-role={role}] .tl-winner strong")


def start_webcam(page: Page) -> None:
    page.get_by_role("tab", name="Webcam").click()
    page.locator("#webcam").get_by_role("button", name="Start").click()


def track_states(page: Page) -> list[str]:
    states: list[str] = page.evaluate("window.tracks.map((track) => track.readyState)")
    return states


# The Photo tab


def test_a_photo_gets_three_labels_times_and_advice(page: Page) -> None:
    expect(page.locator("#photo-results")).to_contain_text("Send a photo")
    send(page, "box.jpg", encode(coloured_photo("cardboard")))
    for role in ROLES:
        card = page.locator(f"#photo-results [data-role={role}]")
        expect(winner(page, role)).to_have_text("cardboard")
        expect(card.locator(".tl-bars li")).to_have_count(6)
        expect(card.locator(".tl-speed")).to_contain_text(re.compile(r"\d ms"))
        expect(card).to_contain_text(f"toy_{role}, 24\N{NO-BREAK SPACE}parameters")
    speed = page.locator("#photo-results [data-role=student] .tl-speed")
    expect(speed).to_contain_text(re.compile(r"\d× the teacher’s speed"))
    expect(page.locator(".tl-verdict[data-agreed=true]").first).to_have_text(
        "All three networks say cardboard."
    )
    details = page.locator("#photo-details")
    expect(details).to_contain_text("Flatten it")
    expect(details).to_contain_text("Rules differ locally")
    for step in ("decode", "preprocess", "infer, teacher", "infer, baseline", "infer, student"):
        expect(details.locator(f"li[data-step='{step}']")).to_contain_text(" ms")


def test_disagreement_is_said_with_advice_for_both_classes(page: Page) -> None:
    send(page, "bottle.jpg", encode(coloured_photo("plastic")))
    expect(page.locator("#photo-results .tl-verdict")).to_have_text(
        "The networks disagree: the teacher and the student say plastic and the baseline says glass."
    )
    advice = page.locator("#photo-details .tl-advice article")
    expect(advice).to_have_count(2)
    expect(advice.nth(0)).to_contain_text("If it is plastic as the teacher and the student say")
    expect(advice.nth(1)).to_contain_text("If it is glass as the baseline says")


def test_a_photo_of_nothing_known_gets_a_guess_and_no_advice(page: Page) -> None:
    send(page, "grey.png", encode(Image.new("RGB", (320, 240), (128, 128, 128)), "PNG"))
    expect(page.locator("#photo-results .tl-verdict")).to_have_text(
        "None of the three networks is sure."
    )
    for role in ROLES:
        expect(winner(page, role)).to_have_text("not sure")
        guess = page.locator(f"#photo-results [data-role={role}] .tl-winner small")
        expect(guess).to_have_text("most like trash, 57%")
    expect(page.locator("#photo-details")).to_contain_text("Take a closer photo of one object")
    expect(page.locator("#photo-details .tl-advice article")).to_have_count(0)


def rotated_photo(orientation: int) -> bytes:
    """Return a photo that is metal above paper only once its EXIF rotation is applied.

    Upside down it would be paper, and lying on its side the mean of both, which is nearest to cardboard.
    """
    upright = Image.new("RGB", (240, 320), COLOURS["paper"])
    upright.paste(COLOURS["metal"], (0, 0, 240, 160))
    back = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(back[orientation])
    photo = encode(stored, exif=exif)
    assert ImageOps.exif_transpose(Image.open(io.BytesIO(photo))).getpixel((120, 40)) == COLOURS["metal"]
    return photo


def animation() -> bytes:
    first, second = (coloured_photo(label, noise=0) for label in ("cardboard", "metal"))
    return encode(first, "GIF", save_all=True, append_images=[second], duration=100, loop=0)


PHOTOS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "portrait": ("a.jpg", lambda: encode(coloured_photo("trash", size=(300, 600))), "trash"),
    "landscape": ("a.jpg", lambda: encode(coloured_photo("trash", size=(600, 300))), "trash"),
    "upside down": ("a.jpg", lambda: rotated_photo(3), "metal"),
    "turned right": ("a.jpg", lambda: rotated_photo(6), "metal"),
    "turned left": ("a.jpg", lambda: rotated_photo(8), "metal"),
    "transparent": (
        "a.png",
        lambda: encode(Image.new("RGBA", (90, 90), (60, 80, 220, 0)), "PNG"),
        "paper",
    ),
    "greyscale": ("a.jpg", lambda: encode(Image.new("L", (90, 90), 60)), "metal"),
    "cmyk": ("a.jpg", lambda: encode(coloured_photo("cardboard").convert("CMYK")), "cardboard"),
    "animation": ("a.gif", animation, "cardboard"),
}


@pytest.mark.parametrize("case", PHOTOS)
def test_every_kind_of_photo_works(page: Page, case: str) -> None:
    name, build, label = PHOTOS[case]
    send(page, name, build())
    expect(winner(page, "teacher")).to_have_text(label)


def cut_photo() -> bytes:
    photo = encode(coloured_photo("glass"))
    return photo[: len(photo) // 2]


BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "text": ("notes.jpg", lambda: b"not a photo", "This is not an image that can be read."),
    "cut": ("cut.jpg", cut_photo, "The image is damaged or cut off."),
    "empty": ("empty.jpg", lambda: b"", "The file is empty."),
    "bomb": ("bomb.png", lambda: huge_png(30_000, 30_000), "megapixels; the limit is"),
    "svg": ("drawing.svg", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "This is not an image"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_gets_its_sentence_and_the_next_photo_its_answer(page: Page, case: str) -> None:
    name, build, sentence = BAD[case]
    send(page, "good.jpg", encode(coloured_photo("metal")))
    expect(winner(page, "teacher")).to_have_text("metal")
    send(page, name, build())
    expect(page.locator("[data-testid=toast-body]")).to_contain_text(sentence)
    expect(page.locator("[data-testid=toast-body] .toast-title")).to_have_text("Error")
    expect(page.locator("#photo-results [role=alert]")).to_contain_text(sentence)
    expect(page.locator("#photo-results")).to_have_attribute("aria-busy", "false")
    expect(winner(page, "teacher")).to_have_text("waiting")
    expect(page.locator("#photo-details .tl-advice")).to_have_count(0)
    send(page, "good.jpg", encode(coloured_photo("trash")))
    expect(winner(page, "teacher")).to_have_text("trash")


DROP = """([place, name, type]) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["not a photo"], name, { type }));
    const options = { dataTransfer, bubbles: true, cancelable: true };
    document.querySelector(place).dispatchEvent(new DragEvent("drop", options));
}"""
TAKES_DROPS = """() => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([], "any"));
    const event = new DragEvent("dragover", { dataTransfer, bubbles: true, cancelable: true });
    return !document.body.dispatchEvent(event);
}"""


def test_a_file_that_is_no_image_gets_its_sentence_when_it_is_dropped(page: Page) -> None:
    toast, alert = page.locator("[data-testid=toast-body]"), page.locator("#photo-results [role=alert]")
    page.wait_for_function(TAKES_DROPS)
    page.locator("#photo h2").wait_for()
    page.evaluate(DROP, ["#photo h2", "notes.txt", "text/plain"])  # where there is no photo yet
    expect(alert).to_contain_text(BAD["text"][2])
    expect(toast.locator(".toast-title")).to_have_text("Error")  # once
    send(page, "good.jpg", encode(coloured_photo("metal")))
    expect(winner(page, "teacher")).to_have_text("metal")
    page.evaluate(DROP, ["#photo img", "photo.unheard-of", ""])  # on the photo
    expect(alert).to_contain_text(BAD["text"][2])
    expect(winner(page, "teacher")).to_have_text("waiting")


def drop_file(page: Page, path: Path, target: str = "h1") -> None:
    """Drop a file as a visitor does; on the page's heading, as who misses every field."""
    page.wait_for_function(TAKES_DROPS)
    box = page.locator(target).first.bounding_box()
    assert box is not None
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    protocol = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        protocol.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})


def test_a_photo_dropped_beside_the_field_is_answered_and_none_takes_the_page_away(
    page: Page, url: str, tmp_path: Path
) -> None:
    photo, other = tmp_path / "box.jpg", tmp_path / "can.jpg"
    photo.write_bytes(encode(coloured_photo("cardboard")))
    other.write_bytes(encode(coloured_photo("metal")))
    drop_file(page, photo)
    expect(winner(page, "teacher")).to_have_text("cardboard")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.get_by_role("tab", name="Scoreboard").click()
    drop_file(page, other)
    page.get_by_role("tab", name="Photo").click()
    expect(winner(page, "teacher")).to_have_text("cardboard")
    drop_file(page, other)
    expect(winner(page, "teacher")).to_have_text("metal")
    assert errors == []
    assert page.url.startswith(url)


@pytest.mark.parametrize("target", ["h1", "#photo"])
@pytest.mark.parametrize("name", ["photos", "photos.jpg"])
def test_a_folder_is_refused_like_what_is_no_image(
    page: Page, tmp_path: Path, target: str, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    drop_file(page, folder, target)
    expect(page.locator("#photo-results [role=alert]")).to_contain_text(BAD["text"][2])
    expect(page.locator("[data-testid=toast-body]")).to_have_count(1)
    send(page, "good.jpg", encode(coloured_photo("metal")))
    expect(winner(page, "teacher")).to_have_text("metal")


def test_a_file_over_the_limit_gets_a_sentence(page: Page, tmp_path: Path) -> None:
    send(page, "good.jpg", encode(coloured_photo("metal")))
    expect(winner(page, "teacher")).to_have_text("metal")
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(129 * 2**20)
    page.locator("#photo input[type=file]").set_input_files(huge)
    expect(page.locator("[data-testid=toast-body]")).to_contain_text(
        "The upload has more than 128 MB. Send a smaller file, or fewer."
    )
    expect(winner(page, "teacher")).to_have_text("waiting")
    send(page, "good.jpg", encode(coloured_photo("trash")))
    expect(winner(page, "teacher")).to_have_text("trash")


def test_taking_the_photo_away_takes_the_result_away(page: Page) -> None:
    send(page, "box.jpg", encode(coloured_photo("cardboard")))
    expect(winner(page, "teacher")).to_have_text("cardboard")
    page.get_by_label("Remove Image").click()
    expect(winner(page, "teacher")).to_have_text("waiting")
    expect(page.locator("#photo-details .tl-advice")).to_have_count(0)


def test_the_visitors_region_names_the_container_and_is_remembered(chromium: Browser, url: str) -> None:
    with open_page(chromium, url) as (page, _):
        details = page.locator("#photo-details")
        send(page, "box.jpg", encode(coloured_photo("cardboard")))
        expect(details.locator(".tl-bin:visible")).to_have_count(0)
        details.get_by_label("Containers in").select_option("Germany")
        expect(details.locator(".tl-bin:visible")).to_have_text("In Germany: blue bin (Blaue Tonne)")
        expect(details.locator(".tl-source:visible a")).to_have_attribute(
            "href", re.compile("^https://")
        )
        expect(details).to_contain_text("Rules differ locally")
        page.reload()
        send(page, "can.jpg", encode(coloured_photo("metal")))
        expect(details.locator(".tl-bin:visible")).to_contain_text("In Germany: yellow bin")
        details.get_by_label("Containers in").select_option("choose a region")
        expect(details.locator(".tl-bin:visible")).to_have_count(0)


def test_a_snapshot_is_classified_and_its_camera_released_with_the_tab(page: Page) -> None:
    page.get_by_label("Capture from camera").click()
    page.locator("#photo [title='Allow the camera'] button").click()
    page.locator("#photo button.capture-button").click()
    expect(winner(page, "teacher")).to_have_text(re.compile("cardboard|plastic"))
    page.get_by_label("Remove Image").click()
    page.locator("#photo [title='Allow the camera'] button").click()
    page.locator("#photo button.capture-button").wait_for()
    page.wait_for_function("window.tracks.at(-1).readyState === 'live'")
    page.get_by_role("tab", name="Webcam").click()
    page.wait_for_function("window.tracks.every((track) => track.readyState === 'ended')")


# The Webcam tab


def test_the_webcam_labels_follow_what_the_camera_sees(page: Page) -> None:
    start_webcam(page)
    for label in ("cardboard", "plastic", "cardboard"):
        expect(winner(page, "teacher", "webcam")).to_have_text(label)
    expect(page.locator(".tl-rate")).to_have_text(re.compile(r"^\d+$"))
    expect(page.locator(".tl-latency")).to_have_text(re.compile(r"^\d+ ms$"))


def test_a_card_changes_with_the_frames_and_stays_the_same_element(page: Page) -> None:
    start_webcam(page)
    card = page.locator("#webcam [data-role=teacher]")
    for label in ("cardboard", "plastic", "cardboard"):
        expect(card).to_have_attribute("data-class", label)
        wins = card.locator(".tl-bars li[data-wins]")
        expect(wins).to_have_attribute("data-class", label)
        assert float(wins.locator("i > i").evaluate("(bar) => parseFloat(bar.style.width)")) > 50
        if label == "cardboard":
            card.evaluate("(element) => (window.kept ??= element)")
    assert card.evaluate("(element) => element === window.kept")


def test_frames_are_answered_by_the_copy_which_says_so_and_photos_by_the_teacher(
    page: Page, models: Path
) -> None:
    teacher, copy = (load_bundle(folder, "teacher").short_id for folder in (models, models / "live"))
    send(page, "metal.jpg", encode(coloured_photo("metal")))
    card = page.locator("#photo-results [data-role=teacher]")
    expect(card).to_have_attribute("data-bundle", teacher)
    expect(card).not_to_contain_text("int8")
    start_webcam(page)
    card = page.locator("#webcam [data-role=teacher]")
    expect(card).to_have_attribute("data-bundle", copy)
    expect(card).to_contain_text(re.compile(r"toy_teacher, .*, int8"))
    note = page.locator("#webcam .tl-results .tl-note")
    at_once = "Live, the networks run at once, so each takes longer than alone."
    copied = "Live, a faster copy in int8 answers (the teacher); photos go to the original."
    expect(note).to_have_text(f"{at_once} {copied}")
    expect(page.locator("#webcam [data-role=student]")).not_to_contain_text("int8")
    page.locator("#webcam").get_by_label("teacher").uncheck()
    expect(note).to_have_text(at_once)
    page.locator("#webcam").get_by_label("baseline").uncheck()
    expect(note).to_have_count(0)


def test_leaving_the_webcam_tab_releases_the_camera(page: Page) -> None:
    start_webcam(page)
    expect(winner(page, "teacher", "webcam")).to_have_text(re.compile("cardboard|plastic"))
    assert track_states(page) == ["live"]
    page.get_by_role("tab", name="Photo").click()
    page.wait_for_function("window.tracks.every((track) => track.readyState === 'ended')")
    expect(page.locator("#photo input[type=file]")).to_have_count(1)
    page.get_by_role("tab", name="Webcam").click()
    expect(winner(page, "teacher", "webcam")).to_have_text("waiting")  # not what was seen before
    start_webcam(page)
    page.wait_for_function("window.tracks.at(-1).readyState === 'live'")


def test_a_stop_releases_the_camera_even_before_it_has_started(page: Page) -> None:
    page.evaluate("""() => {
            const devices = navigator.mediaDevices, open = devices.getUserMedia;
            window.slow = true;
            devices.getUserMedia = async (constraints) => {
                if (window.slow) await new Promise((resolve) => { window.goOn = resolve; window.slow = false; });
                return open(constraints);
            };
        }""")
    start_webcam(page)
    button = page.locator("#webcam .tl-controls button")
    button.click()
    expect(page.locator("#webcam .tl-results")).to_contain_text("Start the camera")
    button.click()
    expect(winner(page, "teacher", "webcam")).to_have_text(re.compile("cardboard|plastic"))
    page.evaluate("window.goOn()")
    page.wait_for_function("window.tracks.length === 2")
    page.wait_for_timeout(300)
    assert track_states(page) == ["live", "ended"]
    expect(winner(page, "teacher", "webcam")).to_have_text(re.compile("cardboard|plastic"))
    button.click()
    expect(winner(page, "teacher", "webcam")).to_have_text("waiting")
    assert track_states(page) == ["ended", "ended"]


def test_a_camera_that_is_refused_is_explained(chromium: Browser, url: str) -> None:
    with open_page(chromium, url) as (page, _):
        page.evaluate(
            "() => { navigator.mediaDevices.getUserMedia = "
            "() => Promise.reject(new DOMException('', 'NotAllowedError')); }"
        )
        start_webcam(page)
        expect(page.locator("#webcam .tl-results [role=alert]")).to_contain_text(
            "Allow it beside the address"
        )
        expect(page.locator("#webcam").get_by_role("button", name="Start")).to_be_visible()


def test_viewers_take_turns_and_an_absent_server_is_waited_for(
    models: Path, chromium: Browser, tmp_path: Path
) -> None:
    limits = {"TRASHLENS_VIEWERS": "1", "TRASHLENS_STREAM_S": "12"}
    seen = re.compile("cardboard|plastic")
    with (
        serve(models, tmp_path / "errors.txt", **limits) as url,
        open_page(chromium, url) as (first, _),
        open_page(chromium, url) as (second, _),
    ):
        start_webcam(first)
        expect(winner(first, "teacher", "webcam")).to_have_text(seen)
        stop = first.locator("#webcam").get_by_role("button", name="Stop")
        start_webcam(second)
        expect(second.locator("#webcam .tl-results")).to_contain_text(
            "Yours starts as soon as one is free"
        )
        stop.click()
        expect(winner(second, "teacher", "webcam")).to_have_text(
            seen, timeout=5_000
        )  # a silent place waits longer
        start_webcam(first)
        expect(second.locator("#webcam .tl-results")).to_contain_text(
            "The webcam stopped after 12 seconds"
        )
        assert track_states(second) == ["ended"]
        expect(winner(first, "teacher", "webcam")).to_have_text(seen)
        for disturb in (
            lambda route: route.abort(),
            lambda route: route.fulfill(status=502, body="<html>", content_type="text/html"),
        ):
            first.route("**/webcam/*", disturb)
            expect(first.locator("#webcam .tl-results")).to_contain_text("The server does not answer")
            expect(first.locator(".tl-rate")).to_have_text("–")
            first.unroute("**/webcam/*")
            expect(winner(first, "teacher", "webcam")).to_have_text(seen)


def test_only_the_chosen_networks_run(page: Page) -> None:
    page.get_by_role("tab", name="Webcam").click()
    page.get_by_label("baseline").uncheck()
    start_webcam(page)
    expect(page.locator("#webcam .tl-results .tl-verdict")).to_contain_text("Both networks say")
    expect(winner(page, "baseline", "webcam")).to_have_text("not running")
    page.get_by_label("teacher").uncheck()
    page.get_by_label("student").uncheck()
    expect(page.locator("#webcam .tl-results")).to_contain_text("Choose at least one network")
    expect(page.locator("[data-testid=toast-body]")).to_have_count(0)
    page.get_by_label("student").check()
    expect(page.locator("#webcam .tl-results .tl-verdict")).to_contain_text("The student says")


# The page as a whole


def test_no_request_leaves_the_loopback(chromium: Browser, url: str) -> None:
    with open_page(chromium, url) as (page, addresses):
        send(page, "box.jpg", encode(coloured_photo("cardboard")))
        expect(winner(page, "teacher")).to_have_text("cardboard")
        start_webcam(page)
        expect(winner(page, "teacher", "webcam")).to_have_text(re.compile("cardboard|plastic"))
    hosts = {
        urlparse(address).hostname for address in addresses if not address.startswith(("data:", "blob:"))
    }
    assert hosts == {"127.0.0.1"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(chromium: Browser, url: str, scheme: str) -> None:
    options = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme}
    with open_page(chromium, url, **options) as (page, _):
        send(page, "bottle.jpg", encode(coloured_photo("plastic")))
        expect(winner(page, "teacher")).to_have_text("plastic")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        boxes = [page.locator(f"#photo-results [data-role={role}]").bounding_box() for role in ROLES]
        assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
        page.get_by_role("tab", name="Webcam").click()
        expect(page.locator("#webcam .tl-results .tl-card")).to_have_count(3)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


# The Scoreboard tab


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_scoreboard_lists_the_networks_and_fits_a_phone(
    chromium: Browser, tmp_path: Path, scheme: str
) -> None:
    options = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme}
    with (
        serve(ROOT / "models", tmp_path / "errors.txt") as address,
        open_page(chromium, address, **options) as (page, _),
    ):
        page.get_by_role("tab", name="Scoreboard").click()  # it would not be there behind three dots
        board = page.locator("#scoreboard")
        expect(board.locator(".tl-verdict")).to_contain_text("photos that the networks never trained on")
        summary = board.get_by_role("table", name="Each network in numbers")
        for role in ROLES:
            expect(summary.get_by_role("columnheader", name=role)).to_be_visible()
        expect(summary.get_by_role("row", name="accuracy").first).to_contain_text("%")
        expect(board.get_by_role("img", name="Accuracy against the time")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        # A container that hides what sticks out would keep it from the page's width as well.
        sticks_out = (
            "(one) => one.getBoundingClientRect().right > 390 || one.scrollWidth > one.clientWidth + 1"
        )
        parts = "[...document.querySelectorAll('#scoreboard :is(table, td, th, h2, p, dd, .tl-panel)')]"
        assert page.evaluate(f"{parts}.length") > 200
        assert page.evaluate(f"{parts}.filter({sticks_out}).map((one) => one.outerHTML)") == []


# The API


def test_classify_answers_as_promised(url: str) -> None:
    event, data = call_classify(url, "bottle.jpg", encode(coloured_photo("plastic")))
    assert event == "complete"
    (answer,) = data
    assert set(answer) == {"decode_ms", "preprocess_ms", "results"}
    assert min(answer["decode_ms"], answer["preprocess_ms"]) > 0
    labels = {role: result["label"] for role, result in answer["results"].items()}
    assert labels == {"teacher": "plastic", "baseline": "glass", "student": "plastic"}
    for result in answer["results"].values():
        assert set(result) == {"label", "sure", "confidences", "infer_ms", "bundle"}
        assert result["sure"] is True
        assert set(result["confidences"]) == set(LABELS)
        assert sum(result["confidences"].values()) == pytest.approx(1)
        assert result["infer_ms"] > 0


@pytest.mark.parametrize("case", BAD)
def test_classify_says_what_is_wrong_and_answers_the_next_call(url: str, case: str) -> None:
    name, build, sentence = BAD[case]
    event, data = call_classify(url, name, build())
    assert event == "error"
    assert sentence in data["error"]
    assert call_classify(url, "good.jpg", encode(coloured_photo("metal")))[0] == "complete"


def test_the_api_refuses_a_file_over_the_limit_with_a_sentence(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        call_classify(url, "huge.jpg", bytes(129 * 2**20))
    with refusal.value as answer:
        assert answer.code == 413
        assert json.load(answer) == {
            "detail": "The upload has more than 128 MB. Send a smaller file, or fewer."
        }
    event, data = call_classify(url, "large.jpg", bytes(31 * 2**20))
    assert event == "error"
    assert data["error"] == "The file has 31.0 MB; the limit is 30 MB. Send a smaller copy of the photo."


def test_the_api_reads_no_file_of_the_server(url: str, tmp_path: Path) -> None:
    private = tmp_path / "private.jpg"
    private.write_bytes(encode(coloured_photo("metal")))
    for described in (
        True,
        False,
    ):  # Gradio checks a path only when it is described as a file of its own
        for path in (str(private), "/etc/passwd", "/nowhere.jpg", "/dev/zero"):
            event, data = call_with_path(url, path, described=described)
            assert event == "error"
            assert data["error"].startswith("No photo arrived. Upload it first")


@pytest.mark.parametrize("values", [[], ["photo.jpg"], [7], [{"url": "http://127.0.0.1:9/photo.jpg"}]])
def test_the_api_answers_a_malformed_request_with_a_sentence(url: str, values: list[object]) -> None:
    event, data = call_with_values(url, values)
    assert event == "error"
    assert data["error"].startswith("No photo arrived.")
    assert call_classify(url, "good.jpg", encode(coloured_photo("metal")))[0] == "complete"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("call/anything", b'{"data": []}', 404),
        ("call/classify", b"{", 422),
        ("call/classify", b"[]", 422),
        ("queue/join", b'{"data": [null], "fn_index": 999, "session_hash": "a"}', 400),
        ("queue/join", b'{"data": [null], "fn_index": -1, "session_hash": "a"}', 400),
        ("queue/join", b"{}", 422),
        ("cancel", b"{}", 422),
        ("upload", b"hello", 400),
    ],
)
def test_a_request_without_sense_is_refused_in_one_line(
    url: str, errors: Path, path: str, body: bytes, status: int
) -> None:
    before = errors.read_text()
    request = urllib.request.Request(
        f"{url}gradio_api/{path}", body, {"Content-Type": "application/json"}, method="POST"
    )
    with pytest.raises(urllib.error.HTTPError) as refusal, urllib.request.urlopen(request):
        pass
    refusal.value.close()
    assert refusal.value.code == status
    assert "Traceback" not in errors.read_text().removeprefix(before)


def test_an_upload_without_a_name_is_refused_and_what_is_not_there_is_not_found(
    url: str, errors: Path
) -> None:
    before = errors.read_text()
    with httpx.Client(base_url=url, trust_env=False) as client:
        content = b'--b\r\nContent-Disposition: form-data; name="files"\r\n\r\nhello\r\n--b--\r\n'
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        refusal = client.post("gradio_api/upload", content=content, headers=kind)
        assert (refusal.status_code, refusal.json()) == (400, {"detail": "The request is malformed."})
        assert "event: error" in client.get("gradio_api/call/classify/nosuch").text
        assert "session_not_found" in client.get("gradio_api/queue/data?session_hash=nosuch").text
        # A function that the page has, but in the browser alone.
        functions = client.get("config").json()["dependencies"]
        local, *_ = (one["id"] for one in functions if not one["backend_fn"])
        join = {"data": [None], "fn_index": local, "session_hash": "alone"}
        client.post("gradio_api/queue/join", json=join).raise_for_status()
        said = client.get("gradio_api/queue/data?session_hash=alone").text
        assert "There is no such function." in said
    assert "Traceback" not in errors.read_text().removeprefix(before)


def test_gradio_client_sees_classify_alone_and_can_call_it(url: str, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(encode(coloured_photo("metal")))
    client = Client(url, verbose=False, download_files=False)
    try:
        assert list(client.view_api(return_format="dict", print_info=False)["named_endpoints"]) == [
            "/classify"
        ]
        answer = client.predict(handle_file(photo), api_name="/classify")
    finally:
        client.close()
    assert {result["label"] for result in answer["results"].values()} == {"metal"}


def test_the_way_around_the_queue_is_closed(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        call_with_values(url, [], way="run")
    with refusal.value as answer:
        assert 400 <= answer.code < 500


# Starting


def run_app(models: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=app_environment(models),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_missing_bundle_ends_in_a_sentence(tmp_path: Path) -> None:
    done = run_app(tmp_path)
    assert done.returncode == 2
    *each, last = done.stderr.splitlines()
    assert [line.split(" does not serve: ")[0] for line in each] == [f"The {role}" for role in ROLES]
    assert re.fullmatch(r"The bundle \S+teacher has no readable bundle.json\. .*", last)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        (
            {"GRADIO_SERVER_PORT": "abc"},
            "error: --port, or TRASHLENS_PORT or GRADIO_SERVER_PORT: Expected a int. Got value: abc",
        ),
        ({"GRADIO_SERVER_PORT": "0"}, "error: port is 0; it must be positive."),
        ({"TRASHLENS_PORT": "99999"}, "error: port is 99999; the largest is 65535."),
        (
            {"TRASHLENS_HOST": "no.such.host.invalid"},
            "'no.such.host.invalid' is no address of this machine.",
        ),
        ({"TRASHLENS_HOST": "192.0.2.1"}, "The page cannot be served at 192.0.2.1, port "),
    ],
)
def test_what_is_no_address_ends_in_a_sentence(
    models: Path, monkeypatch: pytest.MonkeyPatch, address: dict[str, str], sentence: str
) -> None:
    for name, value in address.items():
        monkeypatch.setenv(name, value)
    done = run_app(models)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(sentence)
    assert "Traceback" not in done.stderr


def test_where_somebody_listens_already_it_does_not_move_elsewhere(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("TRASHLENS_PORT", str(port))
        done = run_app(models)
    assert done.returncode == 2
    assert done.stderr == (
        f"The page cannot be served at 127.0.0.1, port {port}: Address already in use. "
        "Give another --host or --port.\n"
    )


def test_a_proxy_for_the_world_is_none_for_this_machine(models: Path, tmp_path: Path) -> None:
    proxies = {f"{scheme}_PROXY": "http://127.0.0.1:9" for scheme in ("HTTP", "HTTPS", "ALL")}
    with serve(models, tmp_path / "errors.txt", NO_PROXY="example.com", **proxies) as url:
        assert call_classify(url, "good.jpg", encode(coloured_photo("metal")))[0] == "complete"


def test_where_it_cannot_compute_ends_in_a_sentence(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRASHLENS_PROVIDER", "abacus")
    done = run_app(models)
    assert done.returncode == 2
    assert done.stderr.startswith("The installed ONNX Runtime does not compute on abacus, but on ")
    assert done.stderr.count("\n") == 1


def test_with_a_damaged_bundle_the_other_two_serve(
    models: Path, chromium: Browser, tmp_path: Path
) -> None:
    shutil.copytree(models, tmp_path / "models")
    with (tmp_path / "models" / "teacher" / "model.onnx").open("ab") as file:
        file.write(b"!")
    with serve(tmp_path / "models", tmp_path / "errors.txt") as url:
        with open_page(chromium, url) as (page, _):
            send(page, "bottle.jpg", encode(coloured_photo("plastic")))
            expect(winner(page, "student")).to_have_text("plastic")
            expect(winner(page, "baseline")).to_have_text("glass")
            card = page.locator("#photo-results [data-role=teacher]")
            expect(card).to_contain_text("unavailable")
            expect(card).to_contain_text("The SHA-256 of teacher/model.onnx differs")
            expect(card).not_to_contain_text(str(tmp_path))
            page.get_by_role("tab", name="Webcam").click()
            expect(page.locator("#webcam .tl-networks label")).to_have_text(["baseline", "student"])
        _, (answer,) = call_classify(url, "box.jpg", encode(coloured_photo("cardboard")))
        assert list(answer["results"]) == ["baseline", "student"]
        with urllib.request.urlopen(f"{url}health") as health:
            assert json.load(health) == {
                "status": "degraded",
                "roles": {"teacher": "unavailable", "baseline": "ready", "student": "ready"},
                "reasons": {
                    "teacher": "The SHA-256 of teacher/model.onnx differs from the one in bundle.json."
                },
            }
    assert (
        f"The teacher does not serve: The SHA-256 of {tmp_path}" in (tmp_path / "errors.txt").read_text()
    )


# Limits, and what a stranger can fetch


def test_health_is_a_word(url: str) -> None:
    with urllib.request.urlopen(f"{url}health") as health:
        assert json.load(health)["status"] == "ok"
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"{url}metrics")
    with refusal.value as answer:
        assert answer.code == 404


def test_a_full_queue_says_so_and_recovers(models: Path, tmp_path: Path) -> None:
    slow = encode(Image.new("RGB", (5000, 5000)), "PNG", compress_level=1)
    limits = {"TRASHLENS_WAITING": "1", "TRASHLENS_AT_ONCE": "1"}

    def call(_: int) -> str:
        try:
            return call_with_path(url, path)[0]
        except urllib.error.HTTPError as refusal:
            with refusal as answer:
                assert answer.code == 503
                return str(json.load(answer)["detail"])

    with serve(models, tmp_path / "errors.txt", **limits) as url, ThreadPoolExecutor(8) as clients:
        path = upload(url, "slow.png", slow)
        answers = Counter(clients.map(call, range(8)))
        assert set(answers) == {"complete", "The server is busy. Try again in a moment."}
        assert call(0) == "complete"


def test_an_upload_is_read_back_by_its_address_alone_and_soon_deleted(
    models: Path, tmp_path: Path
) -> None:
    with serve(models, tmp_path / "errors.txt", TRASHLENS_KEEP_S="2") as url:
        photo = encode(coloured_photo("glass"))
        path = upload(url, "mine.jpg", photo)
        with urllib.request.urlopen(f"{url}gradio_api/file={path}") as answer:
            assert answer.read() == photo
        assert re.fullmatch(r"[0-9a-f]{64}", Path(path).parent.name)
        assert call_with_path(url, path)[0] == "complete"  # which makes Gradio keep a copy
        for guess in (Path(path).parent, Path(path).parents[1], Path(path).with_name("other.jpg")):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(f"{url}gradio_api/file={guess}")
        deadline = time.monotonic() + 20
        while any(Path(path).parents[1].iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        event, data = call_with_path(url, path)
        assert event == "error"
        assert data["error"].startswith("No photo arrived.")


def test_a_server_that_is_stopped_or_killed_leaves_no_photo(models: Path, tmp_path: Path) -> None:
    temporary = {"TMPDIR": str(tmp_path)}
    with serve(models, tmp_path / "errors.txt", **temporary) as url:
        stopped = Path(upload(url, "mine.jpg", encode(coloured_photo("glass"))))
    assert not stopped.exists()
    with serve(models, tmp_path / "errors.txt", stop=signal.SIGKILL, **temporary) as url:
        killed = Path(upload(url, "mine.jpg", encode(coloured_photo("glass"))))
    assert killed.exists()
    with serve(models, tmp_path / "errors.txt", **temporary) as url:
        assert not killed.exists()
        assert call_classify(url, "good.jpg", encode(coloured_photo("metal")))[0] == "complete"


def test_the_log_has_a_line_for_each_photo_and_none_of_its_names(models: Path, tmp_path: Path) -> None:
    log = tmp_path / "errors.txt"
    with serve(models, log) as url:
        call_classify(url, "anna.jpg", encode(coloured_photo("glass")))
        call_classify(url, "berta.jpg", b"text")
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert [line["verdict"] for line in lines] == ["answered", "refused"]
    assert "anna" not in log.read_text()
    assert "berta" not in log.read_text()


def test_importing_the_page_loads_no_training_package_and_writes_nothing() -> None:
    folder = ROOT / "src" / "trashlens" / "ui"
    before = {path.name for path in folder.iterdir()} - {"__pycache__"}
    script = "import sys, trashlens.ui.page; print(*(set(sys.modules) & {'torch', 'datasets', 'wandb'}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == ""
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == before
