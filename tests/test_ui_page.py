"""The page as it is built: what it lets Gradio do, and what not."""

import re
from pathlib import Path

import anyio
import gradio as gr
import pytest
from gradio.routes import App

from trashlens.lineup import load_lineup
from trashlens.server.desk import Desk
from trashlens.server.gate import PUBLIC
from trashlens.server.settings import Settings
from trashlens.ui.page import build_page

OPEN_PATHS = {
    *("", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"),
    *("/static/{path:path}", "/assets/{path:path}"),
    *(
        f"/gradio_api/{path}"
        for path in (
            *("info", "startup-events", "theme.css", "heartbeat/{session_hash}", "cancel", "reset"),
            *("upload", "upload_progress", "queue/join", "queue/data"),
            *("call/{api_name}", "call/{api_name}/{event_id}"),
        )
    ),
}
"""Gradio's routes that a visitor reaches, beside the files that were uploaded."""


@pytest.fixture
def page(toy_models: Path) -> gr.Blocks:
    async def build() -> gr.Blocks:
        return build_page(Desk(load_lineup(toy_models), Settings()))

    return anyio.run(build)  # without a running loop Gradio makes one of its own and leaves it open


def test_of_gradios_routes_only_these_pass_the_gate(page: gr.Blocks) -> None:
    async def create() -> App:
        return App.create_app(page)

    app = anyio.run(create)
    routers = [route.original_router for route in app.routes if hasattr(route, "original_router")]
    routes = [*app.routes, *(route for router in routers for route in router.routes)]
    paths = {path.rstrip("/") for route in routes if (path := getattr(route, "path", None))}
    assert len(paths) > 50
    named = {path: path.replace("{api_name}", "classify") for path in paths}
    assert {
        path for path in paths if PUBLIC.fullmatch(re.sub(r"\{.*?\}", "x", named[path]) or "/")
    } == OPEN_PATHS


def test_no_address_that_a_request_names_is_fetched(
    page: gr.Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def fetch(_: object, address: str) -> str:
        asked.append(address)
        return "/nowhere"

    monkeypatch.setattr(gr.Image, "async_move_resource_to_block_cache", fetch)
    (endpoint,) = (fn for fn in page.fns.values() if fn.api_name == "classify")
    for address in ("http://example.com/a.jpg", "HTTPS://example.com/a.jpg"):
        photo = {"path": address, "meta": {"_type": "gradio.FileData"}}
        for value in (photo, [photo], {**photo, "path": "a.jpg", "more": [photo]}):
            with pytest.raises(gr.Error, match="No photo arrived"):
                anyio.run(page.preprocess_data, endpoint, [value], None)
    assert asked == []
