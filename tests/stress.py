"""Load and faults: many clients on a real server, one request in five hostile, and a kill in their midst.

`pipenv run stress` takes three minutes and ends with one line of JSON; exit code 1 when a request was lost, the
server's memory grew, or it did not answer afterwards. `--help` lists the settings.
"""

import argparse
import asyncio
import io
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil
from browser import ROOT, start_app
from hostile import write_corpus
from PIL import Image

from trashlens.server.gate import BUSY

__all__ = ["Tally", "main", "run_load"]

HOSTILE_SHARE = 0.2
MOST_GROWTH = 0.10
"""By how much the server's memory may grow after the first minute, as a share."""
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
) -> Tally:
    """Load the server at `url`, and ask it for one clean photo at the end.

    Raises:
        ValueError: the clean photo was not answered.
    """
    tally, photos, start_s = Tally(), draw_photos(50), time.monotonic()
    async with connect(url) as client:
        watcher = asyncio.create_task(watch(psutil.Process(process_id), tally, start_s))
        await asyncio.gather(
            *(
                visit(client, tally, photos, hostile, until_s=start_s + seconds, seed=seed)
                for seed in range(clients)
            )
        )
        watcher.cancel()
        if (outcome := await ask(client, "clean.jpg", photos[0])) != "answered":
            raise ValueError(f"After the load a clean photo was {outcome}.")
    return tally


async def kill_amidst(url: str, process_id: int) -> int:
    """Kill the server while it works on requests; return how many were open."""
    photos = draw_photos(16, seed=1)
    async with connect(url) as client:
        requests = [asyncio.create_task(ask(client, "photo.jpg", photo)) for photo in photos]
        await asyncio.sleep(0.15)
        still_open = sum(not request.done() for request in requests)
        psutil.Process(process_id).send_signal(signal.SIGKILL)
        await asyncio.gather(*requests, return_exceptions=True)
    return still_open


def main(argv: Sequence[str] | None = None) -> int:
    """Load, kill and restart the server; return 1 when it did not stand it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clients", type=int, default=32, help="clients at a time (default: 32)")
    parser.add_argument("--seconds", type=float, default=180, help="length of the load (default: 180)")
    parser.add_argument(
        "--warm-up", type=float, default=60, help="seconds before memory counts (default: 60)"
    )
    parser.add_argument(
        "--models", type=Path, default=ROOT / "models", help="the bundles (default: models)"
    )
    parser.add_argument(
        "--most-growth",
        type=float,
        default=MOST_GROWTH,
        help="of memory after it, as a share (default: 0.1)",
    )
    parser.add_argument("--hostile", type=Path, help="folder of hostile files (default: made anew)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        corpus = options.hostile or Path(folder) / "hostile"
        if not options.hostile:
            write_corpus(corpus)
        expected = json.loads((corpus / "expected.json").read_text())
        hostile = [(corpus / name, what) for name, what in sorted(expected.items())]
        log, temporary = Path(folder) / "log.txt", {"TMPDIR": folder}
        with start_app(options.models, log, **temporary) as (url, process_id):
            load = run_load(
                url, process_id, clients=options.clients, seconds=options.seconds, hostile=hostile
            )
            tally = asyncio.run(load)
        with start_app(options.models, log, **temporary) as (url, process_id):
            killed = asyncio.run(kill_amidst(url, process_id))
        with start_app(options.models, log, **temporary) as (url, process_id):
            left = len(list(Path(folder).glob("trashlens-uploads-*"))) - 1
            again = asyncio.run(run_load(url, process_id, clients=2, seconds=2, hostile=hostile))
    growth = tally.growth(min(options.warm_up, options.seconds / 3))
    report = {
        "clients": options.clients,
        "seconds": options.seconds,
        "hostile_files": len(hostile),
        "requests": dict(tally.outcomes),
        "lost": tally.lost,
        "latency_s": {
            f"p{p}": round(float(np.percentile(tally.latencies_s, p)), 3) for p in (50, 95, 100)
        },
        "memory_mb": [round(rss / 1e6) for _, rss in (tally.rss_bytes[0], tally.rss_bytes[-1])],
        "memory_growth": round(growth, 3),
        "killed_amidst": killed,
        "folders_left_by_the_killed": left,
        "after_the_restart": dict(again.outcomes),
    }
    stood = not tally.lost and not again.lost and growth < options.most_growth and left == 0
    print(json.dumps({**report, "stood": stood}))
    return 0 if stood else 1


if __name__ == "__main__":
    sys.exit(main())
