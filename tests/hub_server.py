"""A small stand-in for the Hugging Face Hub on the loopback: keeps what it is sent as commits, and can fail.

It answers the calls that huggingface_hub makes for repositories, plain LFS uploads, commits, downloads,
Spaces and Jobs. A Space that gets an `app.py` really runs, from the files of its newest commit.
"""

import base64
import contextlib
import hashlib
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

import pytest
import yaml
from huggingface_hub import constants
from huggingface_hub.utils import close_session

TOKEN = "hf_AStandInsSecretToken0123456789"
USER = "ada"
LARGE = (".onnx", ".safetensors", ".png", ".zip")
"""Endings of files that go to LFS, as the Hub decides for binary ones."""
ATTRIBUTES = b"*.onnx filter=lfs diff=lfs merge=lfs -text\n"


@dataclass
class Commit:
    """A tree and its place in the history; files are their contents by path."""

    oid: str
    parent: str | None
    title: str
    files: dict[str, bytes]
    description: str = ""


@dataclass
class Repo:
    """A repository with its history, oldest commit first."""

    kind: str
    name: str
    private: bool
    commits: list[Commit] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, bytes]:
        """The newest tree."""
        return self.commits[-1].files

    def commit(self, title: str, files: dict[str, bytes]) -> Commit:
        """Add a commit with exactly these files."""
        parent = self.commits[-1].oid if self.commits else None
        seed = json.dumps([self.kind, self.name, parent, title, len(self.commits)])
        self.commits.append(Commit(hashlib.sha1(seed.encode()).hexdigest(), parent, title, dict(files)))
        return self.commits[-1]

    def at(self, revision: str) -> Commit | None:
        """Return the commit of a branch, tag or hash."""
        wanted = self.commits[-1].oid if revision == "main" else self.tags.get(revision, revision)
        return next((commit for commit in self.commits if commit.oid == wanted), None)


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose `METHOD /path` contains `where`."""

    where: str
    status: int = 0
    """The answer; 0 drops the connection half-way through the request's body."""
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "a fault of the test"
    lost: bool = False
    """The request is carried out, and the connection dropped before the answer."""
    before: Callable[[], None] | None = None
    """Happens first; without a status the request is then answered as usual."""


