"""Measurements that need a process of their own: settings in, a result out, both JSON."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from trashlens.errors import BenchmarkError

__all__ = ["read_settings", "run_child", "write_result"]

TIMEOUT_S = 900
"""After this a process is taken to hang, seconds."""


def run_child(module: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Run a module in a fresh process and return what it measured; Ctrl-C ends it too.

    Raises:
        BenchmarkError: it did not end well.
    """
    command = [sys.executable, "-m", module, json.dumps(settings)]
    name = module.rpartition(".")[2]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"The process that measures {name} did not end. Try again.") from error
    if child.returncode:
        last = next(reversed(child.stderr.strip().splitlines()), f"exit code {child.returncode}")
        raise BenchmarkError(f"The process that measures {name} failed: {last}")
    result: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return result


def read_settings() -> dict[str, Any]:
    """Return what `run_child` gave to this process."""
    settings: dict[str, Any] = json.loads(sys.argv[1])
    return settings


def write_result(result: Mapping[str, Any]) -> None:
    """Hand the result to `run_child`."""
    print(json.dumps(result))
