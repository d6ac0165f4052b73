"""How the page opens: in the language that the server chose, which Gradio's part in the browser then follows."""

import json

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trashlens.ui.words.choice import CHOSEN, choose_language
from trashlens.ui.words.tables import ENGLISH

__all__ = ["Opening"]

HTML = b'lang="en"'
SCRIPTS = b"<script data-gradio-mode>"
# Gradio takes the browser's first language, whatever else is accepted, and English for one that it does not know,
# such as Italian. Both are settled here, before any of its scripts runs.
FOLLOW = """<script>
(() => {
    const language = %s;
    Object.defineProperty(navigator, "language", { value: language });
    const say = () => document.documentElement.lang === language || (document.documentElement.lang = language);
    new MutationObserver(say).observe(document.documentElement, { attributeFilter: ["lang"] });
})();
</script>
"""


class Opening:
    """An ASGI middleware that puts the visitor's language into the page."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before `app`, which answers `/` with Gradio's page."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let everything through as it is, except the page."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        language = choose_language(Headers(scope=scope).get("accept-language", ""))
        CHOSEN.set(language)
        if scope["path"] != "/":
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def send_page(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start:
                message["body"] = _translate(message.get("body", b""), language)
                headers = MutableHeaders(raw=start["headers"])
                headers["content-length"] = str(len(message["body"]))
                headers["content-language"] = language
                headers.add_vary_header("accept-language")
                await send(start)
                start = None
            await send(message)

        await self._app(scope, receive, send_page)


def _translate(page: bytes, language: str) -> bytes:
    follow = (FOLLOW % json.dumps(language)).encode()
    page = page.replace(HTML, HTML.replace(ENGLISH.encode(), language.encode()), 1)
    return page.replace(SCRIPTS, follow + SCRIPTS, 1)
