"""What the server allows: every limit with its default, read from the command line or the environment."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, set_parsing_settings

from trashlens.image import ImageLimits
from trashlens.machine import count_cores
from trashlens.providers import CPU

__all__ = ["Settings", "parse_settings", "too_large"]

REPO = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the server serves, to how many, and for how long."""

    models: Path = Path("models")
    """Folder of the three bundles."""
    provider: str = CPU
    """Where the networks compute: `cpu`, or what else the installed ONNX Runtime knows (`trashlens.providers`)."""
    photo: ImageLimits = field(default_factory=ImageLimits)
    """What one photo may cost."""
    waiting: int = 64
    """Requests that may wait in the queue; the next one is told to try again."""
    at_once: int = field(default_factory=count_cores)
    """Photos that are worked on at the same time; by default one a core."""
    request_s: float = 10.0
    """How long a photo may take once it has its turn, seconds; after that its request gets an apology."""
    batch_photos: int = 200
    """Photos in a batch."""
    batch_mb: int = 128
    """Size of a batch, megabytes, as it is uploaded and unpacked; no upload may be larger."""
    batch_s: float = 60.0
    """How long a batch may take once it has its turn, seconds; photos that are left then must be sent again."""
    viewers: int = 4
    """Webcams served at the same time; more wait for a place."""
    stream_s: float = 300.0
    """After this a webcam stops and its place goes to whoever waits, seconds."""
    connections: int = 512
    """Open requests of all visitors; the next one is told to try again. A visitor's page holds two."""
    keep_s: int = 120
    """Age at which an upload is deleted, seconds."""
    uploads_mb: int = 2048
    """Size of all uploads that are kept at a time, megabytes; further ones are told to try again."""
    feedback: Path | None = None
    """Folder for photos whose right class visitors tell, with their consent; without it, and without
    `feedback_repo`, the page does not ask."""
    feedback_repo: str | None = None
    """Dataset on the Hugging Face Hub, `user/name`, that feedback is pushed to with the token in HF_TOKEN; made,
    and private, where there is none."""
    feedback_mb: int = 1024
    """Size of the feedback that is kept in the folder, megabytes; beyond it no more is taken."""
    log: Literal["all", "photos", "none"] = "photos"
    """Which requests leave a line in the log: with `all` each frame of a webcam, too."""
    metrics: bool = False
    """Whether `/metrics` tells counts and times, for Prometheus."""

    @property
    def upload_bytes(self) -> int:
        """Largest upload, bytes: a photo, or all the files of a batch."""
        return max(self.photo.max_bytes, self.batch_mb * 2**20)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if type(value) in (int, float) and not 0 < value < math.inf:
                raise ValueError(f"{name} is {value:g}; it must be positive.")
        if self.feedback_repo is not None and not REPO.fullmatch(self.feedback_repo):
            raise ValueError(f"feedback_repo is {self.feedback_repo!r}; give the dataset as user/name.")


def too_large(settings: Settings) -> str:
    """Return the sentence for an upload over the limit."""
    return f"The upload has more than {settings.upload_bytes / 2**20:.3g} MB. Send a smaller file, or fewer."


def parse_settings(argv: Sequence[str] | None = None, *, models: Path) -> Settings:
    """Return what the arguments say, else the environment (`TRASHLENS_WAITING=10`), else the defaults.

    Raises:
        SystemExit: a setting is unknown or out of range; the reason is on stderr, the code is 2.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog="app.py",
        description="Serve the Trashlens page. Each setting is an option and a variable of the environment.",
        default_env=True,
        env_prefix="TRASHLENS",
    )
    parser.add_class_arguments(Settings, default={"models": models})
    try:
        return Settings(**vars(parser.instantiate(parser.parse_args(argv))))
    except ValueError as error:
        parser.error(str(error))
