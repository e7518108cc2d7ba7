"""Costs of two runs: times beyond noise, counted memory, and nothing across machines."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from reports.changes.changes import Changes, changes_between
from reports.changes.costs import (
    MEMORY_NOISE,
    NOT_IN_ROUNDS,
    OF_THE_PROCESS,
    OTHER_MACHINE,
    TIME_NOISE,
)
from tests.reports.conftest import make_cell, write_run

PEAK = 100 * 2**20


def probe(method: str, run: int, slower: float = 1.0, rounds: int = 8, **more: Any) -> Any:
    noise = random.Random(f"{method} {run}")
    seconds = [0.1 * slower * (1 + 0.01 * noise.gauss(0, 1)) for _ in range(rounds)]
    cell = make_cell(method, kind="probe", lr=1e-4, **more)
    cell["timing"] = {
        "group": "g", "rounds": rounds, "train_round_s": [1.0] * rounds,
        "train_round_cpu_s": seconds,
    }  # fmt: skip
    cell["cost"] |= {"train_live_peak_bytes": PEAK, "eval_live_peak_bytes": PEAK}
    return cell


def between(tmp_path: Path, a: list[Any], b: list[Any]) -> Changes:
    write_run(tmp_path / "a", a)
    write_run(tmp_path / "b", b)
    return changes_between(str(tmp_path / "a"), str(tmp_path / "b"))


def verdicts(found: Changes, what: str = "train step") -> dict[str, str]:
    return {one.arm: one.verdict for one in found.costs if one.what == what}


def test_a_time_changes_if_it_differs_by_more_than_the_noise(tmp_path: Path) -> None:
    a = [probe("lora", 1), probe("full", 1), probe("vera", 1)]
    b = [probe("lora", 2, 1.3), probe("full", 2, 0.7), probe("vera", 2, 1 + TIME_NOISE / 5)]
    found = between(tmp_path, a, b)
    assert verdicts(found) == {"LoRA 1": "worse", "Full": "better", "vera 1": "comparable"}
    (lora,) = [one for one in found.costs if (one.arm, one.what) == ("LoRA 1", "train step")]
    assert lora.ratio == pytest.approx(1.3, rel=0.02)
    assert lora.a == pytest.approx(0.1, rel=0.02)
    low, high = lora.interval or (0, 0)
    assert 1.25 < low < lora.ratio < high < 1.35
    assert found.regressions == 1
    assert found.family == 3


def test_a_small_change_is_noise_however_exact_it_is(tmp_path: Path) -> None:
    a, b = ([probe("lora", n, 1 + 0.04 * n, rounds=30)] for n in (0, 1))
    assert verdicts(between(tmp_path, a, b)) == {"LoRA 1": "comparable"}


def test_few_rounds_decide_little(tmp_path: Path) -> None:
    a, b = ([probe("lora", n, 1 + 0.08 * n, rounds=3)] for n in (0, 1))
    assert verdicts(between(tmp_path, a, b)) == {"LoRA 1": "undecided"}
    one = between(tmp_path / "1", [probe("lora", 0, rounds=1)], [probe("lora", 1, rounds=1)])
    assert verdicts(one) == {"LoRA 1": "none"}


def test_live_memory_is_counted(tmp_path: Path) -> None:
    b = [probe("lora", 2)]
    b[0]["cost"]["train_live_peak_bytes"] = int(PEAK * (1 + 2 * MEMORY_NOISE))
    found = between(tmp_path, [probe("lora", 1)], b)
    assert verdicts(found, "train peak") == {"LoRA 1": "worse"}
    assert verdicts(found, "eval peak") == {"LoRA 1": "comparable"}


def test_costs_of_two_machines_are_no_change(tmp_path: Path) -> None:
    b = [probe("lora", 2, 3.0)]
    b[0]["environment"]["cpu"] = "Xeon"
    b[0]["cost"]["train_live_peak_bytes"] = 2 * PEAK
    found = between(tmp_path, [probe("lora", 1)], b)
    assert {one.reason for one in found.costs} == {OTHER_MACHINE}
    assert {one.verdict for one in found.costs} == {"none"}
    assert (found.regressions, found.family) == (0, 0)


def test_other_versions_on_one_machine_are_compared(tmp_path: Path) -> None:
    b = [probe("lora", 2, 1.5)]
    b[0]["environment"]["torch"] = "2.14.0"
    found = between(tmp_path, [probe("lora", 1)], b)
    assert verdicts(found) == {"LoRA 1": "worse"}
    assert [one.name for one in found.settings] == ["torch"]


def test_times_of_training_cells_have_no_verdict(tmp_path: Path) -> None:
    found = between(tmp_path, [make_cell("lora")], [make_cell("lora")])
    assert {one.reason for one in found.costs} == {NOT_IN_ROUNDS, OF_THE_PROCESS}
    assert {one.what for one in found.costs} >= {"train tokens/s", "eval tokens/s"}
