"""What the Photo tab shows in place of a photo that the browser cannot: its name, then a copy."""

from base64 import b64encode
from html import escape
from pathlib import Path

from PIL import Image

from trashlens.image import encode_preview

__all__ = ["SCRIPT", "render_preview"]

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
"""Puts it there, in the element that has what `render_preview` returns."""
UNSHOWN = (b"II", b"MM")
"""How a TIFF begins, the one format that is read and that most browsers do not show."""


def render_preview(source: str, image: Image.Image) -> str:
    """Return the copy of the decoded upload at `source`, HTML that nobody sees; nothing where browsers show it.

    Of the path the page learns only the folder, by which the script knows the photo that is meant.
    """
    try:
        with Path(source).open("rb") as file:
            if file.read(2) not in UNSHOWN:
                return ""
    except OSError:  # swept meanwhile
        return ""
    copy = b64encode(encode_preview(image)).decode()
    folder = escape(Path(source).parent.name)
    return f'<template class="tl-copy" data-photo="{folder}" data-copy="data:image/jpeg;base64,{copy}"></template>'
