"""A cache of the tests' own, shared by all of them: the first to need a task's data builds it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache(shared: Path) -> Iterator[Path]:
    folder = shared / "cache"
    folder.mkdir(exist_ok=True)
    before = os.environ.get("BENCH_LONG_CACHE")
    os.environ["BENCH_LONG_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["BENCH_LONG_CACHE"]
    else:
        os.environ["BENCH_LONG_CACHE"] = before


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a task that needs no network opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None) -> Path:
    monkeypatch.setenv("BENCH_LONG_HUB", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    return tmp_path


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None) -> Path:
    monkeypatch.setenv("LRA_DATA", str(tmp_path))
    return tmp_path
