"""The Batch tab: many photos or a zip in, one table out, disagreement first."""

import json
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path

import anyio.to_thread
import gradio as gr

from trashlens.errors import TrashlensError
from trashlens.server.batches import Batch, Seen, answer_batch
from trashlens.server.desk import Desk
from trashlens.server.settings import Settings
from trashlens.table import format_csv
from trashlens.ui.batch_table import order_rows, render_table
from trashlens.ui.photo_input import build_files_input
from trashlens.ui.refusals import reword
from trashlens.ui.unanswered import show_unanswered
from trashlens.ui.words import Parts, Words, words_for

__all__ = ["build_batch_tab"]

PROBLEM = '<p class="tl-verdict tl-problem" role="alert">{}</p>'
QUIET = '<p class="tl-verdict tl-quiet" role="status">{}</p>'
WAITING = '<p class="tl-verdict tl-quiet tl-waiting" role="status">{}</p>'
TELL_EVERY_S = 0.25


def build_batch_tab(desk: Desk, parts: Parts) -> None:
    """Lay out the tab inside the current Blocks."""
    invitation = parts.add("batch-invitation", partial(_render_invitation, desk.settings))
    files = build_files_input(
        label=parts.word("batch.label"),
        height=200,
        elem_id="batch-files",
    )
    results = gr.HTML(
        invitation,
        js_on_load=Path(__file__).with_name("batch.js").read_text(encoding="utf-8"),
        elem_id="batch",
        apply_default_css=False,
    )

    async def show(given: list[tuple[str, Path]] | None, request: gr.Request) -> AsyncIterator[str]:
        if not given:
            yield invitation
            return
        async with aclosing(_answer(desk, given, words_for(request))) as answers:
            async for html in answers:
                yield html

    waiting = parts.add("batch-arrived", lambda words: WAITING.format(words["batch.arrived"]))
    files.upload(None, None, results, js=f"() => {json.dumps(waiting)}", show_progress="hidden")
    # A line of its own: who sends one photo does not wait behind hundreds.
    run = files.upload(
        show,
        files,
        results,
        show_progress="hidden",
        api_visibility="private",
        trigger_mode="always_last",
        concurrency_limit=1,
        concurrency_id="batch",
    )
    # Also after `clear` has cancelled it.
    show_unanswered(
        run,
        [files, results],
        results,
        parts,
        empty=invitation,
        render=lambda sentence, _: PROBLEM.format(sentence),
    )
    files.clear(
        None,
        None,
        results,
        js=f"() => {json.dumps(invitation)}",
        show_progress="hidden",
        cancels=[run],
    )


def _render_invitation(settings: Settings, words: Words) -> str:
    return QUIET.format(
        words["batch.invitation"].format(photos=settings.batch_photos, megabytes=settings.batch_mb)
    )


async def _answer(desk: Desk, files: Sequence[tuple[str, Path]], words: Words) -> AsyncGenerator[str]:
    """Yield how far the batch is, and at last its table, as HTML."""
    seen: list[Seen] = []
    told_s = 0.0
    try:
        with await anyio.to_thread.run_sync(Batch, files, desk.settings) as batch:
            async with aclosing(answer_batch(desk, batch)) as answers:
                async for one in answers:
                    seen.append(one)
                    if time.monotonic() - told_s > TELL_EVERY_S:
                        told_s = time.monotonic()
                        yield _render_progress(len(seen), len(batch.photos), words)
    except TrashlensError as error:
        yield PROBLEM.format(reword(str(error), words))
        return
    seen = order_rows(seen)
    roles = list(desk.classifiers)
    # In the page itself, so that nothing of it is kept on the server. Excel takes UTF-8 for it by its mark only.
    table = format_csv((one.row for one in seen), roles).encode("utf-8-sig")
    download = f"data:text/csv;charset=utf-8;base64,{b64encode(table).decode()}"
    yield render_table(seen, roles, words, download=download)


def _render_progress(done: int, total: int, words: Words) -> str:
    return (
        f'<div class="tl-progress"><progress max="{total}" value="{done}" aria-label="{words["batch.done"]}">'
        f"</progress><p>{words['batch.progress'].format(done=done, total=total)}</p></div>"
    )
