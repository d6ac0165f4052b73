"""The page as a whole: header, tabs, footer, looks, and how it is mounted."""

import json
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
from fastapi import FastAPI
from gradio.utils import get_upload_folder
from gradio_client.utils import is_http_url_like

from trashlens.image import READABLE
from trashlens.server.desk import Desk
from trashlens.server.feedback_route import feedback_routes
from trashlens.server.front import ANSWERS, build_front
from trashlens.server.journal import Journal
from trashlens.server.settings import too_large
from trashlens.server.streams import stream_routes
from trashlens.server.uploads import Room
from trashlens.ui.batch import build_batch_tab
from trashlens.ui.cards import render_problem
from trashlens.ui.device import build_device_tab, device_routes
from trashlens.ui.examples import examples_routes
from trashlens.ui.feedback import UNLESS_GIVEN
from trashlens.ui.leads import build_lead
from trashlens.ui.origins import render_origins
from trashlens.ui.photo import build_photo_tab
from trashlens.ui.photo_input import NOT_UPLOADED
from trashlens.ui.scores import render_scores
from trashlens.ui.webcam import build_webcam_tab, render_frame

__all__ = ["build_app", "build_page"]

SESSIONS = 128
"""Visitors whose state Gradio keeps, 0.1 MB each; ours is in the browser. A call of the API counts as one."""

# A lens whose rim is three arcs that follow one another, like the arrows of recycling.
LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40" width="44" height="44" aria-hidden="true" '
    'fill="none" stroke="{colour}"><circle cx="17" cy="17" r="12" stroke-width="4.5" '
    'stroke-dasharray="21.13 4" stroke-dashoffset="-5"/>'
    '<path d="M27.5 27.5 36 36" stroke-width="5.5" stroke-linecap="round"/></svg>'
)
HEADER = f"""
<header class="tl-header">{LOGO.format(colour="currentColor")}<div><h1>Trashlens</h1>
<p>Three neural networks say which of six classes of waste is in your photo, each with its time.</p></div>
</header>
"""
FOOTER = """
<footer class="tl-footer"><p>Neural networks guess, and sometimes wrongly. Photos are deleted from the server
within minutes{unless}.</p></footer>
"""

# A file over the limit, or no image by its name, is refused in the browser already, in Gradio's words; the
# visitor reads ours.
REWORD = """
<script>
new MutationObserver(() => {{
    for (const text of document.querySelectorAll("[data-testid=toast-text]"))
        for (const [theirs, ours] of Object.entries({refusals}))
            if (text.textContent.startsWith(theirs)) text.textContent = ours;
}}).observe(document.documentElement, {{childList: true, subtree: true}});
</script>
"""


class Page(gr.Blocks):
    """Gradio's page, except that a request without a usable file is refused in a sentence."""

    journal: Journal

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **options: Any) -> Any:
        """Turn a request's values into the handler's arguments.

        Raises:
            gr.Error: a file that was never uploaded, an address elsewhere, no file at all, or no such handler.
        """
        if block_fn.fn is None:  # what happens in the browser alone
            raise self._refuse("There is no such function.")
        if _names_address(inputs):
            raise self._refuse(NOT_UPLOADED)
        # Values at the end that a caller leaves out are what they are by default.
        inputs = [*inputs, *(getattr(block, "value", None) for block in block_fn.inputs[len(inputs) :])]
        try:
            return await super().preprocess_data(block_fn, inputs, *args, **options)
        except gr.Error as error:
            raise self._refuse(str(error.message)) from error
        except Exception as error:  # path checks, downloads, validation: the file did not get here
            raise self._refuse(NOT_UPLOADED) from error

    def _refuse(self, reason: str) -> gr.Error:
        self.journal.write("api", "refused", size_bytes=None, reason=reason)
        return gr.Error(reason, print_exception=False)


def _names_address(value: object) -> bool:
    """Return whether a file elsewhere is meant: Gradio would fetch it, and lend this server to whoever asks."""
    if isinstance(value, dict):
        return is_http_url_like(str(value.get("path")).lower()) or _names_address(list(value.values()))
    return isinstance(value, list) and any(map(_names_address, value))


