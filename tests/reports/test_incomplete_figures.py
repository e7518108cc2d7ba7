"""Every figure of scores marks an arm that lacks seeds, and its alt text names it as well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from reports.blocks import Block, Picture
from reports.frame import Result
from reports.sections.evaluations import lm_eval
from reports.sections.position import loss_by_position as by_position
from reports.sections.tuning import curves
from tests.reports.conftest import write_run
from tests.reports.faces import (
    accuracy_by_length,
    evaluation_by_length,
    loaded,
    loss_by_position,
    validation_curves,
)
from tests.reports.made import arm, evaluation, loss_cell

Load = Callable[..., list[Result]]


def entries(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def alt(blocks: list[Block]) -> str:
    (found,) = [block for block in blocks if isinstance(block, Picture)]
    return found.alt


def test_curves_positions_and_lm_eval_mark_an_incomplete_arm(load: Load, tmp_path: Path) -> None:
    cells = [
        loss_cell(method, length=n, seed=seed, evaluations=[evaluation(value=0.1)])
        for n in (128, 256)
        for method, seed in (("lora", 0), ("lora", 1), ("ssmlora", 1))
    ]
    results = load(cells)
    task = results[0]["evaluations"][0].task
    for draw in (validation_curves, loss_by_position, evaluation_by_length(task)):
        assert entries(draw(results)) == ["LoRA 1", "SSMLoRA 1, 1 of 2 seeds"]
    report = loaded(write_run(tmp_path / "run", cells))
    assert "SSMLoRA 1 at 256 tokens" in alt(curves(report))
    for section in (curves, by_position, lm_eval):
        assert alt(section(report)).count("(1 of 2 seeds)") >= 1


def test_complete_arms_have_no_mark(load: Load, tmp_path: Path) -> None:
    cells = [loss_cell(m, seed=s) for m in ("lora", "ssmlora") for s in (0, 1)]
    results = load(cells)
    for draw in (validation_curves, loss_by_position):
        assert entries(draw(results)) == ["LoRA 1", "SSMLoRA 1"]
    report = loaded(write_run(tmp_path / "run", cells))
    assert "seeds" not in alt(curves(report)) + alt(by_position(report))


def test_a_long_label_keeps_its_mark(load: Load) -> None:
    cells = [*arm("LoRA 1", {0: 140, 1: 143}), *arm("SSMLoRA 1", {1: 150})]
    for one in cells:
        one["arm"] = f"{one['arm']} ({'setting, ' * 6}last)"
    (told,) = [text for text in entries(accuracy_by_length(load(cells))) if "SSM" in text]
    assert told.endswith("…, 1 of 2 seeds")
