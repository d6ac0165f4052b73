"""The Photo tab: one photo in, three results beside it."""

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from trashlens.errors import TrashlensError
from trashlens.server.desk import Desk
from trashlens.ui import feedback, heat, regions
from trashlens.ui.advice import render_advice
from trashlens.ui.cards import (
    render_cards,
    render_empty,
    render_problem,
    render_timing,
    render_verdict,
)
from trashlens.ui.examples import build_photo_examples
from trashlens.ui.photo_input import NOT_UPLOADED, build_photo_input

__all__ = ["build_photo_tab"]

INVITATION = "Send a photo of one object and the three results appear here."
PLACEHOLDER = "# Drop a photo here\nor tap to choose one, up to {megabytes} MB"


def build_photo_tab(desk: Desk) -> gr.Image:
    """Lay out the tab inside the current Blocks; return its photo input, whose camera the page releases."""
    with gr.Row(elem_classes="tl-columns"):
        with gr.Column(scale=4, min_width=280):
            photo = build_photo_input(
                label="Photo",
                sources=["upload", "clipboard", "webcam"],
                placeholder=PLACEHOLDER.format(megabytes=desk.settings.photo.max_bytes // 2**20),
                alt_text="The photo you sent",
                height=350,
                elem_id="photo",
            )
            build_photo_examples(desk)
        with gr.Column(scale=9, min_width=640):
            results = gr.HTML(
                render_empty(desk.lineup, INVITATION), elem_id="photo-results", apply_default_css=False
            )
    scripts = regions.SCRIPT + heat.SCRIPT + feedback.SCRIPT
    details = gr.HTML("", elem_id="photo-details", apply_default_css=False, js_on_load=scripts)

    async def show(source: str | None) -> AsyncIterator[tuple[str, str]]:
        async for results_and_details in _answer(desk, source):
            yield results_and_details

    # A photo dropped on another one is a change to nothing and one to the new photo, and Gradio waits for
    # the upload in both; the path changes once.
    path = gr.Textbox(visible="hidden")
    photo.change(None, photo, path, js="(photo) => photo?.path ?? ''", show_progress="hidden")
    path.change(
        show,
        photo,
        [results, details],
        show_progress="hidden",
        api_visibility="private",
        **_share_line(desk),
    )
    _add_endpoint(desk)
    return photo


def _share_line(desk: Desk) -> dict[str, Any]:
    """Return the options by which the page and the API wait in one line."""
    return {"concurrency_limit": desk.settings.at_once, "concurrency_id": "photo"}


async def _answer(desk: Desk, source: str | None) -> AsyncIterator[tuple[str, str]]:
    """Yield the results and the details below them, as HTML.

    Raises:
        gr.Error: the photo cannot be read; the sentence has been yielded, since the toast goes away.
    """
    if source is None:
        yield render_empty(desk.lineup, INVITATION), ""
        return
    try:
        comparison = await desk.answer(source, way="photo", explain=True)
    except TrashlensError as error:
        yield render_problem(desk.lineup, str(error)), ""
        raise gr.Error(str(error), print_exception=False) from error
    yield (
        f'<div role="status">{render_verdict(comparison)}</div>{render_cards(desk.lineup, comparison)}',
        f'<div class="tl-details">{heat.render_heat(desk.lineup, comparison, source)}'
        f"{render_advice(comparison)}{render_timing(comparison)}"
        f"{feedback.render_feedback(desk, source)}</div>",
    )


def _add_endpoint(desk: Desk) -> None:
    """Publish `/classify`: one image in, `Comparison.to_json()` out, with a map each where asked to `explain`."""

    async def classify(image: str | None, explain: bool = False) -> dict[str, Any]:
        if image is None:
            raise gr.Error(NOT_UPLOADED, print_exception=False)
        try:
            return (await desk.answer(image, way="api", explain=explain)).to_json()
        except TrashlensError as error:
            raise gr.Error(str(error), print_exception=False) from error

    # An event without a trigger is an endpoint; its components document it as one image in, JSON out.
    image = build_photo_input(label="image", visible=False)
    explain = gr.Checkbox(label="explain", visible=False)
    answer = gr.JSON(label="comparison", visible=False)
    gr.on([], classify, [image, explain], answer, api_name="classify", **_share_line(desk))