def build_page(desk: Desk) -> gr.Blocks:
    """Return the page, ready to launch, whose requests `desk` answers."""
    page = Page(title="Trashlens", analytics_enabled=False, fill_width=True)
    page.journal = desk.journal
    with page:
        gr.HTML(HEADER, apply_default_css=False)
        with gr.Tabs():
            with gr.Tab("Photo", id="photo") as photo_tab:
                build_lead("photo")
                photo = build_photo_tab(desk)
            with gr.Tab("Webcam", id="webcam") as webcam_tab:
                build_lead("webcam")
                build_webcam_tab(desk)
            with gr.Tab("On device", id="device") as device_tab:
                build_lead("device")
                build_device_tab(desk)
            with gr.Tab("Batch", id="batch") as batch_tab:
                build_lead("batch")
                build_batch_tab(desk)
            with gr.Tab("Scoreboard", id="scoreboard") as scores_tab:
                build_lead("scoreboard")
                gr.HTML(render_scores(desk.lineup), elem_id="scoreboard", apply_default_css=False)
        gr.HTML(render_origins(desk.classifiers), elem_id="origins", apply_default_css=False)
        unless = UNLESS_GIVEN if desk.feedback else ""
        gr.HTML(FOOTER.format(unless=unless), apply_default_css=False)
        for tab in (photo_tab, webcam_tab, device_tab, batch_tab, scores_tab):
            # Removing the component from the page is what makes Gradio end its camera track.
            state = f'{{__type__: "update", visible: {str(tab is photo_tab).lower()}}}'
            tab.select(None, None, photo, js=f"() => ({state})", show_progress="hidden")
    # Told at each change, everybody in the queue would get a message for each request of anybody.
    page.queue(max_size=desk.settings.waiting, api_open=False, status_update_rate=1.0)
    return page


def build_app(desk: Desk) -> FastAPI:
    """Return all that is served: the page in its looks, within its limits, behind its gate."""
    page = build_page(desk)
    refusals = {
        "File(s) exceed": too_large(desk.settings),
        "Invalid file type": f"This is not an image that can be read. {READABLE}",
    }

    def forget() -> None:
        # The names of all uploads ever, by which Gradio would delete them.
        for names in page.temp_file_sets:
            names.clear()

    problem = partial(render_problem, desk.lineup)
    frames = stream_routes(desk, render=partial(render_frame, desk), render_problem=problem)
    room = Room(Path(get_upload_folder()))
    routes = [*frames, *device_routes(desk), *examples_routes(desk), *feedback_routes(desk, room)]
    icon = quote(LOGO.format(colour="#2f825f"))
    reword = REWORD.format(refusals=json.dumps(refusals))
    page.state_session_capacity = SESSIONS
    # By this Gradio knows to refuse a path that was not uploaded; it forgets that where it is mounted.
    page.has_launched = True
    desk.journal.watch("waiting", "Requests in the queue.", lambda: len(page._queue))
    front = build_front(desk, room, forget, routes)
    gr.mount_gradio_app(
        front,
        page,
        path="/",
        theme=_build_theme(),
        head=f'<link rel="icon" href="data:image/svg+xml,{icon}">{reword}',
        css_paths=[Path(__file__).with_name(name) for name in ("style.css", "scores.css")],
        max_file_size=desk.settings.upload_bytes,
        app_kwargs={"exception_handlers": ANSWERS},
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
    )
    return front


def _build_theme() -> gr.themes.Base:
    """Return a theme of system fonts in the colours that `style.css` names."""
    green = gr.themes.Color(
        "#eef6f1",
        "#d8ebe0",
        "#b3d8c3",
        "#86bfa0",
        "#54a07c",
        "#2f825f",
        "#1f6b4d",
        "#1a563f",
        "#164534",
        "#10382a",
        "#0a241b",
    )
    return gr.themes.Base(
        primary_hue=green,
        secondary_hue=green,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_lg,
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"],
        font_mono=["ui-monospace", "SF Mono", "Menlo", "Consolas", "monospace"],
    ).set(
        body_background_fill="#f6f5f1",
        body_background_fill_dark="#121513",
        body_text_color="#1d2420",
        body_text_color_dark="#e8ebe8",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1b201d",
        block_border_color="#e2e0d8",
        block_border_color_dark="#2d3430",
        block_shadow="none",
        block_shadow_dark="none",
        block_label_background_fill_dark="#1b201d",
        table_odd_background_fill_dark="#1b201d",
        table_even_background_fill_dark="#222824",
    )
