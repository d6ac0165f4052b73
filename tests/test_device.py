"""The On-device tab in a real browser: the answers of the server without the server."""

import gzip
import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from browser import ROOT, TIMEOUT_MS, call_classify, launch_chromium, open_page, serve
from conftest import coloured_photo, encode, toy_bundle, toy_model
from PIL import Image
from playwright.sync_api import Browser, Page, Request, expect
from starlette.applications import Starlette
from starlette.testclient import TestClient

from trashlens.benchmark.photos import draw_scene
from trashlens.lineup import load_lineup
from trashlens.server.desk import Desk
from trashlens.server.settings import Settings
from trashlens.ui.device import device_routes

RUNTIME = ROOT / "src" / "trashlens" / "ui" / "runtime"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(ROOT / "models", tmp_path_factory.mktemp("server") / "errors.txt") as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launch_chromium(
        b"".join(encode(draw_scene(640, 480, seed=seed)) for seed in range(8))
    ) as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser, url: str) -> Iterator[Page]:
    with open_page(chromium, url) as (opened, _):
        opened.get_by_role("tab", name="On device").click()
        yield opened


def choose(page: Page, content: bytes) -> None:
    file = {"name": "photo", "mimeType": "image/jpeg", "buffer": content}
    page.locator("#device input[type=file]").set_input_files(file)


def read_shares(page: Page) -> list[float]:
    """Return the classes' probabilities, as far as the bars tell: to a thousandth."""
    expect(page.locator("#device .tl-speed b")).to_have_text(re.compile(r"\d ms"), timeout=TIMEOUT_MS)
    widths = page.locator("#device .tl-bars i > i").evaluate_all(
        "(bars) => bars.map((bar) => bar.style.width)"
    )
    return [float(width.removesuffix("%")) / 100 for width in widths]


def draw_photos() -> list[bytes]:
    """Return 24 photos of many sizes, formats and orientations."""
    sizes = [(640, 480), (480, 640), (208, 208), (150, 90), (1001, 667), (512, 384)]
    photos = []
    for seed, (size, kind) in enumerate(zip(cycle(sizes), cycle(("JPEG", "PNG", "WEBP", "JPEG")))):
        if seed == 24:
            break
        image = draw_scene(*size, seed=seed)
        options: dict[str, object] = {"quality": 92} if kind == "JPEG" else {}
        if kind == "WEBP":
            options = {"lossless": True}
        if seed % 8 == 3:
            exif = Image.Exif()
            exif[0x0112] = seed % 7 + 2  # orientation
            options["exif"] = exif
        if seed % 8 == 1:
            image.putalpha(Image.linear_gradient("L").resize(image.size))
        photos.append(encode(image, kind, **options))
    return photos


def test_it_answers_as_the_server_does(page: Page, url: str) -> None:
    labels = json.loads((ROOT / "models" / "student" / "bundle.json").read_text())["labels"]
    differences, winners = [], set()
    for photo in draw_photos():
        _, (answer,) = call_classify(url, "photo", photo)
        expected = [answer["results"]["student"]["confidences"][label] for label in labels]
        choose(page, photo)
        shares = read_shares(page)
        assert np.argmax(shares) == np.argmax(expected)
        differences.append(np.abs(np.subtract(shares, expected)).max())
        winners.add(answer["results"]["student"]["label"])
    assert max(differences) <= 0.01
    assert len(differences) == 24
    assert len(winners) >= 2  # else anything would agree


def test_no_request_has_a_picture(chromium: Browser, url: str) -> None:
    requests: list[Request] = []
    with open_page(chromium, url) as (page, addresses):
        page.on("request", lambda request: requests.append(request))
        page.get_by_role("tab", name="On device").click()
        choose(page, draw_photos()[0])
        read_shares(page)
        page.locator("#device .tl-start").click()
        expect(page.locator("#device .tl-rate")).to_have_text(re.compile(r"^\d+$"), timeout=TIMEOUT_MS)
        page.wait_for_timeout(1000)
    assert any("/device/" in address for address in addresses)
    assert all("/webcam" not in address and "/upload" not in address for address in addresses)
    assert all(len(request.post_data_buffer or b"") < 2000 for request in requests)


def test_it_pauses_while_nobody_sees_the_page(page: Page) -> None:
    page.locator("#device .tl-start").click()
    latency = page.locator("#device .tl-latency")
    expect(latency).to_have_text(re.compile(r"^\d+ ms$"), timeout=TIMEOUT_MS)
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.wait_for_timeout(500)
    before = latency.get_attribute("data-taken")
    page.wait_for_timeout(1000)
    assert latency.get_attribute("data-taken") == before
    page.evaluate("delete document.hidden")
    expect(latency).not_to_have_attribute("data-taken", before or "")


def test_what_is_no_photo_ends_in_a_sentence_and_the_next_one_is_seen(page: Page) -> None:
    choose(page, b"text")
    expect(page.locator("#device [role=alert]")).to_have_text(re.compile("Choose a photo as JPEG"))
    choose(page, encode(coloured_photo("cardboard")))
    assert sum(read_shares(page)) == pytest.approx(1, abs=0.01)


def test_files_are_kept_by_version_and_nothing_else_is_there(page: Page, url: str) -> None:
    folder = json.loads(page.locator("#device .tl-setup").get_attribute("value") or "")["folder"]
    request = urllib.request.Request(f"{url}{folder}/ort-wasm-simd-threaded.mjs")
    with urllib.request.urlopen(request) as answer:
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"].startswith("text/javascript")
        assert gzip.decompress(answer.read())
    with urllib.request.urlopen(f"{url}{folder}/student.onnx") as answer:
        assert answer.read() == (ROOT / "models" / "student" / "model.onnx").read_bytes()
    for address in (f"{folder}/package.json", f"{folder}/..%2f..%2fpage.py", "device/0/worker.js"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{url}{address}")


def test_the_runtime_is_the_one_that_is_pinned() -> None:
    pinned = json.loads((RUNTIME / "package.json").read_text())
    version = pinned["dependencies"]["onnxruntime-web"]
    named = re.findall(r"(ort[\w.-]+(?:mjs|wasm))\b", pinned["scripts"]["vendor"])
    assert {path.stem for path in RUNTIME.glob("*.gz")} == set(named)
    for path in RUNTIME.glob("ort.*.gz"):
        assert f"ONNX Runtime Web v{version}".encode() in gzip.decompress(path.read_bytes())


def test_without_the_student_the_tab_says_so(
    toy_models: Path, chromium: Browser, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    for role in ("teacher", "baseline"):
        (models / role).mkdir(parents=True)
        for path in (toy_models / role).iterdir():
            (models / role / path.name).write_bytes(path.read_bytes())
    with serve(models, tmp_path / "errors.txt") as url, open_page(chromium, url) as (page, _):
        page.get_by_role("tab", name="On device").click()
        expect(page.locator("#device .tl-results")).to_contain_text("unavailable")
        expect(page.locator("#device .tl-start")).to_be_disabled()


def test_a_network_that_was_replaced_is_not_given_for_the_one_the_page_knows(
    toy_models: Path, tmp_path: Path
) -> None:
    models = Path(shutil.copytree(toy_models, tmp_path / "models"))
    desk = Desk(load_lineup(models), Settings(models=models))
    (route,) = device_routes(desk)
    client = TestClient(Starlette(routes=[route]))
    address = route.path.format(name="student.onnx")
    assert client.get(address).content == (models / "student" / "model.onnx").read_bytes()
    toy_bundle("student", toy_model(sharpness=20.0)).write(models / "student")
    assert client.get(address).status_code == 404
