"""Example pictures for visitors who have no photo at hand: buttons in a tab, and the files behind them."""

from base64 import b64encode
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from html import escape
from pathlib import Path
from urllib.parse import quote

import gradio as gr
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from trashlens.errors import ImageError, first_line
from trashlens.image import decode_image, encode_thumbnail, list_photos
from trashlens.server.desk import Desk
from trashlens.server.refusals import refuse
from trashlens.ui.words import Parts, Words

__all__ = ["MOST", "build_photo_examples", "examples_routes", "is_example", "render_examples"]

MOST = 12
"""Examples that are shown; further photos of a folder are not."""
DRAWINGS = Path(__file__).with_name("examples")
"""One drawing a class; `tests/draw_examples.py` makes them."""
SCRIPTS = [Path(__file__).with_name(name) for name in ("examples.js", "photo_examples.js")]


@dataclass(frozen=True, kw_only=True)
class _Example:
    path: Path
    address: str
    """Below the page's."""
    thumbnail: bytes
    """A JPEG."""
    sha256: str
    """Of the file, hexadecimal."""


def build_photo_examples(desk: Desk, parts: Parts) -> None:
    """Lay out the examples of the Photo tab inside the current Blocks.

    Raises:
        ImageError: as `render_examples` does.
    """
    gr.HTML(
        parts.add("photo-examples", partial(render_examples, desk)),
        js_on_load="\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS),
        elem_id="photo-examples",
        apply_default_css=False,
    )


def render_examples(desk: Desk, words: Words) -> str:
    """Return a button for each example with its picture and name; nothing where there are none.

    Raises:
        ImageError: the folder of the settings, or a photo in it, cannot be read.
    """
    drawn = desk.settings.examples is None
    sentence = words["examples.drawing" if drawn else "examples.example"]
    buttons = "".join(
        f'<button type="button" data-address="{escape(one.address)}" data-name="{escape(one.path.name)}">'
        f'<img src="data:image/jpeg;base64,{b64encode(one.thumbnail).decode()}" '
        f'alt="{escape(sentence.format(name=words.find("class", one.path.stem)))}">'
        f'<span aria-hidden="true">{escape(words.find("class", one.path.stem))}</span></button>'
        for one in _load(desk.settings.examples or DRAWINGS)
    )
    offer = words["examples.drawn" if drawn else "examples.offered"]
    said = f'<p data-failed="{words["examples.failed"]}" role="status">{offer}</p>'
    return f'<div class="tl-examples">{said}<div>{buttons}</div></div>' if buttons else ""


def examples_routes(desk: Desk) -> list[Route]:
    """Return the route of the pictures; a changed one has another address, so that browsers may keep them.

    Raises:
        ImageError: as `render_examples` does.
    """
    # Only what is listed here has an address, whatever a request names.
    files = {one.address: one.path for one in _load(desk.settings.examples or DRAWINGS)}

    async def give(request: Request) -> Response:
        address = quote("examples/{version}/{name}".format(**request.path_params))
        if address not in files:
            return refuse(404, "Not found.")
        return FileResponse(
            files[address], headers={"Cache-Control": "public, max-age=31536000, immutable"}
        )

    return [Route("/examples/{version}/{name}", give)]


def is_example(desk: Desk, source: str) -> bool:
    """Return whether the upload at `source` is one of the page's own examples, whatever its name."""
    path, examples = Path(source), _load(desk.settings.examples or DRAWINGS)
    try:
        # Few photos are as large as an example, and only those are read.
        if path.stat().st_size not in {one.path.stat().st_size for one in examples}:
            return False
        return sha256(path.read_bytes()).hexdigest() in {one.sha256 for one in examples}
    except OSError:  # swept meanwhile
        return False


@cache
def _load(folder: Path) -> tuple[_Example, ...]:
    """Return the first photos of a folder, by name; decoded once, however many tabs show them."""
    if not folder.is_dir():
        raise ImageError(
            f"There is no folder {folder}. Set `examples` to a folder of photos, or not at all."
        )
    return tuple(_open(path) for path in list_photos(folder)[:MOST])


def _open(path: Path) -> _Example:
    try:
        digest = sha256(path.read_bytes()).hexdigest()
        thumbnail = encode_thumbnail(decode_image(path))
    except (ImageError, OSError) as error:
        raise ImageError(f"The example {path} cannot be offered: {first_line(error)}") from error
    address = quote(f"examples/{digest[:16]}/{path.name}")
    return _Example(path=path, address=address, thumbnail=thumbnail, sha256=digest)
