"""What the server allows: every limit with its default, read from the command line or the environment."""

import logging
import math
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, NoReturn

from jsonargparse import ArgumentParser, set_parsing_settings

from trashlens.image import ImageLimits
from trashlens.machine import count_cores
from trashlens.providers import CPU

__all__ = ["Settings", "parse_settings", "too_large"]

logger = logging.getLogger(__name__)

GRADIO_VARIABLES = {"host": "GRADIO_SERVER_NAME", "port": "GRADIO_SERVER_PORT"}
"""What whoever runs Gradio apps, such as a Space, sets in place of ours."""
REPO = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the server serves, to how many, and for how long."""

    host: str = "127.0.0.1"
    """Address to listen at, by default this machine alone; `0.0.0.0` is all of its networks. GRADIO_SERVER_NAME,
    which Spaces set, counts as well."""
    port: int = 7860
    """Port to listen at. GRADIO_SERVER_PORT counts as well."""
    models: Path = Path("models")
    """Folder of the three bundles."""
    examples: Path | None = None
    """Folder of photos that visitors may try, the first 12 by name; by default drawings that come along."""
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
    upload_s: float = 300.0
    """How long an upload may take to come, seconds."""
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
        if self.port >= 2**16:
            raise ValueError(f"port is {self.port}; the largest is {2**16 - 1}.")
        for name in ("feedback", "examples"):
            if getattr(self, name) == Path():  # as an empty variable is read
                raise ValueError(f"{name} is empty, or this folder; name a folder, or leave it out.")
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
    parser = _Parser(
        prog="app.py",
        description="Serve the Trashlens page. Each setting is an option and a variable of the environment.",
        default_env=True,
        env_prefix="TRASHLENS",
    )
    parser.add_class_arguments(Settings, default={"models": models})
    known = {_variable(action.dest) for action in parser._actions}
    for variable in os.environ:
        if variable not in known and (meant := get_close_matches(variable, known, n=1, cutoff=0.9)):
            logger.warning(
                "There is no setting %s, so it changes nothing. Is %s meant?", variable, *meant
            )
    implied = [
        f"--{name}={os.environ[variable]}"
        for name, variable in GRADIO_VARIABLES.items()
        if os.environ.get(variable) and not os.environ.get(_variable(name))
    ]
    try:
        chosen = parser.parse_args([*implied, *(sys.argv[1:] if argv is None else argv)])
        return Settings(**vars(parser.instantiate(chosen)))
    except ValueError as error:
        parser.error(str(error))


class _Parser(ArgumentParser):
    def error(self, message: str, ex: Exception | None = None) -> NoReturn:  # noqa: ARG002
        """End with the sentence, in which jsonargparse's key becomes what somebody wrote."""
        if wrong := re.match(r'Parser key "([\w.]+)":\s*(.*)', message, re.DOTALL):
            name, reason = wrong.groups()
            reason = re.sub(r"<class '(\w+)'>|typing\.", r"\1", reason.strip())
            variables = " or ".join(filter(None, [_variable(name), GRADIO_VARIABLES.get(name)]))
            message = f"--{name}, or {variables}: {reason}"
        sys.stderr.write(f"error: {' '.join(message.split())} See --help.\n")
        self.exit(2)


def _variable(name: str) -> str:
    """Return the variable of a setting, as jsonargparse names it."""
    return f"TRASHLENS_{name.replace('.', '__').upper()}"
