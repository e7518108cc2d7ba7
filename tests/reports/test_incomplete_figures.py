"""Every figure of scores marks an arm that lacks seeds, and its alt text names it as well."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from reports.accuracy_figures import accuracy_by_length
from reports.blocks import Picture, Section
from reports.evaluation_figures import evaluation_by_length
from reports.evaluation_section import lm_eval
from reports.files import Result
from reports.groups import Group, Key
from reports.position_figures import loss_by_position
from reports.position_section import by_position
from reports.study_figures import validation_curves
from reports.tuning_section import curves
from tests.reports.made import arm, evaluation, loss_cell

Load = Callable[..., list[Result]]


def entries(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def alt(sections: list[Section]) -> str:
    (found,) = [b for s in sections for b in s.blocks if isinstance(b, Picture)]
    return found.alt


def test_curves_positions_and_lm_eval_mark_an_incomplete_arm(load: Load) -> None:
    results = load(
        [
            loss_cell(method, length=n, seed=seed, evaluations=[evaluation(value=0.1)])
            for n in (128, 256)
            for method, seed in (("lora", 0), ("lora", 1), ("ssmlora", 1))
        ]
    )
    task = results[0].evaluations[0].task
    for draw in (validation_curves, loss_by_position, evaluation_by_length(task)):
        assert entries(draw(results)) == ["LoRA 1", "SSMLoRA 1, 1 of 2 seeds"]
    groups = [Group(Key("", "", ""), "", "", results)]
    assert "SSMLoRA 1 at 256 tokens" in alt(curves(groups))
    for section in (curves, by_position, lm_eval):
        assert alt(section(groups)).count("(1 of 2 seeds)") >= 1


def test_complete_arms_have_no_mark(load: Load) -> None:
    results = load([loss_cell(m, seed=s) for m in ("lora", "ssmlora") for s in (0, 1)])
    for draw in (validation_curves, loss_by_position):
        assert entries(draw(results)) == ["LoRA 1", "SSMLoRA 1"]
    groups = [Group(Key("", "", ""), "", "", results)]
    assert "seeds" not in alt(curves(groups)) + alt(by_position(groups))


def test_a_long_label_keeps_its_mark(load: Load) -> None:
    cells = [*arm("LoRA 1", {0: 140, 1: 143}), *arm("SSMLoRA 1", {1: 150})]
    for one in cells:
        one["arm"] = f"{one['arm']} ({'setting, ' * 6}last)"
    (told,) = [text for text in entries(accuracy_by_length(load(cells))) if "SSM" in text]
    assert told.endswith("…, 1 of 2 seeds")
