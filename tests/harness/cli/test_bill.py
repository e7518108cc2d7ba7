"""The bill in the terminal, and the predictions that a run keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.cli import bill as shown
from harness.cli.bill import keep_predictions, kept_line, print_bill
from harness.cli.main import main
from harness.core.cell import Cell
from harness.core.folder import RunFolder, read_run
from harness.core.predicted import PREDICTED, Predicted, PredictedRun, read_predicted
from harness.costs.bill import Bill
from harness.models.backbones import Backbone
from harness.planning.plan import Plan
from harness.planning.sweep import Sweep
from tasks import OwnTasks
from tests.harness.conftest import bench_long, run_here
from tests.harness.costs.test_dry_run import probe

PARTS = {"weights": 2**29, "gradients": 2**20, "optimizer": 2**21, "transient": 2**29 - 3 * 2**20}


def predicted(**more: Any) -> Predicted:
    given = {
        "train_live_peak_bytes": 2**30, "eval_live_peak_bytes": 2**29, "parts": PARTS,
        "train_flops": 4 * 10**9, "eval_flops": 10**9, "trainable_params": 12345,
        "train_step_s": 0.25, "eval_step_s": 0.1, "cell_s": 90.0, "result_bytes": 2048,
    }  # fmt: skip
    return Predicted.model_validate(given | more)


def bill_of(cells: list[Cell], unfit: list[Cell], **more: Any) -> Bill:
    found = {cell.id: predicted(**more) for cell in cells}
    run = PredictedRun(cells=found, time_error=0.2)
    return Bill(run, 2**30, frozenset(cell.id for cell in unfit), 600.0)


CELLS = [probe("lora", False), probe("ssmlora", False)]


def printed(bill: Bill, capsys: pytest.CaptureFixture[str], width: int = 100) -> str:
    print_bill(CELLS, bill, 2, Console(width=width))
    return capsys.readouterr().out


def test_the_disk_of_kept_models_and_checkpoints(tmp_path: Path) -> None:
    given = {"name": "x", "backbone": "minilm", "methods": ["full"], "probe": {"lengths": [64]}}
    cells = [c.model_copy(update={"kind": "train", "task": "newsgroups"}) for c in CELLS]

    def line(seconds: float, **keys: Any) -> str:
        sweep = Sweep.model_validate(given | keys)
        plan = Plan(sweep, cells, OwnTasks(), Backbone("minilm", tmp_path, ""))
        return kept_line(plan, bill_of(cells, [], trainable_params=2**20, cell_s=seconds), 1)

    assert line(90) == "kept models take about 8.0 MiB"
    assert line(900) == "kept models take about 8.0 MiB; checkpoints take about 12.0 MiB"
    assert line(900, keep="none", limits={"checkpoint_seconds": 0}) == ""


def test_a_row_for_each_arm_and_length(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(bill_of(CELLS, CELLS[1:]), capsys)
    lines = {line.split("  ")[0].strip(): line.split() for line in text.splitlines()}
    assert max(map(len, text.splitlines()[:4])) <= 100
    row = lines["LoRA 1/2"][2:]
    assert " ".join(row) == "192 12,345 1,024.0 512.0 3.0 0.0 509.0 4.0 0.25 90 s"
    assert lines["SSMLoRA 1/2"][4] == "!"
    assert "will not fit in 1.0 GiB of this machine: SSMLoRA 1/2 at 192" in text
    assert "total: about 10 min (8 min to 12 min) with 2 cells at a time" in text
    assert "result files take about 4 KiB" in text


def test_reasons_and_unknown_times(capsys: pytest.CaptureFixture[str]) -> None:
    found = {CELLS[0].id: Predicted(reason="RuntimeError: no"), CELLS[1].id: predicted(cell_s=None)}
    text = printed(Bill(PredictedRun(cells=found), 2**31, frozenset(), None), capsys)
    assert "not priced: LoRA 1/2: RuntimeError: no" in text
    assert "times are not predicted: the calibration failed" in text


def plan_of(cells: list[Cell]) -> Plan:
    sweep = Sweep.model_validate(
        {"name": "x", "backbone": "minilm", "methods": ["full"], "probe": {"lengths": [64]}}
    )
    return Plan(sweep, cells, None, Backbone("tiny", Path(), "none"))


def test_a_run_keeps_its_predictions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RunFolder(tmp_path) as folder:
        for cell in CELLS:
            monkeypatch.setattr(shown, "price", lambda plan, *_, **__: bill_of(plan.cells, []))
            keep_predictions(plan_of([cell]), folder, 1, Console(quiet=True))
    assert set(read_run(tmp_path).predicted.cells) == {cell.id for cell in CELLS}


def test_a_failed_prediction_stops_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any, **__: Any) -> Bill:
        raise RuntimeError("a library failed")

    monkeypatch.setattr(shown, "price", fails)
    with RunFolder(tmp_path) as folder:
        keep_predictions(plan_of(CELLS), folder, 1, Console(width=200))
    assert "costs are not predicted: a library failed" in capsys.readouterr().out
    assert not (tmp_path / PREDICTED).exists()


def test_an_unknown_device_is_refused(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(tiny), "--device", "h10"]) == 2
    assert "--device: 'h10' is no device and no size of memory" in capsys.readouterr().err


@pytest.mark.slow
def test_plan_and_run_price_a_sweep(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BENCH_LONG_NO_COST")
    done = bench_long("plan", tiny)
    assert done.returncode == 0, done.stderr
    assert "total: about" in done.stdout
    assert "LoRA 1/2" in done.stdout.split("live memory in MiB")[1]
    assert run_here(tiny, "--out", tmp_path / "run") == 0
    found = read_predicted(tmp_path / "run" / PREDICTED)
    assert found.time_error
    priced = [one for one in found.cells.values() if one.cell_s]
    assert len(priced) == 1  # the baseline has no model
    assert priced[0].train_live_peak_bytes
