"""The inputs of the page and of the API: they take files and snapshots, and hand them over untouched."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, ImageData, ListFiles
from gradio.utils import get_upload_folder

__all__ = ["NOT_UPLOADED", "build_files_input", "build_photo_input"]

NOT_UPLOADED = "No photo arrived. Upload it first and send the path that the upload answers with."

CAMERA: dict[str, Any] = {
    "video": {"width": {"ideal": 640}, "height": {"ideal": 480}, "facingMode": {"ideal": "environment"}}
}
"""The camera's picture, pixels: small, since the networks see less; on a phone, what lies before it."""


def build_photo_input(**options: Any) -> gr.Image:
    """Return an image input that hands over the path of what was sent, untouched.

    Gradio's own preprocessing opens the file to look at its mode; a file that is no image would end there
    as a bare "Error", before any of our code runs. It is replaced on the instance, because Gradio writes
    a stub file beside the source of every subclass, which the type checker would then read instead.
    """
    image = gr.Image(
        type="filepath",
        image_mode=None,
        # Not mirrored, so that print stays readable.
        webcam_options=gr.WebcamOptions(mirror=False, constraints=CAMERA),
        show_label=False,
        buttons=[],
        **options,
    )
    image.preprocess = _hand_over  # type: ignore[method-assign]
    return image


def build_files_input(**options: Any) -> gr.File:
    """Return an input for many files of any kind that hands over their names and paths, untouched.

    Gradio's own preprocessing is replaced as that of `build_photo_input`: it makes a further file of each.
    """
    files = gr.File(file_count="multiple", buttons=[], **options)
    files.preprocess = _hand_over_all  # type: ignore[method-assign, assignment]
    return files


def _hand_over_all(payload: ListFiles | FileData | None) -> list[tuple[str, Path]]:
    """Return for each upload the name that the visitor knows, and its path.

    Raises:
        gr.Error: a path leads to a file that was not uploaded, or is deleted already.
    """
    uploads = payload.root if isinstance(payload, ListFiles) else [payload] if payload else []
    return [(Path(one.orig_name or one.path).name, _check(one.path)) for one in uploads]


def _hand_over(payload: ImageData | None) -> str | None:
    """Return the path of an upload, or None when there is no picture.

    Raises:
        gr.Error: the path leads to a file that was not uploaded, or is deleted already.
    """
    if payload is None or payload.path is None:
        return None
    return str(_check(payload.path))


def _check(given: str) -> Path:
    """Return the path of an upload.

    Raises:
        gr.Error: it leads to a file that was not uploaded, or is deleted already.
    """
    # Gradio checks where a path leads only when the request describes it as a file of its own, and a
    # request may say anything.
    path = Path(given).resolve()
    if not path.is_relative_to(Path(get_upload_folder()).resolve()) or not path.exists():
        raise gr.Error(NOT_UPLOADED, print_exception=False)
    return path
