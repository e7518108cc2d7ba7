"""Ratios of step times by round, and what is shown of probes without rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reports.frame import Result
from reports.sections.throughput import disturbance, step_time_by_length
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import loaded, rows_of, texts

ROUNDS = [1.0, 1.3, 0.9, 1.1, 5.0, 1.0]
"""Seconds of a step of the reference; all arms share a disturbance of the machine."""
PACE = {"full": 2.0, "lora": 1.0, "ssmlora": 1.1}


def probe(method: str, density: float | None, length: int, group: str = "g") -> dict[str, Any]:
    """A probe whose steps take `PACE` times those of LoRA."""
    cell = make_cell(method, density, length, kind="probe", accuracy=None)
    times = [length / 64 * PACE[method] * s for s in ROUNDS]
    cell["timing"] = {
        "group": f"{group}{length}", "rounds": len(times), "step_tokens": length,
        "train_round_s": times, "train_round_cpu_s": [0.99 * s for s in times],
        "eval_round_s": times, "eval_round_cpu_s": [0.5 * s for s in times],
        "train_flops": 10**10, "eval_flops": 10**9, "peak_flops_per_s": 10**11,
    }  # fmt: skip
    return cell


def cells(**more: Any) -> list[dict[str, Any]]:
    arms = (("full", None), ("lora", 0.5), ("lora", 1.0), ("ssmlora", 1.0))
    return [probe(*arm, length, **more) for arm in arms for length in (64, 128)]


def blocks(folder: Path, found: list[dict[str, Any]]) -> Sequence[Any]:
    return step_time_by_length(loaded(write_run(folder, found)))


def test_ratios_are_to_dense_lora_in_the_same_rounds(tmp_path: Path) -> None:
    found = blocks(tmp_path / "a", cells())
    rows = {(r["Arm"], r["Step"]): r for r in rows_of(found, "64 tokens")}
    assert rows["Full", "Training step"]["128 tokens"] == "2.000"
    assert rows["SSMLoRA 1", "Forward pass"]["64 tokens"] == "1.100"
    assert rows["LoRA 1", "Training step"]["64 tokens"] == "1.000"
    details = rows_of(found, "Share of peak")
    assert len(details) == 4 * 2 * 2
    (full,) = (
        r for r in details if (r["Arm"], r["Step"], r["Length"]) == ("Full", "Training step", "64")
    )
    assert (full["Wall ms"], full["GFLOP"], full["Share of peak"]) == ("2,100.0", "10.0", "4.8 %")


def test_a_noisy_arm_has_an_interval(tmp_path: Path) -> None:
    found = cells()
    times = found[0]["timing"]["train_round_cpu_s"]
    found[0]["timing"]["train_round_cpu_s"] = [s * (1 + k % 3 / 50) for k, s in enumerate(times)]
    rows = rows_of(blocks(tmp_path / "a", found), "64 tokens")
    assert " to " in rows[0]["64 tokens"]


def test_arms_of_other_rounds_are_not_compared(tmp_path: Path) -> None:
    found = [*cells()[2:], *cells(group="other")[:2]]
    rows = {(r["Arm"], r["Step"]): r for r in rows_of(blocks(tmp_path / "a", found), "64 tokens")}
    assert rows["Full", "Training step"]["64 tokens"] == ""
    assert rows["LoRA 1/2", "Training step"]["64 tokens"] == "1.000"


def test_files_without_rounds_have_no_ratio(tmp_path: Path) -> None:
    old = [{k: v for k, v in cell.items() if k != "timing"} for cell in cells()]
    assert blocks(tmp_path / "a", old) == []


def test_times_that_other_programs_disturbed_are_marked(
    tmp_path: Path, load: Callable[..., list[Result]]
) -> None:
    (result,) = load([probe("lora", 1.0, 64)])
    assert disturbance(result, "train") == ""
    assert "50.0 %" in disturbance(result, "eval")
    assert disturbance(result.changed(device="cuda"), "eval") == ""
    slow = cells()
    assert "CPU time of a training step" not in texts(blocks(tmp_path / "a", slow))
    slow[0]["timing"]["train_round_cpu_s"] = [0.5 * s for s in ROUNDS]
    assert "In 1 of 8 probes" in texts(blocks(tmp_path / "b", slow))
