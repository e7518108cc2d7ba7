"""Runs keep what they have trained, and cells that were killed continue from within."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from peft import PeftModel

from harness.core.card import read_kept
from harness.core.folder import RunFolder
from harness.core.result import CellResult, Failure
from harness.execution.executor import Job
from harness.execution.executors.in_process import InProcessExecutor
from harness.execution.runner import keeping_of, run_plan
from harness.kept.rules import Keeping
from harness.planning.plan import make_plan
from harness.planning.sweep import Sweep, load_sweep, same_cells
from tests.harness.conftest import (
    TINY,
    bench_long,
    cells,
    results_here,
    run_here,
    start_bench_long,
)
from tests.harness.execution.test_failures import logged, wait_for, workers
from tests.reports.pages import read, section

LONG = """\
name: long
backbone: minilm
tasks: [newsgroups]
lengths: [32]
methods: [METHOD]
controls: []
levers: LEVERS
train: {examples: 96, batch_size: 4, validation_examples: 8, test_examples: 16, validations: 3,
        epochs: 2, lr: 1.0e-3, dropout: 0.1}
limits: {checkpoint_seconds: 0.2}
"""


def trained(folder: Path) -> dict[str, Any]:
    """Curve and answers of the last attempt of the cell that trains."""
    found = cells(folder)
    name = max(n for n, c in found.items() if c["cell"]["method"] != "tfidf")
    result = found[name]
    assert result["status"] == "ok", result["error"]
    return {name: result[name] for name in ("curve", "predictions", "scores")}


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["run", "cell"])
def test_a_killed_cell_continues_with_the_same_predictions(victim: str, tmp_path: Path) -> None:
    sweep = tmp_path / "long.yaml"
    method, levers = {
        "run": ("ssmlora: {density: 0.5}", "{checkpointing: full, micro_batch: 2}"),
        "cell": ("lora: {}", "{optimizer: adafactor}"),
    }[victim]
    sweep.write_text(LONG.replace("METHOD", method).replace("LEVERS", levers))
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert results_here(sweep, "--out", whole, "--set", "limits.checkpoint_seconds=0") == 0
    assert not (whole / "checkpoints").exists()
    run = start_bench_long("run", sweep, "--out", out, "--workers", 1)
    wait_for(lambda: any((out / "checkpoints").glob("*.safetensors")), 240)
    wait_for(lambda: logged(out, "step 16 of 48"), 240)
    (cell,) = workers(run, 1)
    os.kill(run.pid if victim == "run" else cell.pid, signal.SIGKILL)
    run.communicate()
    psutil.wait_procs([cell], 10)
    assert any((out / "checkpoints").glob("*.safetensors"))
    if victim == "run":
        again = bench_long("run", sweep, "--out", out)
        assert again.returncode == 0, again.stderr
    else:
        assert results_here(sweep, "--out", out, "--retry", "error") == 0
    assert logged(out, "training continues after step")
    assert trained(out) == trained(whole)
    assert list((out / "checkpoints").iterdir()) == []


def test_a_run_keeps_the_best_model_and_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, out = tmp_path / "tiny.yaml", tmp_path / "out"
    sweep.write_text(TINY + "seeds: [0, 1]\nlimits: {checkpoint_seconds: 1.0e-3}\n")
    monkeypatch.chdir(tmp_path)
    assert run_here(sweep, "--out", "out") == 0
    losses = {
        c["id"]: c["scores"]["validation_loss"]
        for c in cells(out).values()
        if c["cell"]["method"] == "lora"
    }
    ((model,), broken) = read_kept(out)
    assert len(losses) == 2
    assert model.id == min(losses, key=losses.__getitem__)
    assert (model.rule, model.validation_loss, broken) == ("best", min(losses.values()), [])
    assert list((out / "checkpoints").iterdir()) == []
    (lines,) = section(read(out / "report" / "index.html"), "kept").all("pre")
    assert f'"out/kept/{model.id}"' in lines.raw
    assert len(lines.raw.splitlines()) == 3
    names: dict[str, Any] = {}
    exec(lines.raw, names)
    assert isinstance(names["model"], PeftModel)
    # What is kept is no part of an id, and no other sweep.
    ids = {*cells(out)}
    left = out / "checkpoints" / f"{model.id}.safetensors"
    left.write_text("of a run that was killed after it wrote the result")
    keep = ["--set", "keep=all", "--set", "keep_full=true", "--set", "limits.checkpoint_seconds=9"]
    assert results_here(sweep, "--out", out, *keep) == 0
    assert {*cells(out)} == ids
    assert not left.exists()
    assert not (out / "sweep.1.yaml").exists()
    assert "keep: all" in (out / "sweep.yaml").read_text()


def test_the_checkpoint_of_a_failed_cell_stays(tmp_path: Path, tiny: Path) -> None:
    """`--retry` continues from it, unless it would diverge again."""
    plan = make_plan(load_sweep(tiny), tiny)
    left = {}
    for status in ("timeout", "oom", "error", "diverged", "ok"):
        folder = tmp_path / status

        def end(job: Job) -> list[CellResult]:
            (cell,) = job.cells
            assert job.keeping is not None
            path = job.keeping.checkpoint(cell.id)
            path.parent.mkdir(exist_ok=True)
            path.write_text("x")
            failure = Failure(status, "x", "x")  # noqa: B023  # type: ignore[arg-type]
            return [CellResult.failed(cell, None, failure, 1.0)]

        with RunFolder(folder) as held:
            run_plan(plan, held, InProcessExecutor(60, end))
        left[status] = len(list((folder / "checkpoints").iterdir()))
    assert left == {"timeout": 2, "oom": 2, "error": 2, "diverged": 0, "ok": 0}


def test_what_a_sweep_says_of_keeping_arrives(tmp_path: Path) -> None:
    given = {"name": "x", "backbone": "minilm", "methods": ["full"], "probe": {"lengths": [64]}}
    assert keeping_of(Sweep(**given), tmp_path) == Keeping(tmp_path, "best", False, 600)
    more = {"keep": "all", "keep_full": True, "limits": {"checkpoint_seconds": 0}}
    assert keeping_of(Sweep(**given, **more), tmp_path) == Keeping(tmp_path, "all", True, 0)


@pytest.mark.parametrize(
    ("more", "same"),
    [
        ("keep: none\n", True),
        ("keep_full: true\nlimits: {checkpoint_seconds: 5}\n", True),
        ("limits: {checkpoint_seconds: 5, cell_seconds: 9}\n", False),
        ("seeds: [1]\n", False),
    ],
)
def test_sweeps_that_differ_in_what_is_kept_are_the_same(more: str, same: bool) -> None:
    assert same_cells(TINY, TINY + more) is same
    assert same_cells(json.dumps({"a": 1}), "a: 1") is True
