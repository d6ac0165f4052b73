"""A local server for photos like TACO's, drawn to the excerpt of its annotations, that fails as it is told to."""

import hashlib
import io
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from conftest import COLOURS
from PIL import Image, ImageDraw

from trashlens.training.data.taco.classes import map_categories

EXCERPT = Path(__file__).with_name("taco_excerpt.json")
ORIENTATION = 0x0112
GROUND = (128, 118, 108)


def read_excerpt() -> dict[str, Any]:
    """Return the excerpt of TACO's annotations: 22 photos with 47 boxes of the three splits."""
    return json.loads(EXCERPT.read_text(encoding="utf-8"))


def draw_photo(annotations: dict[str, Any], image: dict[str, Any], *, side_px: int = 0) -> bytes:
    """Return a photo in its real size, each box in its class's colour; every third lies turned, as phones store.

    With `side_px` it is a copy whose longer side is as long.
    """
    names = {entry["id"]: entry["name"] for entry in annotations["categories"]}
    classes = map_categories("trashnet", list(names.values()), fetch_map=lambda _: b"")
    photo = Image.new("RGB", (image["width"], image["height"]), GROUND)
    pen = ImageDraw.Draw(photo)
    for entry in annotations["annotations"]:
        if entry["image_id"] == image["id"]:
            left, top, width, height = entry["bbox"]
            label = classes.get(names[entry["category_id"]], "metal")
            pen.rectangle((left, top, left + width, top + height), COLOURS[label])
    exif = Image.Exif()
    if side_px:
        photo.thumbnail((side_px, side_px))
    elif image["id"] % 3 == 0:
        photo, exif[ORIENTATION] = photo.transpose(Image.Transpose.ROTATE_90), 6
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=80, exif=exif)
    return buffer.getvalue()


class TacoServer:
    """Serves `files` by path; each request for a path takes the first of its `faults`, if one is left.

    A fault is a status such as `503` (with 429, to come back in 7 seconds), `cut` (half of the body, then the line
    is dead), `unmeasured` (the same, of a body whose length is not told), `whole` (the range asked for is
    ignored), `deaf` (the range is given whatever `If-Range` says), `page` (200 with a page of HTML) or `new` (from
    now on the file is that of `<path>.new`), after which another may follow: `new cut`. Who asks for a path of
    `moved` is led to another one. With `weak` tags, only a date, if there is one, tells a version for sure.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.weak = False
        self.date = ""
        self.requests: list[tuple[str, str | None]] = []
        self.conditions: list[str | None] = []
        self.address = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        asked = handler.headers.get("Range")
        condition = handler.headers.get("If-Range")
        self.requests.append((handler.path, asked))
        self.conditions.append(condition)
        fault = self.faults[handler.path].pop(0) if self.faults[handler.path] else ""
        if handler.path in self.moved:
            send_nothing(handler, 302, Location=self.moved[handler.path])
            return
        if handler.path not in self.files or fault.isdigit():
            later = {"Retry-After": "7"} if fault == "429" else {}
            send_nothing(handler, int(fault or 404), **later)
            return
        if fault.startswith("new"):
            self.files[handler.path] = self.files[f"{handler.path}.new"]
            fault = fault.removeprefix("new").strip()
        body = b"<html>gone</html>" if fault == "page" else self.files[handler.path]
        tag = f'{"W/" if self.weak else ""}"{hashlib.sha256(body).hexdigest()}"'
        strong = self.date if self.weak else tag
        same = condition in (None, strong) or fault == "deaf"
        start = (
            int(asked[len("bytes=") : -1]) if asked and same and fault not in ("whole", "page") else 0
        )
        if start >= len(body):
            send_nothing(handler, 416)
            return
        handler.send_response(206 if start else 200)
        handler.send_header("ETag", tag)
        if self.date:
            handler.send_header("Last-Modified", self.date)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if fault != "unmeasured":
            handler.send_header("Content-Length", str(len(body) - start))
        handler.end_headers()
        rest = body[start:]
        handler.wfile.write(rest[: len(rest) // 2] if fault in ("cut", "unmeasured") else rest)
        handler.close_connection = True


def send_nothing(handler: BaseHTTPRequestHandler, status: int, **headers: str) -> None:
    """Answer with a status, headers and no body."""
    handler.send_response(status)
    for name, value in {**headers, "Content-Length": "0"}.items():
        handler.send_header(name, value)
    handler.end_headers()


@contextmanager
def serve_taco() -> Iterator[TacoServer]:
    """Run the server for the length of the block."""
    server = TacoServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        server.address = f"http://127.0.0.1:{http.server_port}"
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
