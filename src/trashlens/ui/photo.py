"""The Photo tab: one photo in, three results beside it."""

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from trashlens.classifier import Classifier, compare
from trashlens.errors import TrashlensError
from trashlens.image import ImageLimits
from trashlens.ui.advice import render_advice
from trashlens.ui.camera import NOT_UPLOADED, build_photo_input
from trashlens.ui.cards import (
    render_cards,
    render_empty,
    render_problem,
    render_timing,
    render_verdict,
)

__all__ = ["build_photo_tab"]

INVITATION = "Send a photo of one object and the three results appear here."
PLACEHOLDER = f"# Drop a photo here\nor tap to choose one, up to {ImageLimits().max_bytes // 2**20} MB"
# Two requests at a time keep two cores busy; the API and the page wait in the same line.
CONCURRENCY: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "photo"}


def build_photo_tab(classifiers: Mapping[str, Classifier], _tab: gr.Tab) -> gr.Image:
    """Lay out the tab inside the current Blocks; return its photo input, whose camera the page releases."""
    with gr.Row(elem_classes="tl-columns"):
        with gr.Column(scale=4, min_width=280):
            photo = build_photo_input(
                label="Photo",
                sources=["upload", "clipboard", "webcam"],
                placeholder=PLACEHOLDER,
                alt_text="The photo you sent",
                height=410,
                elem_id="photo",
            )
        with gr.Column(scale=9, min_width=640):
            results = gr.HTML(
                render_empty(classifiers, INVITATION), elem_id="photo-results", apply_default_css=False
            )
    details = gr.HTML("", elem_id="photo-details", apply_default_css=False)

    def show(source: str | bytes | None) -> Iterator[tuple[str, str]]:
        yield from _answer(classifiers, source)

    # A photo dropped on another one is a change to nothing and one to the new photo, and Gradio waits for
    # the upload in both; the path changes once.
    path = gr.Textbox(visible="hidden")
    photo.change(None, photo, path, js="(photo) => photo?.path ?? ''", show_progress="hidden")
    path.change(
        show, photo, [results, details], show_progress="hidden", api_visibility="private", **CONCURRENCY
    )
    _add_endpoint(classifiers)
    return photo


def _answer(
    classifiers: Mapping[str, Classifier], source: str | bytes | None
) -> Iterator[tuple[str, str]]:
    """Yield the results and the details below them, as HTML.

    Raises:
        gr.Error: the photo cannot be read; the sentence has been yielded, since the toast goes away.
    """
    if source is None:
        yield render_empty(classifiers, INVITATION), ""
        return
    try:
        comparison = compare(classifiers, source)
    except TrashlensError as error:
        yield render_problem(classifiers, str(error)), ""
        raise gr.Error(str(error), print_exception=False) from error
    yield (
        f'<div role="status">{render_verdict(comparison)}</div>{render_cards(classifiers, comparison)}',
        f'<div class="tl-details">{render_advice(comparison)}{render_timing(comparison)}</div>',
    )


def _add_endpoint(classifiers: Mapping[str, Classifier]) -> None:
    """Publish `/classify`: one image in, `Comparison.to_json()` out."""

    def classify(image: str | bytes | None) -> dict[str, Any]:
        if image is None:
            raise gr.Error(NOT_UPLOADED, print_exception=False)
        try:
            return compare(classifiers, image).to_json()
        except TrashlensError as error:
            raise gr.Error(str(error), print_exception=False) from error

    # An event without a trigger is an endpoint; its components document it as one image in, JSON out.
    image = build_photo_input(label="image", visible=False)
    answer = gr.JSON(label="comparison", visible=False)
    gr.on([], classify, image, answer, api_name="classify", **CONCURRENCY)
