"""A state is visible to its own forward pass and to its own token, and to nothing else."""

from __future__ import annotations

import copy
import threading
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ssmlora import SSMLoraConfig, state
from ssmlora.state import current_pass
from tests.ssmlora.tiny import (
    adapted,
    bert,
    distance,
    furthest,
    gradients,
    layers_of,
    llama,
    randomise,
    t5,
    tokens,
)


@pytest.fixture
def model() -> Any:
    return adapted(bert())


def logits(model: Any, ids: torch.Tensor, **inputs: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids, **inputs).logits


def test_the_link_matters_here(model: Any) -> None:
    """Without this the tests below would prove nothing."""
    linked = logits(model, tokens())
    for layer in layers_of(model).values():
        layer.link("default", "", (), writes=False)
    assert distance(linked, logits(model, tokens())) > 1e-6


def test_nothing_comes_from_the_batch_before(model: Any) -> None:
    first = logits(model, tokens(seed=1))
    logits(model, tokens(seed=2))
    logits(model, tokens(rows=3, length=7, seed=3))
    assert torch.equal(logits(model, tokens(seed=1)), first)
    assert current_pass() is None


def test_nothing_comes_from_neighbours_or_padding(model: Any) -> None:
    ids = tokens(rows=3, length=5)
    mask = torch.ones_like(ids)
    alone = logits(model, ids[:1], attention_mask=mask[:1])
    assert distance(alone, logits(model, ids, attention_mask=mask)[:1]) < 1e-12
    padding = torch.full((3, 4), 9)
    padded = torch.cat([ids, padding], 1)
    padded_mask = torch.cat([mask, torch.zeros_like(padding)], 1)
    assert distance(alone, logits(model, padded, attention_mask=padded_mask)[:1]) < 1e-12


def test_nothing_comes_from_padding_on_the_left() -> None:
    decoder = adapted(llama())
    ids = tokens(1, 5)
    mask = torch.ones_like(ids)
    padding = torch.full((1, 3), 9)
    padded_mask = torch.cat([torch.zeros_like(padding), mask], 1)
    positions = (padded_mask.cumsum(1) - 1).clamp(min=0)
    left = logits(
        decoder, torch.cat([padding, ids], 1), attention_mask=padded_mask, position_ids=positions
    )
    assert distance(left[:, 3:], logits(decoder, ids, attention_mask=mask)) < 1e-12


def test_nothing_survives_an_exception(model: Any) -> None:
    clean = logits(model, tokens())
    third = list(layers_of(model).values())[5]

    def fail(*_: Any) -> None:
        raise InterruptedError

    for kind in (third.register_forward_pre_hook, third.register_forward_hook):
        handle = kind(fail)
        with pytest.raises(InterruptedError):
            logits(model, tokens(seed=9))
        handle.remove()
        assert current_pass() is None
        assert torch.equal(logits(model, tokens()), clean)


def test_what_no_hook_sees_leaves_nothing_that_is_read(model: Any) -> None:
    clean = logits(model, tokens())
    handle = list(layers_of(model).values())[5].register_forward_pre_hook(_interrupt)
    with pytest.raises(KeyboardInterrupt):
        logits(model, tokens(seed=9))
    handle.remove()
    assert torch.equal(logits(model, tokens()), clean)
    state._thread.current = None  # the interrupted pass is never closed; the next do not read it


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("same", [True, False])
def test_nested_calls(model: Any, same: bool) -> None:
    """A forward pass of this model, or of another with the same names, inside a forward pass."""
    other = model if same else adapted(bert())
    if not same:
        randomise(other, seed=5)
    outer, inner = logits(model, tokens()), logits(other, tokens(seed=4))
    between = list(layers_of(model).values())[4]
    seen: list[torch.Tensor] = []

    def call(*_: Any) -> None:
        if not seen:
            seen.append(torch.empty(0))
            seen.append(logits(other, tokens(seed=4)))

    between.register_forward_pre_hook(call)
    assert torch.equal(logits(model, tokens()), outer)
    assert torch.equal(seen[1], inner)


