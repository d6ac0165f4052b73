"""A stand-in for the W&B server: what the real client asks of it here, answered from memory on loopback.

A test reads what arrived from `runs`, `artifacts` and `collections`. The server can refuse requests, stop
answering, or die. Whatever it does not know it refuses, and lists in `unknown`.
"""

import base64
import gzip
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from wandb_store import ENTITY, OPERATIONS, ORGANIZATION, Artifact, Collection, Json, Run, Store

__all__ = ["ENTITY", "KEY", "ORGANIZATION", "Artifact", "Collection", "Run", "WandbServer"]

KEY = "0123456789abcdef" * 2 + "01234567"


class WandbServer(Store):
    """The server, from `with WandbServer() as server` on; `server.environment` leads a client to it."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.responding = threading.Event()
        self.responding.set()
        self.stopped = False
        self._failures: list[tuple[str, int]] = []
        self._lock = threading.Lock()
        self._http = _Listener(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that send a client here."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY, "WANDB_MODE": "online"}

    def fail_next(self, count: int, status: int, request: str = "") -> None:
        """Answer the next `count` requests, of those whose line in `requests` names `request`, with a status."""
        self._failures += [(request, status)] * count

    def hang(self) -> None:
        """Take requests and answer none until `responding.set()`."""
        self.responding.clear()

    def stop(self) -> None:
        """Die: refuse new connections and drop open ones without an answer."""
        if not self.stopped:
            self.stopped = True
            self.responding.set()
            self._http.shutdown()
            self._http.server_close()

    def __enter__(self) -> "WandbServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join()

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, bytes]:
        """Return status and body; only storage addresses, which are signed at W&B, need no key."""
        content = json.loads(body) if path == "/graphql" else {}
        operation = re.search(r"(?:query|mutation)\s+(\w+)", content.get("query", ""))
        request = operation[1] if operation else f"{method} {path}"
        with self._lock:
            self.requests.append(request)
            for failure in self._failures:
                if failure[0] in request:
                    self._failures.remove(failure)
                    return failure[1], b"{}"
            first, *rest = (unquote(part) for part in path.partition("?")[0].strip("/").split("/"))
            if first == "storage":
                return self._store(method, rest, body)
            if authorization != "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode():
                return 401, b'{"errors": [{"message": "user is not logged in"}]}'
            if request in OPERATIONS:
                return 200, json.dumps(self._query(request, content.get("variables") or {})).encode()
            if rest[-1:] == ["file_stream"]:
                return 200, json.dumps(self._stream("/".join(rest[:3]), json.loads(body))).encode()
            self.unknown.append(f"{request} {body.decode(errors='replace')}")
            return 404, b"{}"

    def _store(self, method: str, parts: list[str], body: bytes) -> tuple[int, bytes]:
        """Keep or return a file: `runs/<path>/<name>`, `artifacts/<id>/<name>` or `manifests/<id>`."""
        if parts[0] == "manifests":
            artifact = self.by_id[parts[1]]
            if method == "PUT":
                artifact.manifest = body
            return 200, artifact.manifest
        if parts[0] == "runs":
            files, name = self.runs["/".join(parts[1:4])].files, "/".join(parts[4:])
        else:
            files, name = self.by_id[parts[1]].files, "/".join(parts[2:])
        if method == "PUT":
            files[name] = body
        return (200, files[name]) if name in files else (404, b"")

    def _stream(self, path: str, body: Json) -> Json:
        """Take a piece of a run's history and summary, and its end."""
        run = self.runs[path]
        for name, chunk in body.get("files", {}).items():
            if name == "wandb-history.jsonl":
                run.history[chunk["offset"] :] = map(json.loads, chunk["content"])
            elif name == "wandb-summary.json" and chunk["content"]:
                run.summary = json.loads(chunk["content"][-1])
        if body.get("complete"):
            run.exit_code = body["exitcode"]
        return {"limits": {}}

    def _query(self, operation: str, variables: Json) -> Json:
        """Answer one GraphQL operation; some name their variables, some wrap them in `input`."""
        values = {**variables, **(variables.get("input") or {})}
        # What was recorded offline names no entity: it is the key's own.
        own = {key: ENTITY for key in ("entity", "entityName") if values.get(key) == ""}
        try:
            return {"data": OPERATIONS[operation](self, {**values, **own})}
        except LookupError as error:
            return {"errors": [{"message": f"not found: {error}"}]}


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that ends resets its connections."""


def _handler_of(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            server.responding.wait()
            if server.stopped:
                self.close_connection = True
                return
            authorization = self.headers.get("Authorization", "")
            status, content = server.answer(self.command, self.path, authorization, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing: a test reads `requests`."""

    return Handler
