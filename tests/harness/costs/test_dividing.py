"""`devices: auto`: the plan divides a model over as few devices as their memory allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.core.levers import Levers
from harness.costs import dividing
from harness.costs.dividing import Dividing, least_devices
from harness.costs.shapes import shape_cost, shape_of
from harness.models.backbones import find_backbone
from harness.planning import levers, plan
from harness.planning.sweep import load_sweep

RESERVE = 2**30


def cell(**own: object) -> Cell:
    return Cell.model_validate({
        "kind": "train", "task": "newsgroups", "backbone": "minilm", "method": "full",
        "length": 64, "seed": 0, "lr": 1e-4, "batch_size": 4, "examples": 8, "dtype": "float32",
        "device": "cuda", **own,
    })  # fmt: skip


def peak(devices: int, length: int = 64) -> int:
    """Bytes of one of several devices."""
    shape = shape_of(cell(levers=Levers(devices=devices), length=length))
    cost = shape_cost(shape, find_backbone("minilm"))
    assert cost.train is not None
    return cost.train.peak_bytes


def test_as_few_devices_as_the_memory_allows() -> None:
    backbone, peaks = find_backbone("minilm"), [peak(n) for n in (1, 2, 4)]
    assert peaks[0] > peaks[1] > peaks[2]
    for devices, size in zip((1, 2, 4), peaks, strict=True):
        assert least_devices(cell(), backbone, size + RESERVE, 8) == devices
    assert least_devices(cell(), backbone, peaks[0] + RESERVE - 1, 8) == 2
    assert least_devices(cell(), backbone, RESERVE, 8) == 8  # none fits
    assert least_devices(cell(), backbone, RESERVE, 1) == 1


def gpus(monkeypatch: pytest.MonkeyPatch, count: int, memory: int) -> None:
    """Pretend that this machine has GPUs."""
    for module in (dividing, levers):
        monkeypatch.setattr(module, "visible_gpus", lambda: [*map(str, range(count))])
    monkeypatch.setattr(dividing, "gpu_memory", lambda: memory)


def test_an_arm_has_the_devices_of_its_longest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = max(peak(2), peak(4, 512))
    assert memory < min(peak(1), peak(2, 512))
    gpus(monkeypatch, 4, memory + RESERVE)
    chosen = Dividing(find_backbone("minilm"), 512)
    assert chosen.divided(cell()).levers == Levers(devices=4)
    assert Dividing(find_backbone("minilm"), 64).divided(cell()).levers == Levers(devices=2)


def test_what_cannot_be_divided_stays_on_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 4, RESERVE)
    chosen = Dividing(find_backbone("minilm"), 64)
    assert chosen.divided(cell()).levers.devices == 4
    assert chosen.divided(cell(examples=6)).levers.devices == 2  # texts of the last batch
    for one in (
        cell(device="cpu"),
        cell(levers=Levers(micro_batch=1)),
        cell(method="ia3", density=1.0, placement="alternate", target="attention"),
    ):
        assert chosen.divided(one) == one


def test_the_plan_of_a_sweep_chooses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 4, peak(2) + RESERVE)
    monkeypatch.setattr(plan, "choose_device", lambda _: "cuda")
    file = tmp_path / "x.yaml"
    file.write_text(
        "name: x\nbackbone: minilm\ntasks: [newsgroups]\nlengths: [64]\nmethods: [full, lora]\n"
        "levers: {devices: auto}\ndtype: float32\ntrain: {examples: 8, batch_size: 4, lr: 1e-4}\n"
        "probe: {lengths: [64]}\n"
    )
    cells = plan.make_plan(load_sweep(file), file).cells
    devices = {(one.kind, one.method): one.levers.devices for one in cells}
    assert devices["train", "full"] == 2
    assert devices["train", "lora"] == devices["train", "head"] == 1
    assert {n for (kind, _), n in devices.items() if kind == "probe"} == {1}


def test_fit_asks_for_a_number() -> None:
    from click.testing import CliRunner

    from harness.cli.fit_command import fit

    asked = ["--model", "minilm", "--memory", "2GiB", "--lever", "{devices: auto}"]
    error = CliRunner().invoke(fit, asked).exception
    assert isinstance(error, BadInput)
    assert "give a number of devices" in str(error)