def test_an_encoder_called_within_itself(model: Any) -> None:
    encoder = model.base_model.model.bert.encoder
    hidden = torch.randn(2, 5, 16, dtype=torch.float64)
    inner, outer = encoder(hidden)[0], logits(model, tokens())
    seen: list[torch.Tensor] = []

    def call(*_: Any) -> None:
        if not seen:
            seen.append(torch.empty(0))
            seen.append(encoder(hidden)[0])

    list(layers_of(model).values())[4].register_forward_pre_hook(call)
    assert torch.equal(logits(model, tokens()), outer)
    assert torch.equal(seen[1], inner)


@pytest.mark.parametrize("copied", [False, True])
def test_a_block_of_another_model_within_a_pass_is_refused(model: Any, copied: bool) -> None:
    """It has no pass of its own, and must not take this one for it: not in a copy either."""
    other = copy.deepcopy(model) if copied else adapted(bert())
    block = other.base_model.model.bert.encoder.layer[2]
    hidden = torch.randn(2, 5, 16, dtype=torch.float64)
    list(layers_of(model).values())[5].register_forward_pre_hook(lambda *_: block(hidden) and None)
    with pytest.raises(RuntimeError, match="outside a forward pass"):
        logits(model, tokens())


class Walker(nn.Module):
    """Walks through blocks that lie two containers below, `rounds` times."""

    def __init__(self, rounds: int = 1, checkpointed: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        parts = [nn.ModuleDict({"query": nn.Linear(6, 6), "value": nn.Linear(6, 6)}) for _ in "ab"]
        self.body = nn.ModuleDict({"h": nn.ModuleList(parts)})
        self.rounds = rounds
        # what transformers sets on a block
        self.gradient_checkpointing = checkpointed
        self._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.rounds):
            for part in self.body["h"]:
                run = partial(self.part, part)
                if self.gradient_checkpointing:
                    x = self._gradient_checkpointing_func(run, x)
                else:
                    x = run(x)
        return x

    def part(self, part: Any, x: torch.Tensor) -> torch.Tensor:
        return x + part["query"](x).tanh() + part["value"](x).tanh()


def test_blocks_in_a_bare_list_deep_below() -> None:
    model = adapted(Walker().double())
    x = torch.randn(2, 3, 6, dtype=torch.float64)
    linked = model(x)
    assert torch.equal(model(x), linked)
    for layer in layers_of(model).values():
        layer.link("default", "", (), writes=False)
    assert distance(model(x), linked) > 1e-6


def test_blocks_that_run_twice_in_a_pass_are_recomputed_with_what_they_read() -> None:
    x = torch.randn(2, 3, 6, dtype=torch.float64)
    found = []
    for checkpointed in (False, True):
        model = adapted(Walker(rounds=2, checkpointed=checkpointed).double()).train()
        model(x).square().sum().backward()
        found.append(gradients(model))
    assert furthest(*found) < 1e-12


def test_two_models_in_turns(model: Any) -> None:
    other = adapted(bert())
    randomise(other, seed=5)
    apart = logits(model, tokens()), logits(other, tokens())
    for _ in range(2):
        assert torch.equal(logits(model, tokens()), apart[0])
        assert torch.equal(logits(other, tokens()), apart[1])


def test_two_threads(model: Any) -> None:
    """Two threads in one model at once, held up in the middle so that their passes overlap."""
    expected = [logits(model, tokens(seed=seed)) for seed in (0, 1)]
    together = threading.Barrier(2, timeout=20)

    def wait(*_: Any) -> None:
        together.wait()

    list(layers_of(model).values())[3].register_forward_pre_hook(wait)
    results: dict[int, torch.Tensor] = {}

    def work(seed: int) -> None:
        results[seed] = logits(model, tokens(seed=seed))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert torch.equal(results[0], expected[0])
    assert torch.equal(results[1], expected[1])


def test_a_copy_is_a_model_of_its_own(model: Any) -> None:
    _check_a_copy(copy.deepcopy(model), model)


