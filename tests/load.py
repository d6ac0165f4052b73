"""Load: many clients on a real server, one request in five hostile, beside connections that say nothing."""

import asyncio
import contextlib
import io
import json
import random
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil
from PIL import Image

from trashlens.server.refusals import BUSY

__all__ = ["Tally", "ask", "connect", "draw_photos", "run_load"]

HOSTILE_SHARE = 0.2
MUTE = 1500
"""Connections at a time that send nothing, or never the end of a request; more than the server holds."""
SAY_EVERY_S = 10.0
TIMEOUT_S = 60.0
SENTENCES = (
    "The image ",
    "This is not an image",
    "The file ",
    "The JPEG ",
    "The PNG ",
    "The TIFF ",
    "TIFF with ",
    "This kind of ",
    "Run-length ",
)
"""How the documented refusals of a photo begin."""
OUTCOMES = {"photo": {"answered"}, "refused": {"refused"}, "either": {"answered", "refused"}}
"""What may become of a file, by what the corpus expects of it; to be told to come back is always right."""


@dataclass
class Tally:
    """What became of the requests, and what the server held meanwhile."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """`answered`, `refused` with a sentence, `busy`, or `lost`."""
    lost: list[str] = field(default_factory=list)
    """Why the lost ones were, at most a hundred."""
    latencies_s: list[float] = field(default_factory=list)
    mute: int = 0
    """Connections that were opened to say nothing."""
    rss_bytes: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since the start, and the resident memory of the server with its children."""

    def growth(self, after_s: float) -> float:
        """Return the share by which memory grew from `after_s` to the end, by medians over a tenth each."""
        kept = [rss for seconds, rss in self.rss_bytes if seconds >= after_s]
        part = max(1, len(kept) // 10)
        return statistics.median(kept[-part:]) / statistics.median(kept[:part]) - 1


def draw_photos(count: int, *, seed: int = 0) -> list[bytes]:
    """Return JPEGs of 640×480 pixels with shapes and noise, each another."""
    generator = np.random.default_rng(seed)
    photos = []
    for _ in range(count):
        small = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC).save(buffer, "JPEG")
        photos.append(buffer.getvalue())
    return photos


async def ask(client: httpx.AsyncClient, name: str, content: bytes) -> str:
    """Send a photo through the queued API to the end of its answer; return what became of it.

    Raises:
        httpx.HTTPError, ValueError: the request was lost.
    """
    upload = await client.post("gradio_api/upload", files={"files": (name, content)})
    if upload.status_code == 413:
        return "refused"
    if upload.status_code == 503:
        return "busy"
    (path,) = upload.raise_for_status().json()
    photo = {"path": path, "meta": {"_type": "gradio.FileData"}}
    call = await client.post("gradio_api/call/classify", json={"data": [photo]})
    if call.status_code == 503 and call.json()["detail"] == BUSY:
        return "busy"
    event = call.raise_for_status().json()["event_id"]
    answer = await client.get(f"gradio_api/call/classify/{event}")
    lines = answer.raise_for_status().text.splitlines()
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    data = json.loads(
        next(line.removeprefix("data: ") for line in reversed(lines) if line.startswith("data: "))
    )
    if names[-1] == "complete" and data[0]["results"]:
        return "answered"
    if names[-1] == "error" and (data.get("error") or "").startswith(SENTENCES):
        return "refused"
    raise ValueError(f"{names[-1]}: {data}")


async def visit(
    client: httpx.AsyncClient,
    tally: Tally,
    photos: Sequence[bytes],
    hostile: Sequence[tuple[Path, str]],
    *,
    until_s: float,
    seed: int,
) -> None:
    """Be one client until the time is over, waiting a little when told to come back."""
    choice = random.Random(seed)
    while time.monotonic() < until_s:
        bad = choice.random() < HOSTILE_SHARE
        if bad:
            path, expected = choice.choice(hostile)
            name, content = path.name, await asyncio.to_thread(path.read_bytes)
        else:
            name, content, expected = "photo.jpg", choice.choice(photos), "photo"
        start = time.monotonic()
        try:
            outcome = await ask(client, name, content)
            if outcome not in {"busy", *OUTCOMES[expected]}:
                raise ValueError(f"{outcome}, although it is to be {expected}")
        except (httpx.HTTPError, ValueError, KeyError, StopIteration) as error:
            outcome = "lost"
            tally.lost[100:] = []
            tally.lost.append(f"{name}: {type(error).__name__} {error}"[:300])
        tally.outcomes[outcome] += 1
        if outcome == "busy":
            await asyncio.sleep(choice.uniform(0.2, 1.0))
        else:
            tally.latencies_s.append(time.monotonic() - start)


async def stay_mute(url: str, tally: Tally, *, number: int) -> None:
    """Keep a connection open that never says all it has to, again and again, until cancelled."""
    address = httpx.URL(url)
    while True:
        with contextlib.suppress(OSError):  # closed by the server, as it should
            reader, writer = await asyncio.open_connection(address.host, address.port)
            tally.mute += 1
            try:
                writer.write(
                    b"POST /gradio_api/upload HTTP/1.1\r\nHost: here\r\nX: " if number % 2 else b""
                )
                await reader.read()
            finally:
                writer.transport.abort()
        await asyncio.sleep(1)


async def tell(tally: Tally, start_s: float, say: Callable[[str], None]) -> None:
    """Say from time to time how it goes."""
    while True:
        await asyncio.sleep(SAY_EVERY_S)
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.outcomes.items()))
        rss = tally.rss_bytes[-1][1] if tally.rss_bytes else 0
        say(f"{time.monotonic() - start_s:4.0f} s: {outcomes or 'nothing yet'}; {rss / 1e6:.0f} MB")


async def watch(process: psutil.Process, tally: Tally, start_s: float) -> None:
    """Read the server's memory once a second."""
    while True:
        family = [process, *process.children(recursive=True)]
        rss = sum(member.memory_info().rss for member in family if member.is_running())
        tally.rss_bytes.append((time.monotonic() - start_s, rss))
        await asyncio.sleep(1)


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client whose connections are not the bottleneck."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits) as client:
        yield client


async def run_load(
    url: str,
    process_id: int,
    *,
    clients: int,
    seconds: float,
    hostile: Sequence[tuple[Path, str]],
    mute: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> Tally:
    """Load the server at `url`, beside `mute` connections, and ask it for one clean photo at the end.

    Raises:
        ValueError: the clean photo was not answered.
    """
    tally, photos, start_s = Tally(), draw_photos(50), time.monotonic()
    async with connect(url) as client:
        beside = [
            asyncio.create_task(watch(psutil.Process(process_id), tally, start_s)),
            asyncio.create_task(tell(tally, start_s, say)),
            *(asyncio.create_task(stay_mute(url, tally, number=number)) for number in range(mute)),
        ]
        await asyncio.gather(
            *(
                visit(client, tally, photos, hostile, until_s=start_s + seconds, seed=seed)
                for seed in range(clients)
            )
        )
        if (outcome := await ask(client, "clean.jpg", photos[0])) != "answered":
            raise ValueError(f"After the load a clean photo was {outcome}.")
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
    return tally
