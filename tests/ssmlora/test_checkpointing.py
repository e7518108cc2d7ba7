"""Gradient checkpointing runs blocks again, out of depth order: the same states must be read."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from ssmlora import SSMLoraConfig
from tests.ssmlora.tiny import (
    adapted,
    bert,
    furthest,
    gradients,
    layers_of,
    llama,
    randomise,
    t5,
    tokens,
)

MODELS = {"bert": bert, "llama": llama}


def enable(model: Any, reentrant: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        model.enable_input_require_grads()
    model.train()


def quiet(model: Any) -> Any:
    """Training mode (checkpointing needs it) without any dropout."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def loss(model: Any, seed: int = 0) -> torch.Tensor:
    logits = model(input_ids=tokens(seed=seed)).logits
    return (logits * torch.linspace(-1, 1, logits.numel()).view_as(logits)).sum()


def gradients_of(model: Any, *seeds: int) -> dict[str, torch.Tensor]:
    """All forward passes first, then one backward pass through all of them."""
    model.zero_grad()
    sum(loss(model, seed) for seed in seeds).backward()  # type: ignore[union-attr]
    return gradients(model)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("reentrant", [True, False])
def test_same_gradients(name: str, reentrant: bool) -> None:
    model = quiet(adapted(MODELS[name](), modules_to_save=[]))
    one, two = gradients_of(model, 0), gradients_of(model, 0, 1)
    enable(model, reentrant)
    runs = count_runs(model)
    assert furthest(gradients_of(model, 0), one) < 1e-12
    assert set(runs.values()) == {2}  # it did run every block twice
    assert furthest(gradients_of(model, 0, 1), two) < 1e-12


def count_runs(model: Any) -> dict[str, int]:
    runs = dict.fromkeys(layers_of(model), 0)
    for name, layer in layers_of(model).items():
        layer.base_layer.register_forward_hook(
            lambda *_, name=name: runs.__setitem__(name, runs[name] + 1)
        )
    return runs


def test_the_state_read_in_the_recomputation_matters() -> None:
    model = quiet(adapted(bert()))
    right = gradients_of(model, 0)
    enable(model, reentrant=False)
    value = loss(model)
    for layer in layers_of(model).values():  # from here on no layer finds its predecessor
        layer.link("default", "", (), writes=False)
    model.zero_grad()
    value.backward()
    assert furthest(gradients(model), right) > 1e-6


@pytest.mark.parametrize("reentrant", [True, False])
def test_another_pass_before_the_backward_pass(reentrant: bool) -> None:
    model = quiet(adapted(bert()))
    expected = gradients_of(model, 0)
    enable(model, reentrant)
    model.zero_grad()
    value = loss(model)
    with torch.no_grad():
        model(input_ids=tokens(rows=3, length=7, seed=5))
    value.backward()
    assert furthest(gradients(model), expected) < 1e-12


def test_backward_in_another_thread() -> None:
    model = quiet(adapted(bert()))
    expected = gradients_of(model, 0)
    enable(model, reentrant=False)
    model.zero_grad()
    value = loss(model)
    thread = threading.Thread(target=value.backward)
    thread.start()
    thread.join(30)
    assert furthest(gradients(model), expected) < 1e-12


def test_encoder_decoder() -> None:
    model = quiet(adapted(t5()))

    def run() -> dict[str, torch.Tensor]:
        model.zero_grad()
        logits = model(input_ids=tokens(), decoder_input_ids=tokens(2, 4, seed=2)).logits
        (logits * torch.linspace(-1, 1, logits.numel()).view_as(logits)).sum().backward()
        return gradients(model)

    expected = run()
    enable(model, reentrant=False)
    runs = count_runs(model)
    assert furthest(run(), expected) < 1e-12
    assert set(runs.values()) == {2}


def test_gradient_through_the_chain() -> None:
    model = quiet(adapted(bert(), detach_state=False))
    expected = gradients_of(model, 0, 1)
    enable(model, reentrant=False)
    assert furthest(gradients_of(model, 0, 1), expected) < 1e-12


def test_gradient_through_the_chain_refuses_the_reentrant_kind() -> None:
    model = quiet(adapted(bert(), detach_state=False))
    enable(model, reentrant=True)
    with pytest.raises(RuntimeError, match="use_reentrant=False"):
        loss(model)


@pytest.mark.parametrize("reentrant", [True, False])
def test_no_gradients_at_all_are_no_reason_to_refuse(reentrant: bool) -> None:
    model = quiet(adapted(bert(), detach_state=False))
    expected = loss(model).detach()
    enable(model, reentrant)
    with torch.no_grad():
        assert torch.equal(loss(model), expected)


def test_a_foreign_checkpoint_is_refused() -> None:
    model = quiet(adapted(bert())).train()
    block = model.base_model.model.bert.encoder.layer[2]
    forward = block.forward
    block.forward = lambda *args, **kwargs: checkpoint(
        lambda *a: forward(*a, **kwargs), *args, use_reentrant=False
    )
    value = loss(model)
    with pytest.raises(RuntimeError, match="outside a forward pass"):
        value.backward()


def test_two_adapters_on_other_blocks() -> None:
    """The adapter that came last has sites in two blocks; the first still runs in all four."""
    model = quiet(adapted(bert()))
    model.add_adapter("sparse", SSMLoraConfig(r=3, density=0.25, state_dropout=0.0))
    randomise(model.double())
    expected = gradients_of(model, 0)
    enable(model, reentrant=False)
    assert furthest(gradients_of(model, 0), expected) < 1e-12
    model.set_adapter("sparse")
    assert any("sparse" in name for name in gradients_of(model, 0))


def test_a_new_adapter_after_one_that_was_unloaded() -> None:
    model = quiet(adapted(bert()))
    enable(model, reentrant=False)
    gradients_of(model, 0)
    again = quiet(adapted(model.unload()))
    enable(again, reentrant=False)
    assert furthest(gradients_of(again, 0), gradients_of(quiet(adapted(bert())).train(), 0)) < 1e-12


def test_state_dropout_draws_the_same_again() -> None:
    model = quiet(adapted(bert(), state_dropout=0.5)).train()
    torch.manual_seed(3)
    expected = gradients_of(model, 0)
    enable(model, reentrant=False)
    torch.manual_seed(3)
    assert furthest(gradients_of(model, 0), expected) < 1e-12
