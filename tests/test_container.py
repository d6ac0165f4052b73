"""The container: no linter finds anything, what it copies is sent, it is nobody's root, its health check works.

That its steps build a page that answers is what `python tests/run_container.py` shows, which takes minutes.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from dockerfile_parse import DockerfileParser
from run_container import DOCKERFILE, is_sent

ROOT = Path(__file__).parents[1]
STEPS = [(step["instruction"], step["value"]) for step in DockerfileParser(str(DOCKERFILE)).structure]
LAST = STEPS[max(index for index, (kind, _) in enumerate(STEPS) if kind == "FROM") :]


def last(kind: str) -> str:
    """Return the only instruction of this kind in the last stage."""
    (value,) = [value for name, value in LAST if name == kind]
    return value


def test_hadolint_finds_nothing() -> None:
    result = subprocess.run(["hadolint", str(DOCKERFILE)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_is_copied_exists_and_is_sent_to_the_builder() -> None:
    copied = [value.split()[:-1] for kind, value in STEPS if kind == "COPY" and "--from" not in value]
    names = {name for group in copied for name in group}
    assert {"app.py", "models", "src", "Pipfile.lock"} <= names
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    for name in names:
        assert any(file == name or file.startswith(f"{name}/") for file in tracked), name
        assert is_sent(name)
    assert not is_sent("data/raw/photo.jpg")
    assert not is_sent("tests/conftest.py")


def test_the_last_stage_builds_nothing_and_is_not_root() -> None:
    assert len([kind for kind, _ in STEPS if kind == "FROM"]) == 2
    assert not [value for kind, value in LAST if kind == "RUN" and "pip" in value]
    assert int(last("USER")) > 0
    assert json.loads(last("ENTRYPOINT")) == ["python", "app.py", "--host", "0.0.0.0"]
    copied = [index for index, (kind, _) in enumerate(LAST) if kind == "COPY"]
    # What it serves is root's, so that whoever takes over the page cannot change it.
    assert max(copied) < [kind for kind, _ in LAST].index("USER")
    assert "chown" not in DOCKERFILE.read_text()


@pytest.fixture
def health() -> Iterator[list[int]]:
    """A server whose `/health` answers the code that the list holds; its port follows."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer[0] if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        answer = [200, server.server_port]
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield answer
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("code", "healthy"), [(200, True), (503, False)])
def test_the_health_check_tells_a_page_that_answers(
    health: list[int], code: int, healthy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    health[0] = code
    monkeypatch.setenv("TRASHLENS_PORT", str(health[1]))
    value = last("HEALTHCHECK")
    program, *arguments = json.loads(value[value.index("[") :])
    assert program == "python"
    done = subprocess.run([sys.executable, *arguments], capture_output=True)
    assert (done.returncode == 0) == healthy


def test_the_lines_of_the_health_check_and_the_page_name_the_same_port() -> None:
    assert f"'TRASHLENS_PORT', '{last('EXPOSE')}'" in last("HEALTHCHECK")
