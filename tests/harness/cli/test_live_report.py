"""The report is rewritten while training cells run, and never beside probes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cli import live_report, sweep_commands
from harness.cli.live_report import LiveReport
from tests.harness.conftest import run_here


def ended(name: str, kind: str = "train") -> Any:
    return SimpleNamespace(id=name, kind=kind)


def test_the_report_is_rewritten_while_other_cells_train(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    written: list[float] = []

    def write() -> None:
        written.append(now[0])
        now[0] += 5  # 5 seconds: for 100 seconds no other

    monkeypatch.setattr(live_report.time, "monotonic", lambda: now[0])
    live = LiveReport({"a", "b", "c", "d", "e"}, write)
    for name, at in (("a", 129.0), ("b", 131.0), ("c", 235.0), ("d", 237.0)):
        now[0] = at
        live.update(ended(name))
    assert written == [131.0, 237.0]
    now[0] = 1000.0
    live.update(ended("p", "probe"))  # a group of probes may run
    live.update(ended("e"))  # the last: probes start
    assert written == [131.0, 237.0]


def test_a_report_that_fails_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write() -> None:
        raise OSError("no space")

    monkeypatch.setattr(live_report, "LEAST_SECONDS", 0)
    LiveReport({"a", "b"}, write).update(ended("a"))
    assert "no space" in capsys.readouterr().err


def test_a_run_writes_its_report_before_it_ends(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(live_report, "LEAST_SECONDS", 0)
    monkeypatch.setattr(
        sweep_commands, "_live", lambda folder: seen.append(sorted(folder.iterdir()))
    )
    assert run_here(tiny, "--out", tmp_path / "out") == 0
    assert len(seen) == 1  # after the first cell; the other is the last
