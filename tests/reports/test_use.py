"""Prefill and decoding: rates, ratios to the reference arm, merged adapters, the KV cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.blocks import Block, Picture
from reports.sections.use import use_by_length, use_tables
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import loaded, rows_of, texts
from tests.reports.test_step_times import ROUNDS

PACE = {"lora": 1.0, "ssmlora": 1.2, "base": 0.8}
REASON = "SSMLoRA cannot be merged: its update depends on the input."


def probe(method: str, length: int, cache: int = 2**20) -> dict[str, Any]:
    """A probe that decodes 8 tokens; merged LoRA takes 0.9 of the time of LoRA."""
    density = None if method == "base" else 1.0
    phases = {"prefill": 1.0, "decode": 2.0}
    if method == "lora":
        phases |= {"prefill_merged": 0.9, "decode_merged": 1.8}
    if method != "base":
        phases |= {"train": 3.0, "eval": 1.0}
    timing: dict[str, Any] = {"group": f"g{length}", "rounds": len(ROUNDS)}
    cost: dict[str, Any] = {"kv_cache_bytes": cache * length // 64}
    for phase, seconds in phases.items():
        times = [seconds * PACE[method] * s for s in ROUNDS]
        timing |= {f"{phase}_round_s": times, f"{phase}_round_cpu_s": times}
        cost[f"{phase}_tokens_per_s"] = 1000 / seconds / PACE[method]
    if method == "ssmlora":
        cost["merge_note"] = REASON
    cell = make_cell(method, density, length, kind="probe", accuracy=None, cost=cost)
    cell["cell"] |= {"decode": 8}
    return {**cell, "timing": timing}


CELLS = [probe(method, length) for method in PACE for length in (64, 128)]


def blocks(folder: Path, cells: list[dict[str, Any]]) -> list[Block]:
    return use_by_length(loaded(write_run(folder / "run", cells)))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Block]:
    return blocks(tmp_path_factory.mktemp("use"), CELLS)


def test_rates_and_ratios_of_every_arm(found: list[Block]) -> None:
    ratios, speeds = (
        {(r["Arm"], r["Step"]): r["128 tokens"] for r in rows if "Step" in r}
        for rows in (rows_of(found[:3], "64 tokens"), rows_of(found[3:], "64 tokens"))
    )
    assert ratios["LoRA 1", "Decoding"] == "1.000"
    assert ratios["LoRA 1, merged", "Decoding"] == "0.900"
    assert ratios["SSMLoRA 1", "Prefill"] == "1.200"
    assert ratios["Base", "Decoding"] == "0.800"
    assert speeds["LoRA 1, merged", "Prefill"] == "1,111"
    assert ("SSMLoRA 1, merged", "Prefill") not in ratios.keys() | speeds.keys()
    pictures = [block for block in found if isinstance(block, Picture)]
    assert [p.name for p in pictures] == ["use-rate-length.png", "use-time-length.png"]
    answer = "At 128 tokens, decoding takes 0.80 (Base) to 1.20 (SSMLoRA 1) times that of LoRA 1."
    assert answer in pictures[1].caption


def test_the_reason_why_an_arm_is_not_merged(found: list[Block]) -> None:
    assert f"Not merged: SSMLoRA 1. {REASON}" in texts(found)


def test_the_cache_has_a_row_for_each_size(tmp_path: Path, found: list[Block]) -> None:
    (row,) = (r for r in rows_of(found, "128 tokens") if "Step" not in r)
    assert row == {"Arm": "all arms", "64 tokens": "1.0 MiB", "128 tokens": "2.0 MiB"}
    other = [*CELLS[2:], *(probe("lora", length, 2**21) for length in (64, 128))]
    (own,) = loaded(write_run(tmp_path / "run", other)).costs
    rows = [r for r in rows_of(use_tables(own), "128 tokens") if "Step" not in r]
    assert {r["Arm"] for r in rows} == {"LoRA 1", "SSMLoRA 1 and Base"}


def test_probes_that_do_not_decode_have_no_section(tmp_path: Path) -> None:
    cells = [make_cell("lora", 1.0, length, kind="probe", accuracy=None) for length in (64, 128)]
    assert blocks(tmp_path, cells) == []