def test_a_model_sent_to_another_process_is_one_of_its_own_there(model: Any) -> None:
    expected, watched = logits(model, tokens()), hooks(model)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # says so if its process dies
        assert pool.submit(_check_there, model).result(200) == (expected.tolist(), watched)
    assert torch.equal(logits(model, tokens()), expected)
    assert hooks(model) == watched > 0


def _check_there(model: Any) -> tuple[Any, int]:
    for weight in model.parameters():
        weight.data = weight.data.clone()  # came in memory that both processes share
    seen = logits(model, tokens()).tolist(), hooks(model)
    _check_a_copy(model, copy.deepcopy(model))
    return seen


def _check_a_copy(twin: Any, model: Any) -> None:
    expected = logits(model, tokens())
    assert torch.equal(logits(twin, tokens()), expected)
    randomise(twin, seed=3)
    assert distance(logits(twin, tokens()), expected) > 1e-6
    assert torch.equal(logits(model, tokens()), expected)
    assert hooks(twin) == hooks(model) > 0
    base = twin.unload()
    assert hooks(base) == 0
    assert distance(logits(base, tokens()), expected) > 1e-6
    assert torch.equal(logits(model, tokens()), expected)


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_a_deleted_adapter_leaves_no_hooks(model: Any) -> None:
    before = hooks(model)
    model.add_adapter("second", SSMLoraConfig(r=2, target_modules=["query"]))
    assert hooks(model) == before  # the same modules run both chains, and are watched once
    model.delete_adapter("second")
    assert hooks(model) == before
    model.delete_adapter("default")
    assert hooks(model) == 0


def test_encoder_decoder_and_cross_attention_have_their_own_axes() -> None:
    model = adapted(t5())
    ids, labels = tokens(2, 5), tokens(2, 4, seed=2)
    first = {
        name.rpartition("block.0.")[0][-8:] + name[-16:]: layer.settings["default"].reads
        for name, layer in layers_of(model).items()
        if "block.0." in name
    }
    assert len(first) == 6
    assert all(reads == () for reads in first.values())
    whole = logits(model, ids, decoder_input_ids=labels)
    # Encoder and decoder in calls of their own, as generate() runs them, and twice in a row.
    with torch.no_grad():
        model.get_encoder()(input_ids=tokens(3, 6, seed=8))
        encoded = model.get_encoder()(input_ids=ids)
        parts = model(encoder_outputs=encoded, decoder_input_ids=labels).logits
    assert torch.equal(parts, whole)


def test_a_block_on_its_own_is_refused(model: Any) -> None:
    block = model.base_model.model.bert.encoder.layer[1]
    with pytest.raises(RuntimeError, match="outside a forward pass"):
        block(torch.zeros(1, 2, 16, dtype=torch.float64))


def test_layers_that_see_other_tokens_are_refused(model: Any) -> None:
    def shorten(*_: Any) -> None:
        here = current_pass()
        assert here is not None
        here.states.update({key: h[:, :1] for key, h in here.states.items()})

    next(iter(layers_of(model).values())).register_forward_hook(shorten)
    with pytest.raises(RuntimeError, match="same tokens"):
        logits(model, tokens())


def test_a_skipped_layer_is_passed_over() -> None:
    """LayerDrop: the state goes from the last layer that ran to the next."""
    model = adapted(bert(layers=3), target_modules=["query"])
    short = adapted(bert(layers=2), target_modules=["query"])
    blocks = model.base_model.model.bert.encoder.layer
    for i, name in ((0, "0"), (2, "1")):
        short.base_model.model.bert.encoder.layer[int(name)].load_state_dict(blocks[i].state_dict())
    for part in ("embeddings", "pooler"):
        getattr(short.base_model.model.bert, part).load_state_dict(
            getattr(model.base_model.model.bert, part).state_dict()
        )
    short.base_model.model.classifier.load_state_dict(
        model.base_model.model.classifier.state_dict()
    )
    blocks[1].forward = lambda hidden, *args, **kwargs: hidden
    assert distance(logits(model, tokens()), logits(short, tokens())) < 1e-12
