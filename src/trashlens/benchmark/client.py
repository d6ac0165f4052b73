"""A fresh process of several clients that ask the queued API again and again, as strangers' programs do."""

import asyncio
import itertools
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from trashlens.benchmark.children import read_settings, write_result

__all__ = ["main"]

TIMEOUT_S = 120
UPLOADERS = 4
"""Uploads at a time, before the clock starts."""


def main() -> None:
    """Print the latencies of all answers, how many were none, and the time from first to last, as JSON."""
    write_result(asyncio.run(_ask(**read_settings())))


async def _ask(*, url: str, photo: str, clients: int, seconds: float, ahead: int) -> dict[str, Any]:
    """Let `clients` ask for `seconds`; up to `ahead` photos are uploaded before, 0 for one with each request."""
    name, copies = Path(photo).name, _copies(Path(photo).read_bytes())
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(
        base_url=f"{url}gradio_api/", timeout=TIMEOUT_S, limits=limits, trust_env=False
    ) as client:
        paths: Iterator[str] | None = None
        if ahead:
            uploaded = await _upload_ahead(client, name, copies, clients=clients, ahead=ahead)
            paths = itertools.cycle(uploaded)

        async def request(session: str) -> str:
            path = next(paths) if paths else await _upload(client, name, next(copies))
            return await _classify(client, path, session)

        sessions = [uuid.uuid4().hex for _ in range(clients)]
        await asyncio.gather(*map(request, sessions))  # connections and caches are warm
        latencies_ms: list[float] = []
        failures: Counter[str] = Counter()
        start, cpu_start = time.perf_counter(), time.process_time()

        async def go_on_asking(session: str) -> None:
            while time.perf_counter() - start < seconds:
                asked = time.perf_counter()
                failure = await request(session)
                if failure:
                    failures[failure] += 1
                else:
                    latencies_ms.append((time.perf_counter() - asked) * 1e3)

        await asyncio.gather(*map(go_on_asking, sessions))
        return {
            "latencies_ms": latencies_ms,
            "failures": failures,
            "elapsed_s": time.perf_counter() - start,
            "cpu_s": time.process_time() - cpu_start,
        }


def _copies(data: bytes) -> Iterator[bytes]:
    """Yield the photo with another number behind its end each time.

    Decoders stop at the end, and the server, which names uploads by their content, keeps each as its own.
    """
    # Behind those of the processes before, whose files may still be there.
    first = time.time_ns()
    return (data + number.to_bytes(8, "big") for number in itertools.count(first))


async def _upload_ahead(
    client: httpx.AsyncClient, name: str, copies: Iterator[bytes], *, clients: int, ahead: int
) -> list[str]:
    """Return the paths of a photo for each client, or of `ahead` if the server forgets what it has answered."""
    paths = [await _upload(client, name, next(copies)) for _ in range(clients)]
    session = uuid.uuid4().hex
    await _classify(client, paths[0], session)
    if not await _classify(client, paths[0], session):
        return paths
    del paths[0]

    async def upload_some() -> None:
        while len(paths) < ahead:
            paths.append(await _upload(client, name, next(copies)))

    await asyncio.gather(*(upload_some() for _ in range(UPLOADERS)))
    return paths


async def _upload(client: httpx.AsyncClient, name: str, data: bytes) -> str:
    answer = await client.post("upload", files={"files": (name, data)})
    path: str = answer.raise_for_status().json()[0]
    return path


async def _classify(client: httpx.AsyncClient, path: str, session: str) -> str:
    """Ask about an uploaded photo and read the answer to its end; return what went wrong, or nothing.

    A client keeps its session, as pages and Gradio's own clients do; opening one costs the server milliseconds.
    """
    photo = {"path": path, "meta": {"_type": "gradio.FileData"}}
    body = {"data": [photo], "session_hash": session}
    answer = await client.post("call/classify", json=body)
    if answer.is_error:
        return f"HTTP {answer.status_code}"
    event = answer.json()["event_id"]
    text = (await client.get(f"call/classify/{event}")).text
    events = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    if "complete" in events:
        return ""
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return _name_failure(data[-1]) if data else "no answer"


def _name_failure(data: str) -> str:
    record = json.loads(data)
    return str(record.get("error") or record) if isinstance(record, dict) else str(record)


if __name__ == "__main__":
    main()
