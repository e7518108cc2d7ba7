"""One fork server for the cells of a run and for what is computed before them."""

from __future__ import annotations

from multiprocessing import forkserver
from typing import Any

import pytest

from harness.costs.pool import workers
from harness.system import server
from harness.system.lifeline import end_server


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Any:
    """No server, and no modules chosen."""
    end_server()
    monkeypatch.setattr(server, "_chosen", ())
    yield forkserver._forkserver  # type: ignore[attr-defined]
    end_server()


def test_the_first_choice_of_modules_stays(fresh: Any) -> None:
    server.fork_server(["json"], keep=True)
    server.fork_server(["csv"], keep=True)
    assert fresh._preload_modules == ["json"]
    server.fork_server(["csv"])
    assert fresh._preload_modules == ["csv"]


def test_dry_runs_are_forked_from_the_server_of_the_run(
    fresh: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.costs.pool._prepare", _nothing)
    server.fork_server(["json"])
    server.start_server()
    leader = fresh._forkserver_pid
    with workers(1) as pool:
        assert pool.submit(_parent).result() == leader
    assert fresh._forkserver_pid == leader


def _parent() -> int:
    import os

    return os.getppid()


def _nothing() -> None:
    """Import nothing."""
