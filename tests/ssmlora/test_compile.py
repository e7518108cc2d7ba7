"""torch.compile of the whole model: one graph, the same outputs and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ssmlora.state import current_pass
from tests.ssmlora.tiny import adapted, bert, distance, furthest, gradients, llama, tokens


@pytest.mark.parametrize("build", [bert, llama])
@pytest.mark.parametrize("detach", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_one_graph(build: Any, detach: bool) -> None:
    model = adapted(build(layers=3), detach_state=detach)
    expected = model(input_ids=tokens()).logits
    expected.square().sum().backward()
    wanted = gradients(model)
    model.zero_grad()

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for seed in (1, 0):  # a second batch runs in the same graph
        logits = compiled(input_ids=tokens(seed=seed)).logits
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert distance(logits, expected) < 1e-12
    logits.square().sum().backward()
    assert furthest(gradients(model), wanted) < 1e-10
    assert current_pass() is None


@pytest.mark.slow
def test_blocks_compiled_one_by_one() -> None:
    """The state crosses from graph to graph, and no call compiles anew."""
    model = adapted(llama(layers=3))
    expected = [model(input_ids=tokens(seed=seed)).logits for seed in range(3)]
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    for block in model.base_model.model.model.layers:
        block.compile(backend="aot_eager", fullgraph=True)
    for seed in range(3):
        assert distance(model(input_ids=tokens(seed=seed)).logits, expected[seed]) < 1e-12
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 3
