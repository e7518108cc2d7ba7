"""Where the length comes from: the matrix, evidence positions and forgetting on the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.blocks import Block, Failed, Picture, Table
from reports.sections.evaluations import lm_eval
from reports.sections.forgetting import forgetting as forgetting_section
from reports.sections.forgetting import forgotten
from reports.sections.length import (
    length_matrix,
    position_series,
    reached,
    where_the_length_comes_from,
)
from tests.reports.conftest import make_cell, write_run
from tests.reports.faces import loaded
from tests.reports.made import forgetting, further_cells, loss_cell


def _table(blocks: list[Block], part: str) -> Table:
    return next(b for b in blocks if isinstance(b, Table) and part in b.caption)


def test_the_matrix_has_every_test_of_every_training(tmp_path: Path) -> None:
    report = loaded(write_run(tmp_path / "run", further_cells()))
    (group,) = report.training
    matrix = length_matrix(group)
    assert set(matrix) == {"Full", "LoRA 1", "SSMLoRA 1/2"}  # baselines are not trained at a length
    assert {n: [*at] for n, at in matrix["LoRA 1"].items()} == {
        128: [128, 512, 2048], 512: [128, 512, 2048],
    }  # fmt: skip
    point = matrix["LoRA 1"][128][2048]
    assert point.value == pytest.approx(0.61 - 0.25)
    assert len(point.seeds) == 3
    assert 2048 not in matrix["Full"][128]
    assert matrix["LoRA 1"][512][512].value == pytest.approx(0.6)  # its own test
    blocks = where_the_length_comes_from(report)
    table = _table(blocks, "length of training")
    (row,) = [row for row in table.rows if row[:2] == ["Full", "128"]]
    assert row[-1] == Failed("oom")
    pictures = [b for b in blocks if isinstance(b, Picture)]
    assert [p.name for p in pictures] == ["length-matrix.png", "evidence-position.png"]
    assert "LoRA 1, 128 to 2048: 0.360" in pictures[0].alt
    assert "LoRA 1 at 512 tokens: 0.610 at 0–25 %" in pictures[1].alt
    assert lm_eval(report) == []  # these evaluations are not of lm-eval


def test_arms_are_averaged_over_seeds_that_all_of_them_have(tmp_path: Path) -> None:
    cells = [c for c in further_cells() if (c["cell"]["method"], c["cell"]["seed"]) != ("lora", 2)]
    (group,) = loaded(write_run(tmp_path / "run", cells)).training
    point = length_matrix(group)["SSMLoRA 1/2"][128][512]
    assert point.seeds == pytest.approx((0.6 - 1 / 16, 0.61 - 1 / 16))
    assert position_series(group)[128]["SSMLoRA 1/2"][0].seeds == pytest.approx((0.6, 0.61))


def test_positions_are_parts_of_the_text(tmp_path: Path) -> None:
    report = loaded(write_run(tmp_path / "run", further_cells((0,))))
    (group,) = report.training
    series = position_series(group)
    assert {n: [p.length for p in own["Full"]] for n, own in series.items()} == {
        128: [16, 48, 80, 112], 512: [64, 192, 320, 448],
    }  # fmt: skip
    assert "TF-IDF" in series[128]
    table = _table(where_the_length_comes_from(report), "position of the evidence")
    assert table.head[2:] == ["0–25 %", "25–50 %", "50–75 %", "75–100 %"]
    assert len(table.rows) == 8


def test_nothing_is_shown_without_such_evaluations(tmp_path: Path) -> None:
    report = loaded(write_run(tmp_path / "run", [make_cell("lora", length=n) for n in (64, 128)]))
    assert where_the_length_comes_from(report) == []


def test_forgetting_is_paired_with_the_zero_shot_backbone(tmp_path: Path) -> None:
    cells = [loss_cell("base", evaluations=[forgetting([1.0, 3.0, 5.0])])]
    for seed, shift in ((0, 0.1), (1, 0.2), (2, 0.3)):
        after = [1.0 + shift, 3.0 + shift, 5.0 + shift + 0.3]
        cells.append(loss_cell("lora", seed=seed, evaluations=[forgetting(after)]))
        failed = forgetting([1.0]) | {"value": None, "scores": [], "status": "oom"}
        cells.append(loss_cell("ssmlora", seed=seed, evaluations=[failed]))
    report = loaded(write_run(tmp_path / "run", cells))
    (group,) = report.training
    found = forgotten(group)
    one = found["LoRA 1"][128]
    assert one is not None
    assert one.before == 3.0
    assert one.change == pytest.approx(0.3)
    # Differences by text .2, .2, .5: far less than the spread of the texts.
    assert one.half == pytest.approx(4.302653 * 0.1, rel=1e-5)
    assert found["SSMLoRA 1"][128] is None
    table = _table(forgetting_section(report), "Forgetting")
    assert [list(row) for row in table.rows] == [
        ["LoRA 1", "+0.300 ± 0.430"],
        ["SSMLoRA 1", Failed("oom")],
    ]


@pytest.mark.parametrize(
    ("seeds", "right", "said"),
    [
        ((0, 1, 2), (300, 300, 300), 2048),  # the same texts are right at all lengths
        ((0, 1, 2), (300, 300, 150), 512),
        ((0, 1, 2), (300, 150, 300), 128),  # in order of length: what follows a failure is not read
        ((0, 1), (300, 300, 300), None),
    ],
)
def test_how_far_a_model_holds(
    tmp_path: Path, seeds: tuple[int, ...], right: tuple[int, ...], said: int | None
) -> None:
    cells = []
    for seed in seeds:
        own, *others = ([float(k < n) for k in range(500)] for n in right)
        cell = make_cell("lora", seed=seed, accuracy=0.6, correct=[bool(one) for one in own])
        cell["evaluations"] = [
            {"kind": "length", "task": "needle", "metric": "accuracy", "length": n, "status": "ok",
             "value": sum(scores) / 500, "low": 0.3, "high": 0.7, "examples": 500, "scores": scores}
            for n, scores in zip((512, 2048), others, strict=True)
        ]  # fmt: skip
        cells.append(cell)
    report = loaded(write_run(tmp_path / "run", cells))
    (group,) = report.training
    assert reached(group, 128) == {"LoRA 1": said}
    table = _table(where_the_length_comes_from(report), "length of training")
    assert table.rows[0][2] == (str(said) if said else "not decided")
