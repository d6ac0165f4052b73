"""Run the Dockerfile's steps without Docker: `python tests/run_container.py [PYTHON]`; it fetches packages.

Every COPY, RUN and ENV of `.github/container/Dockerfile` is carried out below a temporary folder, which stands for
`/`, with what its .dockerignore lets through. Then the entry point is started from there as the last stage would
start it, its health check is run, and a drawing is classified over the API. As root the page runs as the last
stage's user, if that user may start PYTHON, by default this one. What it cannot show is that Debian's slim image
has the system libraries that the packages need: it prints those that the image is not known to have.
"""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / ".github" / "container" / "Dockerfile"
OWN = ("/opt/", "/build", "/app")
"""Folders of the container that lie below the temporary one here."""
AS_ROOT = "useradd "
"""What a step begins with that would change the machine, and is left out."""
PASSED = ("HOME", "LANG", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
START_S = 240
"""How long the page may take to start, seconds: here others may be at work too."""
BASE_LIBRARIES = {
    *(
        "ld-linux-x86-64.so.2",
        "libc.so.6",
        "libdl.so.2",
        "libgcc_s.so.1",
        "libm.so.6",
        "libpthread.so.0",
    ),
    *("librt.so.1", "libstdc++.so.6", "libutil.so.1", "libz.so.1"),
}
"""What the slim image has, beside Python's own."""


@dataclass
class Stage:
    """What the steps of one stage have set so far."""

    environment: dict[str, str]
    folder: Path
    user: str = "root"
    last: dict[str, str] = field(default_factory=dict)
    """The last HEALTHCHECK and ENTRYPOINT."""


def main(python: str = getattr(sys, "_base_executable", sys.executable)) -> int:
    """Carry the steps out with an interpreter; return 0 if the page answered."""
    with tempfile.TemporaryDirectory(prefix="trashlens-container-") as scratch:
        root, context = Path(scratch, "root"), Path(scratch, "context")
        copy_context(context)
        (root / "usr" / "bin").mkdir(parents=True)
        (root / "usr" / "bin" / "python").symlink_to(python)
        stage = carry_out(DockerfileParser(str(DOCKERFILE)).structure, root, context)
        print("\nlibraries beyond the slim image:", ", ".join(missing_libraries(root)) or "none")
        return check_page(stage, root)


def copy_context(context: Path) -> None:
    """Copy the files that git keeps and the .dockerignore lets through."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if is_sent(name) and (ROOT / name).is_file():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, context / name)


def is_sent(name: str) -> bool:
    """Return whether the .dockerignore, whose first rule bars all, lets a file through."""
    lines = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
    first, *others = [line for line in lines if line and not line.startswith("#")]
    assert first == "*", "the .dockerignore must begin with a rule that bars all"
    allowed = [line[1:] for line in others if line.startswith("!")]
    return any(name == entry or name.startswith(f"{entry}/") for entry in allowed)


def carry_out(steps: list[dict[str, str]], root: Path, context: Path) -> Stage:
    """Carry out the steps of all stages below `root`, and return the last stage."""
    stage = new_stage(root)
    for step in steps:
        kind, value = step["instruction"], step["value"]
        if kind not in ("COMMENT", "ARG", "SHELL", "EXPOSE"):
            print(f"{kind} {value}", flush=True)
        if kind == "FROM":
            stage = new_stage(root)
        elif kind == "ENV":
            for name, text in (pair.split("=", 1) for pair in shlex.split(value)):
                stage.environment[name] = below(root, text).replace("$PATH", stage.environment["PATH"])
        elif kind == "WORKDIR":
            stage.folder = Path(below(root, value))
            stage.folder.mkdir(parents=True, exist_ok=True)
        elif kind == "COPY" and not value.startswith("--from="):
            copy(value.split(), context, stage.folder)
        elif kind == "RUN" and not value.startswith(AS_ROOT):
            command = ["bash", "-euo", "pipefail", "-c", below(root, value)]
            subprocess.run(command, cwd=stage.folder, env=stage.environment, check=True)
        elif kind == "USER":
            stage.user = value
        elif kind in ("HEALTHCHECK", "ENTRYPOINT"):
            stage.last[kind] = value
    return stage


def new_stage(root: Path) -> Stage:
    """Return a stage at its begin: nothing of this shell's environment but the way to the packages."""
    kept = {name: os.environ[name] for name in os.environ if name in PASSED or name.startswith("PIP_")}
    return Stage(environment={**kept, "PATH": f"{root}/usr/bin:/usr/bin:/bin"}, folder=root)


def below(root: Path, text: str) -> str:
    """Return a command in which the container's folders are those below `root`."""
    return re.sub(rf"(?<![\w.])({'|'.join(OWN)})", lambda found: f"{root}{found[1]}", text)


def copy(names: list[str], context: Path, folder: Path) -> None:
    """Copy files or one folder of the context, as COPY does."""
    *sources, target = names
    for source in map(context.joinpath, sources):
        if source.is_dir():
            shutil.copytree(source, folder / target, dirs_exist_ok=True)
        else:
            shutil.copy2(source, folder / target)


def missing_libraries(root: Path) -> Iterator[str]:
    """Return the system libraries that the installed packages ask for and the slim image has not."""
    files = [path for path in (root / "opt" / "trashlens").rglob("*.so*") if path.is_file()]
    listed = subprocess.run(
        ["readelf", "-d", *map(str, files)], capture_output=True, text=True, check=False
    )
    needed = set(re.findall(r"NEEDED.*\[(.+)\]", listed.stdout))
    return iter(sorted(needed - BASE_LIBRARIES - {path.name for path in files}))


def check_page(stage: Stage, root: Path) -> int:
    """Start the entry point as nobody if this is root, wait for its health check, classify a drawing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        stage.environment["TRASHLENS_PORT"] = str(free.getsockname()[1])
    root.parent.chmod(0o755)
    user = find_user(stage, root)
    stage.environment["HOME"] = "/nonexistent"
    started = time.monotonic()
    command = read_command(stage, "ENTRYPOINT")
    page = subprocess.Popen(command, cwd=stage.folder, env=stage.environment, **as_user(user))
    try:
        while (healthy := run_health(stage, user)) != 0 and time.monotonic() - started < START_S:
            if page.poll() is not None:
                break
            time.sleep(0.5)
        print(f"healthy after {time.monotonic() - started:.0f} s" if healthy == 0 else "never healthy")
        return healthy or classify(stage, root)
    finally:
        page.terminate()
        print("stopped with", page.wait(timeout=30))


def find_user(stage: Stage, root: Path) -> int | None:
    """Return the last stage's user as whom to run the page; None for the one who runs this."""
    try:
        python = root / "opt/trashlens/bin/python"
        subprocess.run([python, "-c", ""], check=True, **as_user(int(stage.user)))
    except (OSError, subprocess.CalledProcessError):
        print(f"NOT CHECKED: this user or interpreter does not allow to run it as {stage.user}")
        return None
    print(f"runs as {stage.user}")
    return int(stage.user)


def as_user(user: int | None) -> dict[str, Any]:
    """Return how to start a process as a user who is in no group but one of that number, as in the container."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def read_command(stage: Stage, kind: str) -> list[str]:
    """Return an instruction's command, which is in the JSON form, with the stage's own program."""
    value = stage.last[kind]
    program, *arguments = json.loads(value[value.index("[") :])
    return [shutil.which(program, path=stage.environment["PATH"]) or program, *arguments]


def run_health(stage: Stage, user: int | None) -> int:
    """Return the exit code of the health check."""
    command, silent = read_command(stage, "HEALTHCHECK"), subprocess.DEVNULL
    done = subprocess.run(command, env=stage.environment, stderr=silent, check=False, **as_user(user))
    return done.returncode


def classify(stage: Stage, root: Path) -> int:
    """Ask the page about a drawing; return 0 if three networks answered."""
    photo = ROOT / "src" / "trashlens" / "ui" / "examples" / "glass.jpg"
    code = (
        "import sys; from gradio_client import Client, handle_file as f;"
        "a = Client(sys.argv[1], verbose=False).predict(f(sys.argv[2]), api_name='/classify');"
        "print({r: x['label'] for r, x in a['results'].items()}); sys.exit(len(a['results']) != 3)"
    )
    python = root / "opt" / "trashlens" / "bin" / "python"
    url = f"http://127.0.0.1:{stage.environment['TRASHLENS_PORT']}"
    environment = stage.environment | {"HOME": str(root)}
    return subprocess.run([python, "-c", code, url, photo], check=False, env=environment).returncode


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
