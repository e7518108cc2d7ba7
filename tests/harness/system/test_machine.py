"""What a result says about its machine."""

from __future__ import annotations

import pytest

from harness.system.machine import describe_machine


def test_a_named_commit_comes_before_that_of_a_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    describe_machine.cache_clear()
    monkeypatch.setenv("BENCH_LONG_COMMIT", "0123456789ab")
    try:
        assert describe_machine()["commit"] == "0123456789ab"
    finally:
        describe_machine.cache_clear()
