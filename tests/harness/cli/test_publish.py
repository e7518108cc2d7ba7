"""`bench-long publish` says what it writes and what it leaves out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.core.folder import read_run
from tests.reports.conftest import make_cell, write_run

ROOT = Path(__file__).parents[3]


def test_cells_of_an_earlier_sweep_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", [make_cell("lora", length=n) for n in (64, 128, 256)])
    manifest = json.loads((run / "manifest.json").read_text())
    first = manifest["ids"].pop()
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert main(["publish", str(run), "--to", str(tmp_path / "to")]) == 0
    written, left = capsys.readouterr().out.splitlines()
    assert written.endswith("cells.jsonl.gz (2 results)")
    assert left == "left out: 1 result that the last sweep of the folder lacks"
    assert {*read_run(tmp_path / "to").results} == {*manifest["ids"]}
    assert first not in read_run(tmp_path / "to").results


def test_predictions_for_a_gpu_are_near_what_was_measured_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "cache"))
    published = ROOT / "published" / "gpu-cost-1b"
    words = ["publish", str(published), "--to", str(tmp_path / "to"), "--partial"]
    assert main([*words, "--predict", "h200"]) == 0
    stored = read_run(tmp_path / "to")
    results = stored.results.values()
    adapters = [r for r in results if r.ok and r.cell.method != "full" and r.cell.length == 8192]
    assert len(adapters) >= 3
    for result in adapters:  # 17 GiB; the workspaces of cuBLAS have 65 MiB
        assert result.cost is not None
        measured = result.cost.train_live_peak_bytes
        predicted = stored.predicted.cells[result.id].train_live_peak_bytes
        assert predicted == pytest.approx(measured, abs=8 * 2**20)
    assert main([*words, "--predict", "no-gpu"]) == 2
