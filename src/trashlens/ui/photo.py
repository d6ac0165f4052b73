"""The Photo tab: one photo in, three results beside it."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import gradio as gr
from PIL import Image

from trashlens.errors import TrashlensError
from trashlens.server.desk import Desk
from trashlens.ui import feedback, heat, preview, regions
from trashlens.ui.advice import render_advice
from trashlens.ui.cards import (
    render_cards,
    render_empty,
    render_problem,
    render_timing,
    render_verdict,
)
from trashlens.ui.doubts import render_doubts
from trashlens.ui.examples import build_photo_examples
from trashlens.ui.photo_input import NOT_UPLOADED, build_photo_input
from trashlens.ui.refusals import reword
from trashlens.ui.unanswered import show_unanswered
from trashlens.ui.words import ENGLISH, Parts, Words, load_words, words_for

__all__ = ["build_photo_tab"]

MARK = (
    "for (const part of document.querySelectorAll('#photo-results, #photo-details')) part.ariaBusy = %s;"
)
"""Whether what is shown belongs to an earlier photo, while the answer to the new one is on its way."""

FORGET = "(photo, answered) => ['', photo?.path.split(/[\\\\/]/).at(-2) === answered ? answered : '']"
"""Clears the details, and which photo has its answer, unless that is the server's refusal of this one."""


def build_photo_tab(desk: Desk, parts: Parts) -> gr.Image:
    """Lay out the tab inside the current Blocks; return its photo input, whose camera the page releases."""
    empty = parts.add("photo-empty", partial(_render_empty, desk))
    with gr.Row(elem_classes="tl-columns"):
        with gr.Column(scale=4, min_width=280):
            photo = build_photo_input(
                label=parts.word("photo.label"),
                sources=["upload", "clipboard", "webcam"],
                placeholder=parts.add("photo-placeholder", partial(_render_placeholder, desk)),
                # Not among what Gradio's i18n covers; `rewording.js` puts the visitor's there.
                alt_text=load_words()[ENGLISH]["photo.alt"],
                height=350,
                elem_id="photo",
            )
            build_photo_examples(desk, parts)
        with gr.Column(scale=9, min_width=640):
            results = gr.HTML(empty, elem_id="photo-results", apply_default_css=False)
    scripts = regions.SCRIPT + preview.SCRIPT + heat.SCRIPT + feedback.SCRIPT
    details = gr.HTML("", elem_id="photo-details", apply_default_css=False, js_on_load=scripts)
    answered = gr.Textbox(visible="hidden")

    async def show(
        source: str | None, last: str | None, request: gr.Request
    ) -> AsyncIterator[tuple[Any, Any, Any]]:
        folder = Path(source).parent.name if source else ""
        # A change to nothing and one to the new photo, both of which are seen once it is there.
        if folder and folder == last:
            yield gr.skip(), gr.skip(), gr.skip()
            return
        async for results_and_details in _answer(desk, source, words_for(request)):
            yield *results_and_details, folder

    # A photo dropped on another one is a change to nothing and one to the new photo, and Gradio waits for
    # the upload in both; the path changes once.
    path = gr.Textbox(visible="hidden", elem_id="photo-path")
    photo.change(
        None,
        photo,
        path,
        js=f"(photo) => {{ {MARK % 'true'} return photo?.path ?? ''; }}",
        show_progress="hidden",
    )
    shown = path.change(
        show,
        [photo, answered],
        [results, details, answered],
        show_progress="hidden",
        api_visibility="private",
        **_share_line(desk),
    )
    unanswered = show_unanswered(
        shown,
        [photo, results, answered],
        results,
        parts,
        empty=empty,
        render=partial(render_problem, desk.lineup),
    )
    # What was answered before counts no longer: sent again, it is to be answered again.
    forgotten = unanswered.then(
        None, [photo, answered], [details, answered], js=FORGET, show_progress="hidden"
    )
    for ended in (shown.success, forgotten.then):  # `shown.then` is not reached after a refusal
        ended(None, js=f"() => {{ {MARK % 'false'} }}", show_progress="hidden")
    _add_endpoint(desk)
    return photo


def _share_line(desk: Desk) -> dict[str, Any]:
    """Return the options by which the page and the API wait in one line."""
    return {"concurrency_limit": desk.settings.at_once, "concurrency_id": "photo"}


def _render_placeholder(desk: Desk, words: Words) -> str:
    megabytes = desk.settings.photo.max_bytes // 2**20
    return f"# {words['photo.drop']}\n{words['photo.choose'].format(megabytes=megabytes)}"


def _render_empty(desk: Desk, words: Words) -> str:
    return render_empty(desk.lineup, words["photo.invitation"], words)


async def _answer(desk: Desk, source: str | None, words: Words) -> AsyncIterator[tuple[str, str]]:
    """Yield the results and the details below them, as HTML.

    Raises:
        gr.Error: the photo cannot be read; the sentence has been yielded, since the toast goes away.
    """
    if source is None:
        yield _render_empty(desk, words), ""
        return
    decoded: list[Image.Image] = []
    try:
        comparison = await desk.answer(source, way="photo", explain=True, seen=decoded.append)
    except TrashlensError as error:
        sentence = reword(str(error), words)
        yield render_problem(desk.lineup, sentence, words), ""
        raise gr.Error(sentence, print_exception=False) from error
    copy = await anyio.to_thread.run_sync(preview.render_preview, source, decoded[0])
    yield (
        f'<div role="status">{render_verdict(comparison, words)}</div>'
        f"{render_cards(desk.lineup, comparison, words)}{render_doubts(desk.lineup, comparison, words)}",
        f'<div class="tl-details">{copy}{heat.render_heat(desk.lineup, comparison, source, words)}'
        f"{render_advice(comparison, words)}{render_timing(comparison, words)}"
        f"{feedback.render_feedback(desk, source, words)}</div>",
    )


def _add_endpoint(desk: Desk) -> None:
    """Publish `/classify`: one image in, `Comparison.to_json()` out, with a map each where asked to `explain`."""

    async def classify(image: str | None, explain: bool = False) -> dict[str, Any]:
        """Return what each network says about a photo.

        Where `sure` is false its `label` is a guess, and counts for nothing: networks disagree where those that
        are sure name different classes.
        """
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
