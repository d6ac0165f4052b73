"""All that was measured as one document, with what it was measured on."""

import dataclasses
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import psutil

from trashlens.benchmark.camera import CameraResult
from trashlens.benchmark.config import BenchmarkConfig
from trashlens.benchmark.inference import InferenceResult
from trashlens.benchmark.load import LoadResult
from trashlens.benchmark.request import RequestResult
from trashlens.benchmark.start import StartResult
from trashlens.machine import code_commit, count_cores, processor_name

__all__ = ["BUSY", "Machine", "PageResult", "Report", "describe_machine"]

FORMAT = 1
PACKAGES = (
    *("gradio", "httpx", "numpy", "onnxruntime", "pillow", "psutil"),
    *("playwright", "timm", "torch", "torchvision"),
)
"""Those that are not installed are left out."""
BUSY = 0.1
"""Share of the processor that others use, from which on all times are too long."""
LOOK_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What was measured on; no path, no host name."""

    processor: str
    """Its name and the number of usable cores."""
    threads: int
    """Threads of each network as served, and of the ordinary app: one a core."""
    busy_before: float
    """Share of the whole processor that was in use just before, in 0..1."""
    python: str
    system: str
    packages: Mapping[str, str]
    """Versions."""
    commit: str | None
    """Of the code, `-dirty` where it was changed; None outside a checkout."""


@dataclass(frozen=True, kw_only=True)
class PageResult:
    """The page as a server."""

    start: StartResult
    load: LoadResult


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything; a part that was not asked for or cannot be measured here is None."""

    machine: Machine
    settings: BenchmarkConfig
    inference: InferenceResult | None = None
    request: RequestResult | None = None
    page: PageResult | None = None
    webcam: CameraResult | None = None
    device: CameraResult | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why, in a sentence, by part or `request.ordinary`."""

    def to_json(self) -> str:
        """Return the document in one line."""
        record: dict[str, Any] = {"format": FORMAT, **dataclasses.asdict(self)}
        return json.dumps(record, allow_nan=False)


def describe_machine() -> Machine:
    """Look at the machine for a second."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return Machine(
        processor=processor_name(),
        threads=count_cores(),
        busy_before=psutil.cpu_percent(interval=LOOK_S) / 100,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        packages=versions,
        commit=code_commit(),
    )
