"""What the networks looked at: maps of a synthetic network with a known quadrant, in the page and in the API."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import TIMEOUT_MS, call_with_values, launch_chromium, open_page, serve, upload
from conftest import LABELS, encode, toy_bundle, toy_model
from gradio_client import Client, handle_file
from onnx import TensorProto, checker, helper, numpy_helper
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from trashlens.bundle import ROLES
from trashlens.classifier import load_classifiers
from trashlens.comparison import compare
from trashlens.image import Preprocess
from trashlens.lineup import load_lineup
from trashlens.ui.heat import render_heat
from trashlens.ui.words import ENGLISH, load_words

WORDS = load_words()[ENGLISH]
ABSENT, QUESTION = WORDS["heat.absent"], WORDS["heat.question"]

GREEN, GREY = (40, 230, 60), (120, 120, 120)


def green_finder() -> bytes:
    """Return a graph with maps that finds glass where the picture is green, and otherwise nothing.

    Its one feature is `relu(2 G - R - B)` over squares of four pixels.
    """
    weight = np.zeros((len(LABELS), 1, 1, 1), np.float32)
    weight[LABELS.index("glass")] = 20
    constants = {
        "filter": np.array([-1, 2, -1], np.float32).reshape(1, 3, 1, 1),
        "weight": weight,
        "shape": np.array([0, len(LABELS)]),
    }
    nodes = [
        helper.make_node("Conv", ["images", "filter"], ["green"]),
        helper.make_node("Relu", ["green"], ["found"]),
        helper.make_node("AveragePool", ["found"], ["features"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["features", "weight"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["column"]),
        helper.make_node("Reshape", ["column", "shape"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "green",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(LABELS)]),
            helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["batch", len(LABELS), 8, 8]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def green_corner(
    size: tuple[int, int] = (320, 240), *, right: bool = True, low: bool = False
) -> Image.Image:
    """Return a grey picture with green in one quadrant of its middle square."""
    picture = Image.new("RGB", size, GREY)
    half = min(size) // 2
    left, top = (size[0] - 2 * half) // 2 + half * right, (size[1] - 2 * half) // 2 + half * low
    picture.paste(GREEN, (left, top, left + half, top + half))
    return picture


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The teacher sees all of the square, the student its middle, and the baseline has no maps."""
    folder = tmp_path_factory.mktemp("models")
    for role in ROLES:
        model = toy_model({**dict.fromkeys(LABELS, (0, 0, 0)), "glass": GREEN})
        toy_bundle(role, model if role == "baseline" else green_finder()).write(folder / role)
    student = toy_bundle("student", green_finder())
    middle = Preprocess(size_px=32, crop_share=0.5, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    dataclasses.replace(student, preprocess=middle, temperature=2.0).write(folder / "student")
    return folder


# The classifiers


@pytest.mark.parametrize("low", [False, True])
@pytest.mark.parametrize("right", [False, True])
def test_a_map_is_warm_in_the_quadrant_of_the_evidence(models: Path, right: bool, low: bool) -> None:
    comparison = compare(load_classifiers(models), green_corner(right=right, low=low), explain=True)
    for role in ("teacher", "student"):
        prediction = comparison.predictions[role]
        assert prediction.label == "glass"
        values = np.array(prediction.map)
        assert values.shape == (8, 8)
        rows, columns = slice(4, 8) if low else slice(0, 4), slice(4, 8) if right else slice(0, 4)
        # Resizing spreads an edge over its neighbours only.
        inside = values[rows, columns].sum()
        assert inside > 0.9 * values.sum() > 0


def test_the_mean_of_a_map_is_the_logit_that_gives_the_confidence(models: Path) -> None:
    comparison = compare(load_classifiers(models), green_corner(), explain=True)
    for role in ("teacher", "student"):
        prediction = comparison.predictions[role]
        logit = np.mean(prediction.map)
        # All other logits are 0.
        assert prediction.confidence == pytest.approx(np.exp(logit) / (np.exp(logit) + 5), abs=1e-3)
        assert 0.5 < prediction.confidence < 0.999


def test_only_who_asks_gets_maps_and_the_answers_are_the_same(models: Path) -> None:
    classifiers = load_classifiers(models)
    plain = compare(classifiers, green_corner())
    explained = compare(classifiers, green_corner(), explain=True)
    assert all("map" not in result for result in plain.to_json()["results"].values())
    results = explained.to_json()["results"]
    assert {role: result["map"] is None for role, result in results.items()} == {
        "teacher": False,
        "baseline": True,
        "student": False,
    }
    for role, prediction in plain.predictions.items():
        assert prediction.confidences == explained.predictions[role].confidences
        assert prediction.map is None


# What the page is sent


def test_the_panel_has_a_figure_for_each_network_and_a_sentence_for_one_without(models: Path) -> None:
    lineup = load_lineup(models)
    comparison = compare(load_classifiers(models), green_corner(), explain=True)
    html = render_heat(lineup, comparison, "/uploads/0a1b/ph<o>to.jpg", WORDS)
    assert html.count("<figure") == 3
    assert html.count("<canvas") == 2
    assert html.count(ABSENT) == 1
    assert 'data-photo="0a1b"' in html
    assert "/uploads" not in html
    assert "ph<" not in html
    assert len(html) < 4000


def test_without_any_map_there_is_no_panel(toy_models: Path) -> None:
    comparison = compare(load_classifiers(toy_models), green_corner(), explain=True)
    assert render_heat(load_lineup(toy_models), comparison, "/uploads/0a1b/photo.jpg", WORDS) == ""


def test_who_is_not_sure_is_quoted_as_guessing(tmp_path: Path) -> None:
    for role in ROLES:
        doubting = dataclasses.replace(toy_bundle(role, green_finder()), threshold=1.0)
        doubting.write(tmp_path / role)
    comparison = compare(load_classifiers(tmp_path), green_corner(), explain=True)
    assert not any(prediction.sure for prediction in comparison.predictions.values())
    assert render_heat(load_lineup(tmp_path), comparison, "", WORDS).count("most like glass") == 3


# A real server


@pytest.fixture(scope="module")
def url(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(models, tmp_path_factory.mktemp("server") / "errors.txt") as address:
        yield address


def as_file(path: str) -> dict[str, object]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def test_the_api_explains_when_asked_and_takes_calls_without(url: str) -> None:
    photo = as_file(upload(url, "bottle.png", encode(green_corner(), "PNG")))
    for values, asked in (
        ([photo], False),
        ([photo, False], False),
        ([photo, None], False),
        ([photo, True], True),
    ):
        event, (answer,) = call_with_values(url, values)
        assert event == "complete"
        assert {"map" in result for result in answer["results"].values()} == {asked}
    maps = {role: result["map"] for role, result in answer["results"].items()}
    assert maps["baseline"] is None
    row, column = np.unravel_index(np.argmax(maps["teacher"]), (8, 8))
    assert (row < 4, column >= 4) == (True, True)


def test_gradios_client_explains_by_name_and_need_not(url: str, tmp_path: Path) -> None:
    path = tmp_path / "bottle.png"
    green_corner().save(path)
    client = Client(url, verbose=False, download_files=False)
    try:
        plain = client.predict(handle_file(path), api_name="/classify")
        asked = client.predict(handle_file(path), explain=True, api_name="/classify")
    finally:
        client.close()
    assert "map" not in plain["results"]["teacher"]
    assert np.shape(asked["results"]["teacher"]["map"]) == (8, 8)


# A real browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launch_chromium(encode(Image.new("RGB", (640, 480), GREY)) * 10) as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, url: str) -> Iterator[Page]:
    with open_page(chromium, url, viewport={"width": 390, "height": 844}) as (opened, _):
        errors: list[str] = []
        opened.on("pageerror", lambda error: errors.append(str(error)))
        yield opened
        assert errors == []


def send(page: Page, name: str, content: bytes) -> Locator:
    """Choose a photo, and return the panel that its answer comes with."""
    page.locator("#photo input[type=file]").set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": content}
    )
    panel = page.locator("#photo-details details.tl-heat")
    expect(panel).to_be_visible(timeout=TIMEOUT_MS)
    return panel


def open_by_keyboard(page: Page, panel: Locator) -> None:
    panel.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(panel.locator("canvas").first).to_be_visible()
    page.wait_for_function("() => document.querySelector('.tl-heat canvas').width !== 300")


PIXEL = """(canvas, [x, y]) => [...canvas.getContext("2d").getImageData(
    Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data].slice(0, 3)"""
"""The colour at a place, by its shares of width and height."""


def warmth(canvas: Locator, x: float, y: float) -> int:
    red, _, blue = canvas.evaluate(PIXEL, [x, y])
    return red - blue


def test_the_panel_draws_each_map_over_the_photo_where_the_evidence_is(page: Page) -> None:
    panel = send(page, "bottle.png", encode(green_corner(), "PNG"))
    expect(panel.locator("summary")).to_have_text(QUESTION)
    expect(panel.locator("canvas").first).to_be_hidden()
    open_by_keyboard(page, panel)
    expect(panel.locator("figure")).to_have_count(3)
    expect(panel.locator("canvas")).to_have_count(2)
    expect(panel.locator("figure[data-role=baseline]")).to_contain_text(ABSENT)
    teacher = panel.get_by_role("img", name="Heat map of the teacher for glass")
    assert teacher.evaluate("canvas => canvas.width / canvas.height") == pytest.approx(4 / 3, abs=0.01)
    # The square is the middle 3/4 of the width; green is its upper right quadrant.
    assert warmth(teacher, 0.69, 0.25) > 60
    for x, y in ((0.31, 0.25), (0.31, 0.75), (0.69, 0.75), (0.06, 0.5), (0.94, 0.25)):
        assert warmth(teacher, x, y) == pytest.approx(0, abs=4)
    # What the network does not see is darker than what says nothing.
    assert sum(teacher.evaluate(PIXEL, [0.06, 0.5])) < 0.7 * sum(teacher.evaluate(PIXEL, [0.31, 0.75]))
    # The student sees the middle half of that square.
    student = panel.get_by_role("img", name="Heat map of the student for glass")
    assert warmth(student, 0.6, 0.37) > 60
    assert warmth(student, 0.8, 0.1) == pytest.approx(0, abs=4)
    sticks_out = "(panel) => panel.scrollWidth > panel.clientWidth"
    assert not panel.evaluate(sticks_out)


def test_it_stays_open_for_the_next_photo_and_shows_that_one(page: Page) -> None:
    open_by_keyboard(page, send(page, "first.png", encode(green_corner(), "PNG")))
    page.get_by_role("button", name="Clear").or_(page.get_by_label("Remove Image")).first.click()
    expect(page.locator("details.tl-heat")).to_have_count(0)
    panel = send(page, "second.png", encode(green_corner((240, 320), right=False, low=True), "PNG"))
    teacher = panel.get_by_role("img", name="Heat map of the teacher for glass")
    expect(teacher).to_be_visible()
    page.wait_for_function("() => document.querySelector('.tl-heat canvas').height > 500")
    assert warmth(teacher, 0.25, 0.69) > 60
    assert warmth(teacher, 0.75, 0.31) == pytest.approx(0, abs=4)


@pytest.mark.parametrize("wide", [True, False])
def test_of_a_very_long_photo_the_middle_is_drawn(page: Page, wide: bool) -> None:
    size = (1500, 200) if wide else (200, 1500)
    panel = send(page, "long.png", encode(green_corner(size), "PNG"))
    open_by_keyboard(page, panel)
    teacher = panel.get_by_role("img", name="Heat map of the teacher for glass")
    shape = teacher.evaluate("canvas => [canvas.width, canvas.height]")
    assert max(shape) / min(shape) == pytest.approx(1.5, abs=0.01)
    places = {(0.65, 0.25): True, (0.35, 0.25): False, (0.35, 0.75): False, (0.95, 0.25): False}
    for (x, y), warm in places.items():
        # Upright, the square is the middle of the height.
        place = (x, y) if wide else (0.5 + 1.5 * (x - 0.5), 0.5 + (y - 0.5) / 1.5)
        if 0 < place[0] < 1:
            assert (warmth(teacher, *place) > 60) == warm, place


def test_a_photo_that_the_browser_cannot_show_is_shown_as_the_servers_copy(page: Page) -> None:
    panel = send(page, "scan.tiff", encode(green_corner((1600, 1200)), "TIFF"))
    photo = page.locator("#photo img")
    expect(photo).to_have_attribute("src", re.compile("^data:image/jpeg"))
    assert photo.evaluate("photo => [photo.naturalWidth, photo.naturalHeight]") == [640, 480]
    open_by_keyboard(page, panel)
    teacher = panel.get_by_role("img", name="Heat map of the teacher for glass")
    assert teacher.evaluate("canvas => canvas.width / canvas.height") == pytest.approx(4 / 3, abs=0.01)
    assert warmth(teacher, 0.69, 0.25) > 60
    assert warmth(teacher, 0.31, 0.75) == pytest.approx(0, abs=4)
    page.get_by_label("Remove Image").click()
    send(page, "bottle.png", encode(green_corner(), "PNG"))
    expect(photo).to_have_attribute("src", re.compile("bottle.png$"))
    expect(page.locator("template.tl-copy")).to_have_count(0)


def test_what_cannot_be_read_is_shown_by_its_name(page: Page) -> None:
    file = {"name": "<b>& notes.png", "mimeType": "image/png", "buffer": b"no image"}
    page.locator("#photo input[type=file]").set_input_files(file)
    photo = page.locator("#photo img")
    expect(photo).to_have_attribute("src", re.compile("^data:image/svg"), timeout=TIMEOUT_MS)
    assert "notes.png</text>" in unquote(photo.get_attribute("src") or "")
    page.wait_for_function("document.querySelector('#photo img').naturalWidth === 320")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(chromium: Browser, url: str, scheme: str) -> None:
    with open_page(chromium, url, color_scheme=scheme) as (page, _):
        open_by_keyboard(page, send(page, "bottle.png", encode(green_corner(), "PNG")))
        assert Axe().run(page, context="#photo-details").response["violations"] == []


def test_the_numbers_of_the_page_are_those_of_the_api(page: Page, url: str) -> None:
    content = encode(green_corner(), "PNG")
    panel = send(page, "bottle.png", content)
    _, (answer,) = call_with_values(url, [as_file(upload(url, "bottle.png", content)), True])
    for role in ("teacher", "student"):
        shown = json.loads(panel.locator(f"[data-role={role}] canvas").get_attribute("data-map") or "")
        assert np.abs(np.array(shown) - answer["results"][role]["map"]).max() < 0.01
