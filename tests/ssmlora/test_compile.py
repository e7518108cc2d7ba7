"""torch.compile of the whole model: one graph, the same outputs and gradients."""

from __future__ import annotations

import threading
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


@pytest.mark.slow
def test_checkpointing_under_compile() -> None:
    """The same gradients; the graph may break around a block."""
    model = adapted(llama(layers=3))
    model(input_ids=tokens()).logits.square().sum().backward()
    wanted = gradients(model)
    model.zero_grad()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.enable_input_require_grads()
    model.train()
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager")
    compiled(input_ids=tokens()).logits.square().sum().backward()
    assert furthest(gradients(model), wanted) < 1e-10


@pytest.mark.slow
def test_two_threads_in_one_compiled_model() -> None:
    model = adapted(llama(layers=3))
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    found: dict[int, torch.Tensor] = {}

    def work(seed: int) -> None:
        with torch.no_grad():
            found[seed] = compiled(input_ids=tokens(seed=seed)).logits

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for seed in (0, 1):
        assert distance(found[seed], model(input_ids=tokens(seed=seed)).logits) < 1e-12
