"""Does the page answer? The staged Space in a clean environment, and any page by its address."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradio_client import Client, handle_file
from huggingface_hub import SpaceCard
from PIL import Image

from trashlens.errors import HubError, first_line
from trashlens.machine import find_free_port

__all__ = ["check_answer", "check_staged", "find_fault", "run_app"]

SPACE_PACKAGES = ("uvicorn>=0.14.0", "websockets>=10.4", "spaces")
"""What the Hub adds to a Space's requirements, beside gradio with two extras, by its build logs of 2026. It
installs all in one call, so a pin that these packages do not allow would fail there: it shall fail here."""
START_S = 120
"""How long the app may take to serve its page on a slow machine."""
ANSWER_S = 60
KEPT = ("HOME", "LANG", "PATH", "SSL_CERT_DIR", "SSL_CERT_FILE", "SYSTEMROOT", "TEMP", "TMPDIR")
KEPT_BEGINNINGS = ("LC_", "PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""What the check inherits; not the tokens, and no path to this checkout."""


def check_staged(folder: Path, *, bundles: Mapping[str, str]) -> None:
    """Install the staged Space into a fresh environment as the Hub does, run its app and ask it for one photo.

    `bundles` are the short ids that the answer must name, by role. Takes about a minute.

    Raises:
        HubError: the requirements do not install, the app does not start, or its answer is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="trashlens-check-") as work:
        environment = Path(work) / "environment"
        _run([sys.executable, "-m", "venv", str(environment)], "create a virtual environment")
        python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
        sdk = f"gradio[oauth,mcp]=={SpaceCard.load(folder / 'README.md').data.sdk_version}"
        install = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-compile",
            "--disable-pip-version-check",
        ]
        _run(
            [*install, "-r", str(folder / "requirements.txt"), sdk, *SPACE_PACKAGES],
            "install requirements.txt beside the Space's own packages",
        )
        with run_app(folder, python=python, scratch=Path(work)) as url:
            check_answer(url, bundles=bundles)


@contextmanager
def run_app(folder: Path, *, python: Path, scratch: Path) -> Iterator[str]:
    """Run `folder`'s app.py with an interpreter on a free port of the loopback; give its address.

    Raises:
        HubError: the app ends, or does not serve its page in time.
    """
    port = find_free_port()
    settings = {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "TMPDIR": str(scratch),  # for its uploads, since it is killed in the end
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    log = scratch / "app.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(python), "app.py"],
            cwd=folder,
            env=_clean_environment() | settings,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _await_port(process, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def check_answer(url: str, *, bundles: Mapping[str, str], token: str | None = None) -> None:
    """Send the page at `url` a generated photo, and see that all three networks answer sensibly.

    `token` opens a private Space.

    Raises:
        HubError: there is no answer, it makes no sense, or other bundles gave it.
    """
    try:
        fault = find_fault(_ask(url, token), bundles)
    except Exception as error:  # no connection, no such endpoint, an error of the app, another shape
        raise HubError(
            f"the page did not answer a photo ({type(error).__name__}: {first_line(error)})"
        ) from error
    if fault:
        raise HubError(fault)


def find_fault(answer: Any, bundles: Mapping[str, str]) -> str | None:
    """Return what is wrong with the page's answer, or None; an answer of another shape raises anything."""
    results = answer["results"]
    if results.keys() != bundles.keys():
        return f"the page answered for {', '.join(results) or 'no network'}"
    for role, result in results.items():
        confidences = result["confidences"]
        # Not `> 1e-6`, which a sum that is no number would pass.
        is_distribution = abs(sum(confidences.values()) - 1) <= 1e-6
        if not is_distribution or result["label"] != max(confidences, key=confidences.get):
            return f"the {role}'s answer is no distribution over classes"
        if result["bundle"] != bundles[role]:
            return f"the {role} answers from the bundle {result['bundle']} instead of {bundles[role]}"
    return None


def _ask(url: str, token: str | None) -> Any:
    """Return what the page's API says about a generated photo."""
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        Image.linear_gradient("L").convert("RGB").save(photo)
        client = Client(
            url,
            # False, not None: None would send the token of the environment, to whatever stands behind the address.
            token=token or False,
            verbose=False,
            analytics_enabled=False,
            download_files=False,
            httpx_kwargs={"timeout": ANSWER_S},
        )
        return client.submit(handle_file(photo), api_name="/classify").result(timeout=ANSWER_S)


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise HubError(f"The staged app does not start: {said[-1] if said else 'it says nothing'}")


def _run(command: list[str], purpose: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, env=_clean_environment())
    if result.returncode:
        lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
        # pip says first what is wrong, and last where its manual is.
        said = next((line for line in lines if line.startswith("ERROR:")), lines[-1])
        raise HubError(f"The check could not {purpose}: {said}")


def _clean_environment() -> dict[str, str]:
    """Return of the environment only what installing and running need."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or name.upper().startswith(KEPT_BEGINNINGS)
    }
