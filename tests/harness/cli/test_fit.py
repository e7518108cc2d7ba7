"""`bench-long fit`: the table, its files, and one line for each kind of bad input."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.main import main
from harness.core.cell import Cell
from harness.core.fits import read_fits
from harness.costs import dry_run
from harness.models.backbones import Backbone
from tests.harness.cli.test_bad_input import refused

LLAMA = ("fit", "--model", "llama-3.2-1b", "--workers", "1")


def linear(cell: Cell, _: Backbone, blocks: int | None = None) -> dry_run.Memory:
    """A kilobyte for each token, twice of it in full fine-tuning."""
    size = 1000 * cell.length * (2 if cell.method == "full" else 1) * (blocks or 16)
    return dry_run.Memory(size, {"saved_base": size})


def test_table_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dry_run, "train_memory", linear)
    methods = ("--method", "full", "--method", "lora: {density: [1, 0.5]}")
    levers = ("--lever", "default", "--lever", "{weights: [bfloat16, 8bit]}")
    memory = ("--memory", "2GiB", "--memory", "a100-40", "--reserve", "50%")
    assert main([*LLAMA, *methods, *levers, *memory, "--to", str(tmp_path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split()[:4] == ["Method", "Lever", "2GiB", "a100-40"]
    assert [line.split("  ")[0] for line in shown[1:8:3]] == ["Full", "LoRA 1", "LoRA 1/2"]
    assert "with the kernels of a CPU" in shown[-4]
    assert sum("No answer for Full, bfloat16 weights; Full, 8-bit" in line for line in shown) == 1
    fits = read_fits(tmp_path / "fit.json")
    found = {(row.method, row.lever, row.memory): row.length for row in fits.rows}
    assert found["Full", "default", "2GiB"] == 33_536  # 2^30 bytes by 32,000
    assert found["LoRA 1", "default", "2GiB"] == 67_072
    assert found["LoRA 1/2", "bfloat16 weights", "2GiB"] == 67_072
    assert fits.memories[1].limit == 20 * 2**30
    assert (tmp_path / "longest-context.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "fit.csv").read_text().count("\n") == 1 + 3 * 3 * 2


def test_one_length(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(dry_run, "train_memory", linear)
    asked = ("--length", "1000", "--method", "lora", "--memory", "24GiB", "--memory", "1100MiB")
    assert main([*LLAMA, *asked, "--lever", "default"]) == 0
    line = capsys.readouterr().out.splitlines()[1].split()
    assert line[:5] == ["LoRA", "1", "default", "1,000", "0.01"]
    assert line[-2:] == ["yes", "yes"]


BAD = {
    "model": (("--model", "llama-2-7"), "Did you mean 'llama-2-7b'?"),
    "method": (("--method", "lroa"), "Did you mean 'lora'?"),
    "placement": (("--method", "lora: {placement: lats}"), "Did you mean 'last'?"),
    "lever": (("--lever", "{chekpointing: full}"), "Did you mean 'levers.0.checkpointing'?"),
    "value of a lever": (("--lever", "{weights: 2bit}"), "'8bit' or '4bit'"),
    "memory": (("--memory", "h10"), "Did you mean 'h100'?"),
    "reserve": (("--reserve", "2 apples"), "no size of memory"),
    "share": (("--reserve", "x%"), "no share"),
    "all reserved": (("--reserve", "24GiB"), "nothing is left of 24GiB"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, message = BAD[kind]
    asked = (*LLAMA, "--memory", "24GiB", *words)
    assert message in refused(capsys, *(asked if kind != "memory" else (*LLAMA, *words)))


def test_a_classifier_is_no_language_model(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("fit", "--model", "roberta-base", "--memory", "24GiB", "--task-type", "lm")
    assert "not a causal language model" in refused(capsys, *words)
