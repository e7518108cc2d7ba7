"""The layer against the equations, in float64 on whole models."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from ssmlora import layer as layer_module
from tests.ssmlora.reference import reference_of
from tests.ssmlora.tiny import adapted, bert, distance, layers_of, llama, randomise, tokens

TOLERANCE = 1e-10
MODELS = {"bert": bert, "llama": llama}


def logits_of(model: Any, ids: torch.Tensor) -> torch.Tensor:
    return model(input_ids=ids).logits


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("density", [1.0, 0.5])
def test_outputs_are_those_of_the_equations(name: str, density: float) -> None:
    base, ids = MODELS[name](), tokens()
    plain = copy.deepcopy(base)
    model = adapted(base, density=density)
    _, run = reference_of(plain, model)
    ours = logits_of(model, ids)
    assert distance(ours, run(input_ids=ids).logits) < TOLERANCE

    _, unlinked = reference_of(MODELS[name](), model, link=False)
    assert distance(ours, unlinked(input_ids=ids).logits) > 100 * TOLERANCE


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("without_aminmax", ["cuda", "cpu"])
def test_gradients_are_those_of_the_equations(
    name: str, detach: bool, without_aminmax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_module, "_WITHOUT_AMINMAX", {without_aminmax})
    base, ids = MODELS[name](), tokens()
    plain = copy.deepcopy(base)
    model = adapted(base, detach_state=detach)
    pairs, run = reference_of(plain, model)
    weights = torch.randn(logits_of(model, ids).shape, dtype=torch.float64)
    (logits_of(model, ids) * weights).sum().backward()
    (run(input_ids=ids).logits * weights).sum().backward()
    for twin, layer in pairs:
        for matrix in "abcd":
            expected = getattr(twin, f"w_{matrix}").grad.T
            ours = getattr(layer, f"ssmlora_{matrix.upper()}")["default"].grad
            assert distance(ours, expected) < TOLERANCE * max(1.0, float(expected.abs().max()))

    # The test says something: with the link cut, and with the other rule for the chain's
    # gradient, the gradients are others.
    ours_d = pairs[0][1].ssmlora_D["default"].grad
    for link, other in ((False, detach), (True, not detach)):
        twins, again = reference_of(MODELS[name](), model, link=link)
        for twin, _ in twins:
            twin.detach = other
        (again(input_ids=ids).logits * weights).sum().backward()
        assert distance(ours_d, twins[0][0].w_d.grad.T) > 100 * TOLERANCE


def test_gradcheck_through_the_chain() -> None:
    model = adapted(bert(layers=3), detach_state=False, target_modules=["query"])
    ids = tokens(1, 3)
    names = [name for name, _ in model.named_parameters() if "ssmlora_" in name]
    values = [model.get_parameter(name).detach().clone().requires_grad_() for name in names]

    def logits(*values: torch.Tensor) -> torch.Tensor:
        parameters = dict(zip(names, values, strict=True))
        return torch.func.functional_call(model, parameters, kwargs={"input_ids": ids}).logits

    assert torch.autograd.gradcheck(logits, values, eps=1e-7, atol=1e-5, fast_mode=True)


@pytest.mark.parametrize("init", ["paper", "small_random", "lora_scale"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_starts_as_the_base_model_bit_for_bit(init: str, dtype: torch.dtype) -> None:
    base, ids = bert().to(dtype), tokens()
    before = logits_of(base, ids)
    model = adapted(base, fill=False, init=init).to(dtype)
    assert torch.equal(logits_of(model, ids), before)
    randomise(model)
    assert not torch.equal(logits_of(model, ids), before)


def test_the_control_starts_every_layer_from_zero() -> None:
    base, ids = bert(), tokens()
    model = adapted(base, link_state=False)
    _, unlinked = reference_of(bert(), model, link=False)
    _, linked = reference_of(bert(), model)
    ours = logits_of(model, ids)
    assert distance(ours, unlinked(input_ids=ids).logits) < TOLERANCE
    assert distance(ours, linked(input_ids=ids).logits) > 100 * TOLERANCE


def test_state_dropout_acts_on_the_output_and_not_on_what_is_handed_on() -> None:
    model = adapted(bert(layers=2), state_dropout=0.5, target_modules=["query"])
    first, second = layers_of(model).values()
    first.train()  # dropout in this layer only
    seen: dict[str, list[torch.Tensor]] = {"first": [], "second": []}
    first.register_forward_hook(lambda module, args, output: seen["first"].append(output))
    second.register_forward_hook(lambda module, args, output: seen["second"].append(output))

    def run_twice() -> None:
        for outputs in seen.values():
            outputs.clear()
        for seed in (0, 1):
            torch.manual_seed(seed)
            model(input_ids=tokens())

    run_twice()
    assert distance(*seen["first"]) > 1e-6
    # With the first layer's own output silenced, the second hears of it through the chain alone.
    torch.nn.init.zeros_(first.ssmlora_B["default"])
    run_twice()
    assert torch.equal(*seen["second"])


@pytest.mark.parametrize("rslora", [False, True])
def test_scale(rslora: bool) -> None:
    model = adapted(bert(), r=4, lora_alpha=12, use_rslora=rslora)
    layer = next(iter(layers_of(model).values()))
    assert layer.settings["default"].scaling == (6.0 if rslora else 3.0)


@pytest.mark.parametrize("init", ["paper", "small_random", "lora_scale"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_autocast_trains_without_nan(init: str, dtype: torch.dtype) -> None:
    model = adapted(bert().float(), fill=False, init=init).float().train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for step in range(4):
        with torch.autocast("cpu", dtype):
            logits = logits_of(model, tokens(seed=step))
        F.cross_entropy(logits.float(), torch.tensor([0, 2])).backward()
        optimizer.step()
        assert all(p.isfinite().all() for p in model.parameters())
        optimizer.zero_grad()


def test_plain_low_rank_pair_is_lora() -> None:
    base, ids = bert(), tokens()
    model = adapted(base, target_modules=["query"], stateless_modules=["value"])
    layer = next(m for n, m in layers_of(model).items() if n.endswith("value"))
    assert not layer.ssmlora_C
    x = torch.randn(2, 5, 16, dtype=torch.float64)
    a, b = layer.ssmlora_A["default"], layer.ssmlora_B["default"]
    assert distance(layer(x), layer.base_layer(x) + 2.0 * (x @ a.T @ b.T)) < TOLERANCE
    model(input_ids=ids)
