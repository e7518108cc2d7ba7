"""A run is followed through its folder: cells, costs, and its end."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from harness.core.folder import CELLS, LOGS, Manifest, RunTime
from harness.execution.followed import FollowedRun
from tests.reports.conftest import make_cell, write_run

NOW = time.time()


def write_manifest(folder: Path, at: float = NOW - 100, **changes: Any) -> None:
    read = Manifest.model_validate_json((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(read.model_copy(update=changes).model_dump_json())
    os.utime(folder / "manifest.json", (at, at))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of four cells that began 100 s ago; one cell is from an earlier run."""
    cells = [make_cell("lora", length=n, status=s) for n, s in ((64, "ok"), (96, "oom"))]
    write_run(tmp_path / "run", cells, missing=2)
    write_manifest(tmp_path / "run", finished=False)
    old = tmp_path / "run" / CELLS / f"{cells[0]['id']}.json"
    os.utime(old, (NOW - 500, NOW - 500))
    return tmp_path / "run"


def add(run: Path, cell: dict[str, Any], name: str) -> None:
    cell["id"] = name.partition(".")[0]
    (run / CELLS / f"{name}.json").write_text(json.dumps(cell))


def test_cells_are_counted(run: Path) -> None:
    (run / LOGS / "missing00001.log").write_text("loading\n")
    old = run / LOGS / "missing00000.log"
    old.write_text("killed\n")
    os.utime(old, (NOW - 500, NOW - 500))
    news = FollowedRun(run).look()
    p = news.progress
    assert (p.total, p.done, p.failed, p.running) == (4, 2, 1, 1)
    assert (p.cost_done, p.cost_total) == (1, 3)  # of this run: one of three cells
    assert not news.ended
    assert len(news.results) == 2


def test_each_result_is_news_once(run: Path) -> None:
    followed = FollowedRun(run)
    followed.look()
    assert followed.look().results == []
    add(run, make_cell("full"), "missing00000")
    news = followed.look()
    assert [result.id for result in news.results] == ["missing00000"]
    assert news.progress.done == 3
    add(run, make_cell("full", status="oom"), "missing00000.retry1")
    news = followed.look()
    assert [result.status for result in news.results] == ["oom"]
    assert (news.progress.done, news.progress.failed) == (3, 2)


def test_torn_files_are_no_results(run: Path) -> None:
    followed = FollowedRun(run)
    (run / CELLS / "missing00000.json").write_text("{")
    os.utime(run / CELLS / "missing00000.json", (NOW - 50, NOW - 50))
    assert followed.look().progress.done == 2
    add(run, make_cell("full"), "missing00000")  # a copy that is complete now
    assert followed.look().progress.done == 3


@pytest.mark.parametrize("change", [{"finished": True}, {"runs": [None, None]}])
def test_a_run_ends_when_its_manifest_says_so(run: Path, change: dict[str, Any]) -> None:
    followed = FollowedRun(run)
    assert not followed.look().ended
    if "runs" in change:  # interrupted
        change = {"runs": [RunTime(wall_s=1, busy_s=1, workers=1)] * 2}
    write_manifest(run, **change)
    assert followed.look().ended


def test_predicted_seconds_weigh_cells(run: Path) -> None:
    cells = {"missing00000": {"cell_s": 30}, "missing00001": {"cell_s": 50}}
    (run / "predictions.json").write_text(json.dumps({"cells": cells}))
    p = FollowedRun(run).look().progress
    assert (p.cost_done, p.cost_total) == (1, 81)


def test_a_published_run_has_ended() -> None:
    news = FollowedRun(Path(__file__).parents[3] / "published" / "laptop").look()
    assert news.ended
    assert news.progress.done == news.progress.total == 20
