"""The page as a whole: header, tabs, footer, looks, and how it is mounted."""

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
from fastapi import FastAPI
from gradio.utils import get_upload_folder
from gradio_client.utils import is_http_url_like
from starlette.middleware import Middleware
from starlette.requests import Request

from trashlens.comparison import Comparison
from trashlens.server.desk import Desk
from trashlens.server.feedback_route import feedback_routes
from trashlens.server.front import answers, build_front
from trashlens.server.journal import Journal
from trashlens.server.streams import stream_routes
from trashlens.server.uploads import Room
from trashlens.ui.batch import build_batch_tab
from trashlens.ui.device import build_device_tab, device_routes
from trashlens.ui.examples import examples_routes
from trashlens.ui.leads import build_lead
from trashlens.ui.origins import render_origins
from trashlens.ui.photo import build_photo_tab
from trashlens.ui.photo_input import NOT_UPLOADED
from trashlens.ui.presence import render_presence
from trashlens.ui.rewording import render_rewording
from trashlens.ui.scores import render_scores
from trashlens.ui.webcam import build_webcam_tab, render_frame, render_frame_problem
from trashlens.ui.words import Opening, Parts, Words, words_for

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


class Page(gr.Blocks):
    """Gradio's page, except that a request without a usable file is refused in a sentence."""

    def __init__(self, journal: Journal, **options: Any) -> None:
        """Begin without any part; what is refused goes to the journal."""
        super().__init__(**options)
        self.journal = journal
        self.parts = Parts()
        self.i18n_instance = self.parts.i18n

    @property  # type: ignore[override]
    def config(self) -> dict[str, Any]:
        """What Gradio writes into the page, with the words of the visitor whose request is being answered."""
        return {**self._config, "i18n_translations": self.parts.i18n.translations_dict}

    @config.setter
    def config(self, config: dict[str, Any]) -> None:
        self._config = config

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


def build_page(desk: Desk) -> Page:
    """Return the page, ready to be mounted, whose requests `desk` answers."""
    page = Page(desk.journal, title="Trashlens", analytics_enabled=False, fill_width=True)
    parts = page.parts
    with page:
        gr.HTML(parts.add("header", _render_header), apply_default_css=False)
        with gr.Tabs():
            with gr.Tab(parts.word("tab.photo"), id="photo") as photo_tab:
                build_lead("photo", parts)
                photo = build_photo_tab(desk, parts)
            with gr.Tab(parts.word("tab.webcam"), id="webcam") as webcam_tab:
                build_lead("webcam", parts)
                build_webcam_tab(desk, parts)
            with gr.Tab(parts.word("tab.device"), id="device") as device_tab:
                build_lead("device", parts)
                build_device_tab(desk, parts)
            with gr.Tab(parts.word("tab.batch"), id="batch") as batch_tab:
                build_lead("batch", parts)
                build_batch_tab(desk, parts)
            with gr.Tab(parts.word("tab.scoreboard"), id="scoreboard") as scores_tab:
                build_lead("scoreboard", parts)
                gr.HTML(
                    parts.add("scores", partial(render_scores, desk.lineup)),
                    elem_id="scoreboard",
                    apply_default_css=False,
                )
        gr.HTML(
            parts.add("origins", partial(render_origins, desk.classifiers)),
            elem_id="origins",
            apply_default_css=False,
        )
        gr.HTML(parts.add("footer", partial(_render_footer, desk)), apply_default_css=False)
        for tab in (photo_tab, webcam_tab, device_tab, batch_tab, scores_tab):
            # Removing the component from the page is what makes Gradio end its camera track.
            state = f'{{__type__: "update", visible: {str(tab is photo_tab).lower()}}}'
            tab.select(None, None, photo, js=f"() => ({state})", show_progress="hidden")
    # Told at each change, everybody in the queue would get a message for each request of anybody.
    page.queue(max_size=desk.settings.waiting, api_open=False, status_update_rate=1.0)
    return page


def _render_header(words: Words) -> str:
    return (
        f'<header class="tl-header">{LOGO.format(colour="currentColor")}<div><h1>Trashlens</h1>'
        f"<p>{words['page.tagline']}</p></div></header>"
    )


def _render_footer(desk: Desk, words: Words) -> str:
    said = words["page.footer.feedback" if desk.feedback else "page.footer"]
    return f'<footer class="tl-footer"><p>{said}</p></footer>'


def build_app(desk: Desk) -> FastAPI:
    """Return all that is served: the page in its looks, within its limits, behind its gate."""
    page = build_page(desk)

    def forget() -> None:
        # The names of all uploads ever, by which Gradio would delete them.
        for names in page.temp_file_sets:
            names.clear()

    def render(comparison: Comparison, request: Request) -> str:
        return render_frame(desk, comparison, words_for(request))

    def render_refusal(sentence: str, request: Request) -> str:
        return render_frame_problem(desk, sentence, words_for(request))

    frames = stream_routes(desk, render=render, render_problem=render_refusal)
    room = Room(Path(get_upload_folder()))
    routes = [*frames, *device_routes(desk), *examples_routes(desk), *feedback_routes(desk, room)]
    scripts = render_rewording(desk.settings) + render_presence()
    icon = quote(LOGO.format(colour="#2f825f"))
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
        head=f'<link rel="icon" href="data:image/svg+xml,{icon}">{scripts}',
        css_paths=[Path(__file__).with_name(name) for name in ("style.css", "scores.css")],
        max_file_size=desk.settings.upload_bytes,
        app_kwargs={
            "exception_handlers": answers(desk.journal),
            "middleware": [Middleware(Opening)],
        },
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
