"""A layer that runs more than once in a forward pass: each call hands on a state of its own."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from peft import PeftModel
from torch import nn
from torch.utils.checkpoint import checkpoint

from ssmlora.state import current_pass
from tests.ssmlora.reference import Chain, reference_of
from tests.ssmlora.test_checkpointing import enable, gradients_of, quiet
from tests.ssmlora.tiny import (
    SHAPE,
    adapted,
    distance,
    furthest,
    gradients,
    layers_of,
    randomise,
    tokens,
)

BUCKETS = 4


def deberta() -> Any:
    """Each layer projects the tokens, then 2 x BUCKETS relative positions, with one matrix."""
    torch.manual_seed(7)
    config = hf.DebertaV2Config(
        **SHAPE, num_hidden_layers=3, max_position_embeddings=32, num_labels=3,
        relative_attention=True, share_att_key=True, position_buckets=BUCKETS,
        pos_att_type=["p2c", "c2p"], norm_rel_ebd="layer_norm", pad_token_id=0,
    )  # fmt: skip
    return hf.DebertaV2ForSequenceClassification(config).double().eval()


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


SIZES = [(1, 2 * BUCKETS), (1, 5), (2, 2 * BUCKETS), (3, 11), (1, 1)]


@pytest.mark.parametrize(("rows", "length"), SIZES)
@pytest.mark.parametrize("targets", [None, ["query_proj", "key_proj", "value_proj"]])
def test_deberta_keeps_tokens_and_positions_apart(
    rows: int, length: int, targets: list[str] | None
) -> None:
    base = deberta()
    twin = copy.deepcopy(base)
    model = adapted(base, target_modules=targets)
    ids = tokens(rows, length)
    pairs, run = reference_of(twin, model)
    # The reference: an axis for the tokens, and another for the relative positions.
    for reference, _ in pairs:
        reference.forward = Turns(reference)
    with torch.no_grad():
        for reference, _ in pairs:
            reference.forward.start()
        expected = run(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    assert distance(logits(model, ids), expected) < 1e-9
    assert torch.equal(logits(model, ids), logits(model, ids))
    for layer in layers_of(model).values():
        layer.link("default", "", (), writes=False)
    assert distance(logits(model, ids), expected) > 1e-8


class Turns:
    """Runs a reference layer with the chain of the call's number."""

    def __init__(self, layer: Any) -> None:
        self.run, self.layer = layer.forward, layer
        self.chain: Any = layer.chain
        if not hasattr(self.chain, "others"):
            self.chain.others = []
        self.call = 0

    def start(self) -> None:
        self.call = 0
        self.chain.others.clear()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        while len(self.chain.others) <= self.call:
            self.chain.others.append(Chain())
        self.layer.chain = self.chain.others[self.call]
        self.call += 1
        out: torch.Tensor = self.run(x)
        return out


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    model = adapted(deberta())
    ids = tokens(3, 2 * BUCKETS)
    assert distance(logits(model, ids[:1]), logits(model, ids)[:1]) < 1e-12


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_recomputes_every_call(reentrant: bool) -> None:
    model = quiet(adapted(deberta()))
    one, two = gradients_of(model, 0), gradients_of(model, 0, 1)
    enable(model, reentrant)
    assert furthest(gradients_of(model, 0), one) < 1e-12
    assert furthest(gradients_of(model, 0, 1), two) < 1e-12


def test_saving_and_loading(tmp_path: Path) -> None:
    model = adapted(deberta())
    ids = tokens(1, 2 * BUCKETS)
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(deberta(), tmp_path).double().eval()
    assert torch.equal(logits(loaded, ids), logits(model, ids))


class Two(nn.Module):
    """Takes two sequences through the same blocks, block by block or one after the other."""

    def __init__(self, interleaved: bool, checkpointed: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        blocks = [
            nn.ModuleDict({"query": nn.Linear(6, 6), "value": nn.Linear(6, 6)}) for _ in "abc"
        ]
        self.h = nn.ModuleList(blocks)
        self.interleaved = interleaved
        self.gradient_checkpointing = checkpointed
        self._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)

    def forward(self, *sequences: torch.Tensor) -> tuple[torch.Tensor, ...]:
        states = list(sequences)
        order = [(b, i) for b in range(3) for i in range(len(states))]
        for b, i in order if self.interleaved else sorted(order, key=lambda at: at[1]):
            run = partial(self.block, self.h[b])
            if self.gradient_checkpointing:
                states[i] = self._gradient_checkpointing_func(run, states[i])
            else:
                states[i] = run(states[i])
        return tuple(states)

    def block(self, part: Any, x: torch.Tensor) -> torch.Tensor:
        return x + part["query"](x).tanh() + part["value"](x).tanh()


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("lengths", [(4, 4), (4, 7)])
def test_two_sequences_in_one_pass(interleaved: bool, lengths: tuple[int, int]) -> None:
    model = adapted(Two(interleaved).double())
    one, other = (torch.randn(2, n, 6, dtype=torch.float64) for n in lengths)
    both = model(one, other)
    assert torch.equal(both[0], model(one)[0])
    assert torch.equal(both[1], model(other)[0])
    found = []
    for checkpointed in (False, True):
        again = adapted(Two(interleaved, checkpointed).double()).train()
        randomise(again)
        sum(x.square().sum() for x in again(one, other)).backward()  # type: ignore[union-attr]
        found.append(gradients(again))
    assert furthest(*found) < 1e-12


def test_shared_layers_hand_on_by_call() -> None:
    """ALBERT with two groups of shared layers, each run twice."""
    torch.manual_seed(7)
    config = hf.AlbertConfig(
        **SHAPE, embedding_size=16, num_hidden_layers=4, num_hidden_groups=2,
        max_position_embeddings=32, num_labels=3,
    )  # fmt: skip
    model = adapted(hf.AlbertForSequenceClassification(config).double().eval())
    assert len(layers_of(model)) == 4
    ids = tokens(3, 7)
    whole = logits(model, ids)
    assert distance(logits(model, ids[:1]), whole[:1]) < 1e-12
    assert torch.equal(logits(model, ids), whole)
    calls: set[int] = set()

    def look(*_: Any) -> None:
        here = current_pass()
        assert here is not None
        calls.update(call for _, call in here.states)

    model.base_model.model.albert.encoder.albert_layer_groups[1].register_forward_hook(look)
    logits(model, ids)
    assert calls == {0, 1}
