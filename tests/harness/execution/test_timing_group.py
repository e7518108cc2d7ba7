"""Timing groups: arms in processes, and the runner, which starts a group alone and as a whole."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.runner_overhead import done, make_plan
from harness.core.cell import Cell
from harness.core.folder import RunFolder, read_manifest, read_run
from harness.core.result import OK, CellResult
from harness.core.timing import Timing
from harness.execution import timing_group
from harness.execution.executor import Job
from harness.execution.executors.in_process import InProcessExecutor
from harness.execution.runner import run_plan
from harness.execution.timing_group import run_group
from harness.models.load import load_classifier
from harness.planning.plan import Plan
from harness.training.timing import Reading, Turns
from tests.harness.planning.test_plan import NO_BACKBONE
from tests.harness.tiny_backbones import found
from tests.harness.training.test_timing import probes


def fake_turns(cell: Cell, _: object) -> Turns:
    """Seed 1 dies at its second turn, seed 2 hangs there; steps write when they begin and end."""
    result = CellResult.begun(cell)
    turn = yield None
    os.write(1, f"process {os.getpid()}\n".encode())  # pytest has replaced `sys.stdout`
    while turn != "end":
        if cell.seed == 1:
            os._exit(3)
        if cell.seed == 2:
            time.sleep(600)
        start = time.monotonic()
        time.sleep(0.005)
        os.write(1, f"step {start} {time.monotonic()}\n".encode())
        turn = yield Reading(0.005, 0.004)
    result.status = OK
    return result


def test_arms_have_processes_step_one_at_a_time_and_fail_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing_group, "probe_turns", fake_turns)
    cells = probes(5)
    monkeypatch.setattr("harness.training.timing._BUDGET", 0)
    results = run_group(Job(tuple(cells), NO_BACKBONE, tmp_path), cell_seconds=0.5)
    assert [r.status for r in results] == ["ok", "error", "timeout", "ok", "ok"]
    messages = [r.error.message for r in results if r.error]
    assert messages == [
        "its process ended without a result: exit code 3", "ended after 0.5 s, its limit",
    ]  # fmt: skip
    assert len({r.timing.group for r in results if r.timing}) == 1
    lines = [(tmp_path / f"{cell.id}.log").read_text().splitlines() for cell in cells]
    processes = {own[0] for own in lines}
    assert len(processes) == 5
    assert f"process {os.getpid()}" not in processes
    assert not any(psutil.pid_exists(int(name.split()[1])) for name in processes)
    steps = sorted(
        tuple(map(float, line.split()[1:])) for own in lines for line in own if "step" in line
    )
    assert len(steps) == 3 * 3 * 2
    assert all(before[1] <= after[0] for before, after in pairwise(steps))


def on_a_small_gpu(cell: Cell, folder: Path) -> Turns:
    """The device holds two models; a third finds no memory. Seed 9 never fits."""
    result = CellResult.begun(cell)
    mark = folder / str(cell.seed)
    if cell.seed == 9 or len([*folder.glob("*")]) >= 2:
        result.status = "oom"
        return result
    mark.touch()
    turn = yield None
    while turn != "end":
        os.write(1, f"step {time.monotonic()}\n".encode())
        turn = yield Reading(1.0 + cell.seed, 0.1)
    mark.unlink()
    result.status = OK
    return result


@pytest.mark.parametrize("together", [True, False])
def test_arms_on_a_gpu_do_not_fail_for_memory_that_others_hold(
    together: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = tmp_path / "loaded"
    loaded.mkdir()
    monkeypatch.setattr(timing_group, "probe_turns", lambda cell, _: on_a_small_gpu(cell, loaded))
    monkeypatch.setattr(timing_group, "peak_flops_per_s", lambda _: 2e12)
    monkeypatch.setattr(timing_group, "weights_bytes", lambda _: 0 if together else 2**60)
    seeds = {"device": "cuda", "probe_seconds": 0.0}
    cells = [probes(1)[0].model_copy(update={**seeds, "seed": n}) for n in (0, 1, 2, 9)]
    results = run_group(Job(tuple(cells), NO_BACKBONE, tmp_path), cell_seconds=60)
    assert [r.status for r in results] == ["ok", "ok", "ok", "oom"]
    assert [r.cell.seed for r in results] == [0, 1, 2, 9]
    timings = [r.timing for r in results if r.timing]
    assert len({timing.group for timing in timings}) == 1
    assert timings[2].train_round_s == [3.0] * 3  # times of a GPU are wall-clock times
    assert {timing.peak_flops_per_s for timing in timings} == {2e12}
    one, two = (
        [float(line.split()[1]) for line in (tmp_path / f"{c.id}.log").read_text().splitlines()]
        for c in cells[:2]
    )
    assert (max(one) < min(two)) is not together


def slow_to_prepare(cell: Cell, _: object) -> Turns:
    """Log when the model is made."""
    result = CellResult.begun(cell)
    begun = time.monotonic()
    time.sleep(0.3)
    os.write(1, f"made {begun} {time.monotonic()}\n".encode())
    turn = yield None
    while turn != "end":
        turn = yield Reading(0.1, 0.1)
    result.status = OK
    return result


def test_arms_on_a_cpu_do_not_fail_for_memory_that_others_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = tmp_path / "loaded"
    loaded.mkdir()
    monkeypatch.setattr(timing_group, "probe_turns", lambda cell, _: on_a_small_gpu(cell, loaded))
    cells = [
        probes(1)[0].model_copy(update={"probe_seconds": 0.0, "seed": n}) for n in (0, 1, 2, 9)
    ]
    results = run_group(Job(tuple(cells), NO_BACKBONE, tmp_path), cell_seconds=60)
    assert sorted((r.cell.seed, r.status) for r in results) == [
        (0, "ok"), (1, "ok"), (2, "ok"), (9, "oom"),
    ]  # fmt: skip
    assert len({r.timing.group for r in results if r.timing}) == 1


@pytest.mark.parametrize(("memory", "side_by_side"), [(None, True), (1, True), (2**60, False)])
def test_arms_that_may_not_fit_together_take_turns_with_the_memory(
    memory: int | None, side_by_side: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing_group, "probe_turns", slow_to_prepare)
    monkeypatch.setattr(timing_group, "default_workers", lambda _: 2)
    monkeypatch.setattr(timing_group, "return_memory", lambda: os.write(1, b"returned\n"))
    cells = [cell.model_copy(update={"probe_seconds": 0.0}) for cell in probes(2)]
    run_group(Job(tuple(cells), NO_BACKBONE, tmp_path, memory=memory), cell_seconds=60)
    logs = [(tmp_path / f"{cell.id}.log").read_text() for cell in cells]
    one, two = ([float(word) for word in log.splitlines()[0].split()[1:]] for log in logs)
    assert (max(one[0], two[0]) < min(one[1], two[1])) is side_by_side
    returned = {log.count("returned") for log in logs}
    assert returned == ({0} if side_by_side else {1 + 3 * 2 + 1})  # made, three rounds, the end


def test_the_weights_of_all_arms_are_counted(causal: Path) -> None:
    job = Job(tuple(probes(3)), found(causal), Path())
    model = load_classifier(job.backbone, 2, 64, 0.0, 0)
    assert timing_group.weights_bytes(job) == 3 * 4 * sum(p.numel() for p in model.parameters())
    assert timing_group.weights_bytes(Job(tuple(probes(3)), NO_BACKBONE, Path())) == 0


class Spy(InProcessExecutor):
    """An executor of several slots that notes what it is given, and finishes one job at a time."""

    slots = 2

    def __init__(self, notes: list[str], group: list[str | None]) -> None:
        super().__init__(60, self.outcome)
        self.notes, self.group = notes, group

    def outcome(self, job: Job) -> list[CellResult]:
        results = done(job)
        for result, group in zip(results, self.group if job.timed else [None], strict=False):
            result.timing = Timing(group=group) if group else None
        return results

    def submit(self, job: Job) -> None:
        self.notes.append(f"start {job.cells[0].kind} {len(job.cells)}")
        super().submit(job)

    def finished(self, timeout: float) -> list[CellResult]:
        waiting, self._waiting = self._waiting[1:], self._waiting[:1]
        results = super().finished(timeout)
        self._waiting = waiting
        return results


def mixed_plan() -> Plan:
    """Three training cells and two timing groups of two probes each."""
    plan = make_plan(3)
    changes: dict[str, Any] = {"kind": "probe", "task": None, "steps": 2}
    made = [
        plan.cells[0].model_copy(update={**changes, "length": length, "density": density})
        for length in (128, 64)
        for density in (1.0, 0.5)
    ]
    plan.cells.extend(made)
    return plan


def run(folder: Path, group: list[str | None]) -> list[str]:
    """Run the plan, and return what was started and listened to."""
    notes: list[str] = []

    def listen(_: object, result: CellResult | None) -> None:
        notes.append(f"result {result.kind}" if result else "begin")

    with RunFolder(folder) as held:
        run_plan(mixed_plan(), held, Spy(notes, group), (), listen)
    return notes


def test_a_group_starts_when_nothing_runs_and_every_result_is_written(tmp_path: Path) -> None:
    assert run(tmp_path, ["a", "a"]) == [
        "begin", "start train 1", "start train 1", "start train 1", "result train",
        "result train", "result train", "start probe 2", "result probe", "result probe",
        "start probe 2", "result probe", "result probe",
    ]  # fmt: skip


def test_with_little_time_probes_and_short_lengths_run_first(tmp_path: Path) -> None:
    notes: list[str] = []
    plan = mixed_plan()
    lengths: list[int] = []

    class Short(Spy):
        slots = 1

        def submit(self, job: Job) -> None:
            super().submit(job)
            lengths.append(job.cells[0].length)

    def stop_after(count: int, folder: Path) -> int:
        now = iter(range(1000))
        with pytest.MonkeyPatch.context() as patch, RunFolder(folder) as held:
            patch.setattr("harness.execution.runner.time.monotonic", lambda: next(now))
            spy = Short(notes, ["a", "a"])
            return run_plan(plan, held, spy, last_start=count).left

    notes.clear()
    left = stop_after(3, tmp_path)
    assert 0 < left < len(plan.cells)
    assert notes[0] == "start probe 2"
    assert lengths[0] == 64
    assert not read_manifest(tmp_path).finished
    assert stop_after(10**6, tmp_path) == 0
    assert lengths == [64, 128, *(cell.length for cell in plan.cells if cell.kind == "train")]
    assert read_manifest(tmp_path).finished


def test_a_group_runs_again_as_a_whole(tmp_path: Path) -> None:
    run(tmp_path, ["a", "a"])
    assert run(tmp_path, ["b", "b"]) == ["begin"]
    (lost, *_) = [c for c in mixed_plan().cells if c.kind == "probe"]
    (tmp_path / "cells" / f"{lost.id}.json").unlink()
    again = ["begin", "start probe 2", "result probe", "result probe"]
    assert run(tmp_path, ["b", "c"]) == again
    # As after a run that was killed between its writes: the results are from different rounds.
    assert run(tmp_path, ["d", "d"]) == again
    assert run(tmp_path, ["e", "e"]) == ["begin"]
    assert sorted(read_run(tmp_path).attempts.values()) == [0, 0, 0, 0, 0, 1, 2]
