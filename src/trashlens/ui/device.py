"""The On-device tab: the student in the visitor's browser, and the files that it needs there."""

import dataclasses
import json
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from trashlens.bundle import MODEL_FILE
from trashlens.classifier import Classifier
from trashlens.files import hash_file
from trashlens.server.desk import Desk
from trashlens.server.refusals import refuse
from trashlens.ui.camera import CameraTab, build_camera_tab
from trashlens.ui.cards import name_roles, render_empty
from trashlens.ui.doubts import explain_doubt
from trashlens.ui.examples import render_examples
from trashlens.ui.words import Parts, Words

__all__ = ["build_device_tab", "device_routes"]

ROLE = "student"
SAID = (
    *(
        "card.unsure",
        "card.guess",
        "device.starting",
        "device.looking",
        "device.unfit",
        "device.unreadable",
    ),
    *("device.graphics", "device.thread", "device.threads"),
)
"""Sentences that `device.js` says."""
WORKER = Path(__file__).with_name("device_worker.js")
RUNTIME = Path(__file__).with_name("runtime")
"""ONNX Runtime Web, each file compressed; `package.json` there says which version, and how it is fetched."""
NETWORK = "student.onnx"
KINDS = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}


def build_device_tab(desk: Desk, parts: Parts) -> None:
    """Lay out the tab inside the current Blocks."""
    build_camera_tab("device", parts, lambda words: _render(desk, words))


def _render(desk: Desk, words: Words) -> CameraTab:
    student = desk.classifiers.get(ROLE)
    setup = json.dumps(_describe(student) if student else None)
    who = name_roles([ROLE], words)
    who = who[0].upper() + who[1:]
    labels = student.bundle.labels if student else ()
    return CameraTab(
        controls=(
            f'<label class="tl-choose"><input type="file" accept="image/*">{words["device.choose"]}</label>'
            f"{render_examples(desk, words) if student else ''}"
            f'<data class="tl-setup" value="{escape(setup)}"></data>'
        ),
        note=words["device.note"],
        results=render_empty(
            {ROLE: desk.lineup[ROLE]}, words["device.invitation" if student else "device.absent"], words
        ),
        said={
            **words.pick(*SAID),
            "says": words["verdict.names.one"].format(who=who, label="{label}") + ".",
            "why": explain_doubt(student.bundle, words) if student else "",
            "doubts": words["verdict.unsure.one"].format(who=who) + ".",
            "classes": {label: words.find("class", label) for label in labels},
        },
    )


def device_routes(desk: Desk) -> list[Route]:
    """Return the routes of what the tab's script loads: its worker, the runtime, the student's network.

    A browser may keep them for ever, since other versions of them have another address.
    """
    student = desk.classifiers.get(ROLE)
    if student is None:
        return []
    runtime = {path.stem: path for path in RUNTIME.glob("*.gz")}
    files = {
        "worker.js": WORKER,
        NETWORK: desk.settings.models / ROLE / MODEL_FILE,
        **runtime,
    }

    async def give(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            return refuse(404, "Not found.")
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        if name in runtime:
            headers["Content-Encoding"] = "gzip"
        # Replaced while the server runs, it is not what this address stands for.
        if (
            name == NETWORK
            and await anyio.to_thread.run_sync(hash_file, files[name]) != student.bundle.sha256
        ):
            return refuse(404, "Not found.")
        kind = KINDS.get(Path(name).suffix, "application/octet-stream")
        return FileResponse(files[name], headers=headers, media_type=kind)

    return [Route(f"/device/{_version(student)}/{{name}}", give)]


def _describe(student: Classifier) -> dict[str, Any]:
    """Return what the script must know of the bundle, and where the files are."""
    bundle = student.bundle
    return {
        "folder": f"device/{_version(student)}",
        "labels": bundle.labels,
        "preprocess": dataclasses.asdict(bundle.preprocess),
        "temperature": bundle.temperature,
        "threshold": bundle.threshold or 0,
    }


def _version(student: Classifier) -> str:
    """Return a hash of everything that the script loads."""
    runtime = (RUNTIME / "package.json").read_bytes()
    return sha256(runtime + WORKER.read_bytes() + student.bundle.short_id.encode()).hexdigest()[:16]
