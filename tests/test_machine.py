"""The machine is named without naming the host."""

import os
import platform
from pathlib import Path

import pytest

from trashlens.machine import (
    LARGE_BYTES,
    count_cores,
    processor_name,
    return_large_memory,
    return_memory,
)


def test_the_cores_are_those_of_this_process() -> None:
    assert 1 <= count_cores() <= (os.cpu_count() or 1)


def test_it_works_where_linux_facilities_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr("trashlens.machine.Path.read_text", _missing)
    assert processor_name() == f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def test_the_host_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "my-own-host")
    assert processor_name().endswith(" cores")
    assert "my-own-host" not in processor_name()


def _missing(*_: object, **__: object) -> str:
    raise FileNotFoundError


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("5000 100000", 1),
        ("max 100000", 8),
        ("", 8),
        (None, 8),
    ],
)
def test_a_container_counts_its_share_of_the_cores(
    quota: str | None, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    file = tmp_path / "cpu.max"
    if quota is not None:
        file.write_text(quota)
    assert count_cores(file) == cores


def test_memory_is_given_back_where_the_c_library_can(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Library:
        def malloc_trim(self, kept_bytes: int) -> None:
            calls.append(("trim", kept_bytes))

        def mallopt(self, parameter: int, value: int) -> None:
            calls.append((parameter, value))

    monkeypatch.setattr("trashlens.machine.ctypes.CDLL", lambda _: Library())
    return_memory()
    return_large_memory()
    assert calls == [("trim", 0), (-3, LARGE_BYTES)]
    monkeypatch.setattr("trashlens.machine.ctypes.CDLL", lambda _: object())  # musl has none of it
    return_memory()
    return_large_memory()
    assert len(calls) == 2
