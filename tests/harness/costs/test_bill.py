"""The bill of a sweep: shapes are priced once, cells get their times, and what is too large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.core.cell import Cell
from harness.costs import bill, shapes
from harness.costs.bill import make_bill
from harness.costs.calibration import calibration
from harness.costs.devices import Device, find_device
from harness.costs.rates import Calibration, Point
from harness.costs.shapes import ShapeCost, StepCost, Work, shape_of
from harness.models.backbones import Backbone
from tests.harness.costs.test_dry_run import backbone, probe

WORK = Work(matmul_flops=10**9, attention_flops=0, moved_bytes=0, operators=0)
STEP = StepCost(peak_bytes=2**30, parts={"weights": 2**29, "transient": 2**29}, work=WORK)


@pytest.fixture(autouse=True)
def _cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_LONG_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every shape costs a step of `STEP`; a step takes a second. The priced shapes."""
    priced: list[str] = []

    def computed(found: list[tuple[str, Cell]], *_: Any) -> list[tuple[str, ShapeCost]]:
        priced.extend(i for i, _ in found)
        cost = ShapeCost(train=STEP, eval=STEP, trainable_params=5, total_params=0)
        return [(i, cost) for i, _ in found]

    point = Point(work=WORK, wall=1.0, cpu=1.0)
    monkeypatch.setattr(shapes, "_computed", computed)
    monkeypatch.setattr(bill, "calibration", lambda *_: Calibration(points=[point]))
    return priced


def trained(**more: Any) -> Cell:
    settings = {
        "kind": "train", "task": "newsgroups", "examples": 10, "epochs": 2, "batch_size": 4,
        "validation_examples": 4, "validations": 3, "test_examples": 9, "lr": 1e-3,
    } | more  # fmt: skip
    return Cell.model_validate(probe("lora", False).model_dump() | settings)


def test_cells_of_one_shape_are_priced_once(known: list[str]) -> None:
    cells = [trained(seed=seed, lr=lr) for seed in (0, 1) for lr in (1e-3, 1e-4)]
    cells += [trained(task="pysource"), trained(placement="random", seed=1)]
    where = Backbone("tiny", Path(), "none")
    made = make_bill(cells, where, 2)
    assert len(known) == 2
    assert set(made.run.cells) == {cell.id for cell in cells}
    make_bill(cells, where, 2)
    assert len(known) == 2  # from the cache
    make_bill(cells[:1], Backbone("tiny", Path(), "other weights"), 2)
    assert len(known) == 3


def test_shapes_differ_in_what_costs(known: list[str]) -> None:
    one = shape_of(trained()).id
    for more in ({"length": 64}, {"batch_size": 8}, {"density": 1.0}, {"dtype": "bfloat16"}):
        assert shape_of(trained(**more)).id != one
    assert shape_of(trained(test_examples=100, warmup=0.1)).id == one


def test_the_time_of_a_cell(known: list[str]) -> None:
    cell = trained()
    made = make_bill([cell, trained(seed=1), probe("lora", False)], Backbone("t", Path(), "n"), 2)
    # 2 epochs of 3 batches; 3 validations of 1 batch, and a test of 3 batches
    assert made.run.cells[cell.id].cell_s == pytest.approx(6 + 3 + 3)
    # two training cells side by side; then 2 rounds and 2 untimed steps of 2 s
    assert made.seconds == pytest.approx(12 + 8)


def test_decoding_takes_time_in_every_round(known: list[str]) -> None:
    cells = {method: probe(method, True, decode=48) for method in ("lora", "ssmlora", "base")}
    for method, used in (("lora", 2), ("ssmlora", 1), ("base", 1)):
        made = make_bill([cells[method]], Backbone("t", Path(), "n"), 1)
        prefill_and_decoding = 1 + 48 * 20 / 192
        trained = 0 if method == "base" else 2
        # 2 rounds and 2 untimed steps
        assert made.seconds == pytest.approx(4 * (trained + used * prefill_and_decoding))


def test_a_run_prices_without_a_calibration(
    known: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(bill, "calibration", calibration)
    monkeypatch.setattr("harness.costs.calibration.workers", lost)
    cell = trained()
    made = make_bill([cell], Backbone("t", Path(), "n"), 1, calibrate=False)
    assert made.run.cells[cell.id].train_live_peak_bytes == 2**30
    assert made.seconds is None
    with pytest.raises(AssertionError, match="was started"):
        make_bill([cell], Backbone("t", Path(), "n"), 1)


def test_what_does_not_fit_is_named(known: list[str]) -> None:
    cell = trained()
    where = Backbone("tiny", Path(), "none")
    assert not make_bill([cell], where, 1).unfit
    assert make_bill([cell], where, 1, cell_bytes=2**30).unfit == {cell.id}
    assert make_bill([cell], where, 1, find_device("1.5GiB", "")).unfit == {cell.id}
    small = make_bill([cell], where, 1, find_device("4GiB", ""))
    assert not small.unfit
    assert small.seconds is None


def test_an_arm_that_cannot_be_built_has_a_reason(tmp_path: Path) -> None:
    cost = shapes.shape_cost(probe("no_such_method", True), backbone(tmp_path, True))
    assert cost.train is None
    assert "no_such_method" in (cost.reason or "")


def test_on_a_gpu_tensors_are_held_against_its_memory(
    known: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [trained(device="cuda")]
    for size, fits in ((3 * 2**30, True), (2**30, False)):  # a step has live tensors of 1 GiB
        gpu = Device("a GPU", size, workspace_bytes=2**20)
        monkeypatch.setattr(bill, "this_gpu", lambda gpu=gpu: gpu)
        made = make_bill(cells, Backbone("tiny", Path(), "none"), 1)
        assert made.memory_bytes == size - 2**30
        (one,) = made.run.cells.values()
        assert one.train_live_peak_bytes == sum(one.parts.values())
        assert (not made.unfit) is fits
