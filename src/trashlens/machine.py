"""What this machine is and which code it runs, for thread counts and for the records of measurements."""

import ctypes
import math
import os
import platform
import socket
import subprocess
from pathlib import Path

__all__ = [
    "code_commit",
    "count_cores",
    "find_free_port",
    "processor_name",
    "raise_open_files",
    "return_large_memory",
    "return_memory",
]

M_MMAP_THRESHOLD, LARGE_BYTES = -3, 2**20
"""The number by which glibc's malloc.h calls the limit, and our choice of it."""
QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux tells a container its share: microseconds of work in each period of microseconds."""


def count_cores(quota_file: Path = QUOTA_FILE) -> int:
    """Return how many cores this process may use, at least 1: by affinity, and by a container's quota of time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = quota_file.read_text(encoding="utf-8").split()
        return max(1, min(cores, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        return cores  # not Linux, another version of its groups, or "max"


def processor_name() -> str:
    """Return the processor's name and the number of usable cores; no host name."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux, or a processor that does not say
    return f"{name}, {count_cores()} cores"


def find_free_port() -> int:
    """Return a port of the loopback that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def raise_open_files(wanted: int) -> int:
    """Let this process have `wanted` files open, if it may; return how many it may have now, at least."""
    try:
        import resource
    except ImportError:
        return wanted  # Windows, which has no such limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft


def code_commit() -> str | None:
    """Return the commit of this code, marked when the working tree differs from it; None outside a checkout."""
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        result = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent
        )
        return result.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def return_memory() -> None:
    """Give freed memory back to the system, where the C library keeps it: after work that is done once."""
    if (library := _find_glibc()) is not None:
        library.malloc_trim(0)


def return_large_memory() -> None:
    """Let memory of `LARGE_BYTES` or more go back to the system as soon as it is freed, from now on.

    Otherwise the C library raises that limit with each large picture, and keeps what each thread ever took.
    """
    if (library := _find_glibc()) is not None:
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def _find_glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if os.name == "posix" else None
    return library if hasattr(library, "malloc_trim") else None