class Hub:
    """The stand-in's state, shared with the test."""

    def __init__(self) -> None:
        """Start empty."""
        self.repos: dict[tuple[str, str], Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.uploads: list[str] = []
        self.jobs: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.spaces: dict[str, SpaceProcess] = {}
        self.broken_starts = 0
        self.on_runtime: Callable[[], object] | None = None
        self.asleep = False
        self.names_commit = True
        """Whether a Space's runtime says which commit runs."""
        self.url = ""
        self.lock = threading.Lock()

    def add(self, kind: str, name: str, files: dict[str, bytes] | None = None) -> Repo:
        """Create a repository as the Hub does, with a first commit."""
        repo = self.repos[kind, name] = Repo(kind, name, private=False)
        repo.commit("initial commit", {".gitattributes": ATTRIBUTES, **(files or {})})
        for path, content in repo.files.items():
            if path.endswith(LARGE):
                self.objects[hashlib.sha256(content).hexdigest()] = content
        return repo

    def take_fault(self, request: str) -> Fault | None:
        """Return the fault that befalls a request, and count it."""
        with self.lock:
            for fault in self.faults:
                if fault.where in request and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def writes(self) -> list[str]:
        """Return the requests so far that change something."""
        changing = re.compile(r"/repos/create|/commit/|^PUT |/tag/|/jobs/")
        return [request for request in self.requests if changing.search(request)]


class SpaceProcess:
    """A Space's app, run by the test's own Python from the files of a commit."""

    def __init__(self, commit: Commit, *, broken: bool) -> None:
        """Start `app.py`; a broken Space ends at once."""
        self.commit = commit.oid
        self._folder = tempfile.TemporaryDirectory(prefix="space-")
        root = Path(self._folder.name)
        for path, content in commit.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process = subprocess.Popen(
            [sys.executable, *(("-c", "raise SystemExit(1)") if broken else ("app.py",))],
            cwd=root,
            env={
                "PATH": "",
                "HOME": str(root),
                "OMP_NUM_THREADS": "1",
                "GRADIO_SERVER_PORT": str(self.port),
                "GRADIO_ANALYTICS_ENABLED": "False",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def stage(self) -> str:
        """What the Hub would say about it."""
        if self._process.poll() is not None:
            return "RUNTIME_ERROR"
        with socket.socket() as probe:
            return "RUNNING" if probe.connect_ex(("127.0.0.1", self.port)) == 0 else "APP_STARTING"

    def stop(self) -> None:
        """End the app and remove its files."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


class RefusalError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        """Remember what to answer with."""
        super().__init__(message)
        self.status, self.code = status, code


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every answer waits 40 ms for the client's acknowledgement
    hub: Hub

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer by the table of routes."""
        path = unquote(urlparse(self.path).path)
        length = int(self.headers.get("Content-Length", 0))
        request = f"{self.command} {path}"
        self.hub.requests.append(request)
        fault = self.hub.take_fault(request)
        if fault and fault.before:
            fault.before()
        elif fault and not fault.status and not fault.lost:
            self.rfile.read(length // 2)
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.body = self.rfile.read(length)
        self.lost = bool(fault and fault.lost)
        try:
            if fault and fault.status:
                self.answer({"error": fault.message}, fault.status, fault.headers)
                return
            for method, pattern, route in ROUTES:
                match = re.fullmatch(pattern, path)
                if match and self.command in method:
                    route(self, **match.groupdict())
                    return
            raise RefusalError(404, f"the stand-in has no {request}")
        except RefusalError as refusal:
            headers = {"X-Error-Code": refusal.code, "X-Error-Message": str(refusal)}
            self.answer({"error": str(refusal)}, refusal.status, headers)

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def answer(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Send JSON, or bytes as they are."""
        if self.lost:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def authorise(self) -> None:
        """Refuse whoever does not show the token."""
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise RefusalError(401, "Invalid credentials in Authorization header")

    def find(self, kind: str, name: str, revision: str = "main") -> tuple[Repo, Commit]:
        """Return a repository and one of its commits."""
        repo = self.hub.repos.get((kind, name))
        if repo is None:
            raise RefusalError(404, "Repository not found", "RepoNotFound")
        commit = repo.at(revision)
        if commit is None:
            raise RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return repo, commit

    # Each route below is one call of the Hub's API.

    def whoami(self) -> None:
        self.authorise()
        self.answer({"type": "user", "name": USER, "auth": {}})

    def create(self) -> None:
        self.authorise()
        asked = json.loads(self.body)
        kind, name = asked.get("type", "model"), f"{asked['organization'] or USER}/{asked['name']}"
        url = f"{self.hub.url}/{'' if kind == 'model' else f'{kind}s/'}{name}"
        if (kind, name) in self.hub.repos:
            self.answer({"error": "You already created this repo", "url": url}, 409)
            return
        self.hub.add(kind, name).private = asked.get("visibility") == "private"
        self.answer({"url": url, "name": name})

    def validate_yaml(self) -> None:
        text = json.loads(self.body)["content"]
        try:
            _, front, _ = text.split("---\n", 2)
            assert isinstance(yaml.safe_load(front), dict)
        except (ValueError, AssertionError, yaml.YAMLError) as error:
            self.answer({"errors": [{"message": str(error)}]}, 400)
            return
        self.answer({"errors": [], "warnings": []})

    def preupload(self, kind: str, name: str, revision: str) -> None:
        self.authorise()
        _, commit = self.find(kind, name, revision)
        answers = []
        for file in json.loads(self.body)["files"]:
            path = file["path"]
            answer = {"path": path, "uploadMode": "lfs" if path.endswith(LARGE) else "regular"}
            if path in commit.files:
                entry = describe(path, commit.files[path])
                answer["oid"] = entry.get("lfs", entry)["oid"]
            answers.append({**answer, "shouldIgnore": False})
        self.answer({"files": answers})

    def batch(self) -> None:
        self.authorise()
        objects = []
        for asked in json.loads(self.body)["objects"]:
            answer = dict(asked)
            if asked["oid"] not in self.hub.objects:
                answer["actions"] = {
                    "upload": {"href": f"{self.hub.url}/lfs/{asked['oid']}"},
                    "verify": {"href": f"{self.hub.url}/lfs/{asked['oid']}/verify"},
                }
            objects.append(answer)
        self.answer({"transfer": "basic", "objects": objects})

    def put_object(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise RefusalError(400, "The content has another hash")
        self.hub.objects[oid] = self.body
        self.hub.uploads.append(oid)
        self.answer({})

    def verify_object(self, oid: str) -> None:
        self.authorise()
        self.answer({}, 200 if len(self.hub.objects[oid]) == json.loads(self.body)["size"] else 400)

    def commit(self, kind: str, name: str, revision: str) -> None:
        self.authorise()
        header, *operations = [json.loads(line) for line in self.body.splitlines()]
        with self.hub.lock:
            repo, head = self.find(kind, name, revision)
            if header["value"].get("parentCommit", head.oid) != head.oid:
                raise RefusalError(412, "A commit has happened since. Please refresh and try again.")
            files = dict(head.files)
            for operation in operations:
                value = operation["value"]
                if operation["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif operation["key"] == "lfsFile":
                    if value["oid"] not in self.hub.objects:
                        raise RefusalError(400, f"{value['path']} was never uploaded")
                    files[value["path"]] = self.hub.objects[value["oid"]]
                elif value["path"] not in files:
                    raise RefusalError(404, "A file with this name doesn't exist", "EntryNotFound")
                else:
                    del files[value["path"]]
            made = repo.commit(header["value"]["summary"], files)
            made.description = header["value"].get("description", "")
        if kind == "space" and "app.py" in files:
            if name in self.hub.spaces:
                self.hub.spaces[name].stop()
            broken = self.hub.broken_starts > 0
            self.hub.broken_starts -= broken
            self.hub.spaces[name] = SpaceProcess(made, broken=broken)
        url = f"{self.hub.url}/{name}/commit/{made.oid}"
        self.answer({"success": True, "commitOid": made.oid, "commitUrl": url})

    def tag(self, kind: str, name: str, revision: str) -> None:
        self.authorise()
        repo, commit = self.find(kind, name, revision)
        wanted = json.loads(self.body)["tag"]
        if wanted in repo.tags:
            raise RefusalError(409, "Tag reference exists already")
        repo.tags[wanted] = commit.oid
        self.answer({})

    def info(self, kind: str, name: str, revision: str = "main") -> None:
        repo, commit = self.find(kind, name, revision)
        answer: dict[str, Any] = {"id": name, "sha": commit.oid, "private": repo.private}
        if name in self.hub.spaces:
            answer["host"] = f"http://127.0.0.1:{self.hub.spaces[name].port}"
        self.answer(answer)

    def tree(self, kind: str, name: str, revision: str) -> None:
        _, commit = self.find(kind, name, revision)
        self.answer([describe(path, content) for path, content in commit.files.items()])

    def paths_info(self, kind: str, name: str, revision: str) -> None:
        _, commit = self.find(kind, name, revision)
        paths = parse_qs(self.body.decode())["paths"]  # a form, unlike all other bodies
        self.answer([describe(path, commit.files[path]) for path in paths if path in commit.files])

    def resolve(self, name: str, revision: str, path: str, prefix: str = "") -> None:
        _, commit = self.find(prefix.removesuffix("s/") or "model", name, revision)
        if path not in commit.files:
            raise RefusalError(404, "Entry not found", "EntryNotFound")
        content = commit.files[path]
        entry = describe(path, content)
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{entry["oid"]}"'}
        if "lfs" in entry:
            headers |= {"X-Linked-Etag": f'"{entry["lfs"]["oid"]}"', "X-Linked-Size": str(len(content))}
        self.answer(content, headers=headers)

    def runtime(self, name: str) -> None:
        self.find("space", name)
        if self.hub.on_runtime:
            self.hub.on_runtime()
        process = self.hub.spaces.get(name)
        if process is None:
            self.answer({"stage": "NO_APP_FILE"})
        else:
            stage = "SLEEPING" if self.hub.asleep else process.stage
            self.answer({"stage": stage} | ({"sha": process.commit} if self.hub.names_commit else {}))

    def restart(self, name: str) -> None:
        self.authorise()
        self.find("space", name)
        self.hub.asleep = False
        self.answer({"stage": "APP_STARTING"})

    def job(self, namespace: str) -> None:
        self.authorise()
        self.hub.jobs.append(json.loads(self.body))
        owner = {"id": "1", "name": namespace, "type": "user"}
        self.answer({"id": f"job{len(self.hub.jobs)}", "owner": owner, "status": {"stage": "RUNNING"}})


def describe(path: str, content: bytes) -> dict[str, Any]:
    """Return the Hub's entry for a file; binary ones lie in LFS."""
    entry = {"type": "file", "path": path, "size": len(content)}
    if path.endswith(LARGE):
        oid = hashlib.sha256(content).hexdigest()
        return {**entry, "oid": oid[:40], "lfs": {"oid": oid, "size": len(content), "pointerSize": 132}}
    return {**entry, "oid": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()}


REPO = r"/api/(?P<kind>model|space|dataset)s/(?P<name>[^/]+/[^/]+)"
ROUTES: list[tuple[str, str, Callable[..., None]]] = [
    ("GET", r"/api/whoami-v2", Handler.whoami),
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", r"/api/validate-yaml", Handler.validate_yaml),
    ("POST", REPO + r"/preupload/(?P<revision>[^/]+)", Handler.preupload),
    ("POST", r"/.*\.git/info/lfs/objects/batch", Handler.batch),
    ("PUT", r"/lfs/(?P<oid>\w+)", Handler.put_object),
    ("POST", r"/lfs/(?P<oid>\w+)/verify", Handler.verify_object),
    ("POST", REPO + r"/commit/(?P<revision>[^/]+)", Handler.commit),
    ("POST", REPO + r"/tag/(?P<revision>[^/]+)", Handler.tag),
    (
        "GET",
        REPO + r"(/revision/(?P<revision>[^/]+))?",
        lambda h, **g: h.info(**{k: v for k, v in g.items() if v}),
    ),
    ("GET", REPO + r"/tree/(?P<revision>[^/]+)", Handler.tree),
    ("POST", REPO + r"/paths-info/(?P<revision>[^/]+)", Handler.paths_info),
    ("GET", r"/api/spaces/(?P<name>[^/]+/[^/]+)/runtime", Handler.runtime),
    ("POST", r"/api/spaces/(?P<name>[^/]+/[^/]+)/restart", Handler.restart),
    ("POST", r"/api/jobs/(?P<namespace>[^/]+)", Handler.job),
    (
        "GET HEAD",
        r"/(?P<prefix>spaces/|datasets/)?(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)",
        lambda h, prefix, **g: h.resolve(prefix=prefix or "", **g),
    ),
]


@contextlib.contextmanager
def run_hub() -> Iterator[Hub]:
    """Serve an empty stand-in on a free port of the loopback."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        for process in hub.spaces.values():
            process.stop()


@contextlib.contextmanager
def connect_hub(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Hub]:
    """Serve a stand-in that huggingface_hub takes for the Hub, with a token that it accepts."""
    with run_hub() as hub:
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub
        close_session()
