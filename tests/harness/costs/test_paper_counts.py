"""The trainable parameters of the paper's table, from a sweep file."""

from __future__ import annotations

import pytest

from harness.costs.shapes import shape_cost, shape_of
from harness.planning.plan import make_plan
from harness.planning.sweep import load_sweep
from tests.harness.conftest import SWEEPS

COUNTS = {
    "roberta-base": {"lora": 1_327_104, "ssmlora": 1_033_728},
    "llama-2-7b": {"lora": 19_988_480, "ssmlora": 15_798_272},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTS)
def test_the_papers_counts(name: str) -> None:
    path = SWEEPS / "paper-shapes.yaml"
    plan = make_plan(load_sweep(path, [f"backbone.config={name}", "probe.lengths=[16]"]), path)
    found = {}
    for cell in plan.cells:
        cost = shape_cost(shape_of(cell), plan.backbone)
        assert cost.trainable_params, cost.reason
        found[cell.method] = cost.trainable_params - (cost.head_params or 0)
    assert found == COUNTS[name]
