"""What both tabs take a picture with."""

import base64
import binascii

import gradio as gr
from gradio.data_classes import ImageData

from trashlens.errors import ImageError

__all__ = ["PhotoInput", "camera_options"]


class PhotoInput(gr.Image):
    """An image input that hands over what was sent, untouched: a file's path, or a frame's bytes.

    Gradio's own preprocessing opens the file to look at its mode, and a file that is no image then ends
    as a bare "Error" before any of our code runs.
    """

    is_template = True

    def preprocess(self, payload: ImageData | None) -> str | bytes | None:  # type: ignore[override]
        """Return the path of an upload, the bytes of a data URL, or None when there is no picture."""
        if payload is None:
            return None
        if payload.url and payload.url.startswith("data:"):
            try:
                return base64.b64decode(payload.url.partition(",")[2], validate=True)
            except binascii.Error:
                return b"not base64"
        return payload.path


def camera_options() -> gr.WebcamOptions:
    """Return the camera's settings: a small picture, and not mirrored, so that print stays readable."""
    size = {"width": {"ideal": 640}, "height": {"ideal": 480}}
    return gr.WebcamOptions(
        mirror=False, constraints={"video": {**size, "facingMode": {"ideal": "environment"}}}
    )
