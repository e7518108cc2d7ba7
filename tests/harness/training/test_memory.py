"""The memory meter against tensors of known size, PyTorch's profiler, and a count by hand."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from harness.core.cell import Cell
from harness.core.result import LIVE_PARTS
from harness.models.heads import Classifier
from harness.training import loop, memory, meter
from harness.training.memory import LiveBytes, fixed_mmap_threshold, measure_memory
from harness.training.meter import MemoryMeter
from harness.training.methods import adapt

MIB = 2**20
TOKENS = 256
WIDTH = 64


def block(mib: float) -> torch.Tensor:
    return torch.zeros(int(mib * MIB), dtype=torch.uint8)


def peak_of(work: Callable[[], object], model: nn.Module | None = None) -> LiveBytes:
    live = LiveBytes("cpu")
    with live.watching(model or nn.Identity()):
        work()
    return live


def test_known_tensors() -> None:
    def work() -> None:
        kept = block(8)
        kept[:100].view(10, 10).add_(1)  # views and changes in place take no memory
        torch.neg(kept, out=block(0))  # resized to 8 and freed
        first = block(4)
        del first
        second = block(16)
        second.mul_(2)

    live = peak_of(work)
    assert live.peak == 24 * MIB
    assert live.parts["transient"] == 24 * MIB


class Square(nn.Module):
    """Saves x for the gradient of the weight; tied weights are one storage."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(512, 512, bias=False)
        self.two = nn.Linear(512, 512, bias=False)
        self.two.weight = self.one.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.two(self.one(x))
        return out.sum()


def test_parts_of_a_step_of_known_sizes() -> None:
    model, x = Square(), torch.ones(4096, 512)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> None:
        model(x).backward()
        optimizer.step()
        optimizer.zero_grad()

    def forward() -> None:
        with torch.inference_mode():
            model(x)

    cost = measure_memory(model, optimizer, step, forward, MemoryMeter("cpu"))
    weight, states = MIB, 8 * MIB
    parts = {part: cost[f"live_{part}_bytes"] for part in LIVE_PARTS}
    assert parts["weights"] == weight  # counted once
    assert parts["optimizer"] == pytest.approx(2 * weight, rel=0.01)
    assert parts["saved_base"] == 2 * states  # x and the output of the first layer
    # Backward: the gradient of the first layer's output, and the gradient of the weight by the
    # second layer.
    assert parts["gradients"] + parts["transient"] == pytest.approx(states + weight, rel=0.01)
    assert sum(parts.values()) == cost["train_live_peak_bytes"]
    assert cost["eval_live_peak_bytes"] == weight + 3 * states


def cell(method: str, **more: Any) -> Cell:
    settings = {"density": 1.0, "placement": "alternate", "rank": 8, "alpha": 16.0}
    settings = {} if method == "full" else settings | {"target": "attention"}
    return Cell(
        kind="probe", task=None, backbone="tiny", method=method, length=TOKENS, seed=0, lr=1e-3,
        batch_size=2, steps=1, **{"dtype": "float32", "device": "cpu"} | settings | more,
    )  # fmt: skip


def bert() -> nn.Module:
    config = BertConfig(
        vocab_size=100, hidden_size=WIDTH, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=128, max_position_embeddings=TOKENS, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return Classifier(BertModel(config, add_pooling_layer=False), 2)


def llama() -> nn.Module:
    config = LlamaConfig(
        vocab_size=5000, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=128, tie_word_embeddings=True, use_cache=False,
    )  # fmt: skip
    return LlamaForCausalLM(config)


class Probe:
    """A cost probe of a small model; `by_profiler` measures its step a second time."""

    def __init__(self, one: Cell) -> None:
        torch.manual_seed(0)
        self.cell = one
        self.model: Any = adapt(llama() if one.uses_lm_head else bert(), one).model
        self.optimizer = loop.optimizer_of(self.model, one)
        rows = int(self.model.config.vocab_size)
        self.inputs = loop.random_batch(rows, one.batch_size, one.length, 0, one.uses_lm_head)
        self.trainable = [p for p in self.model.parameters() if p.requires_grad]

    def step(self) -> None:
        loop.train_step(self.model, self.inputs, self.optimizer, self.trainable, self.cell)

    def forward(self) -> None:
        with torch.inference_mode(), loop.autocast(self.cell):
            self.model(**self.inputs)

    def measured(self) -> dict[str, Any]:
        steps = (self.step, self.forward)
        return measure_memory(self.model, self.optimizer, *steps, MemoryMeter("cpu"))

    def by_profiler(self) -> int:
        """The peak of PyTorch's allocator, without the inputs, plus what is held before."""
        self.model.train()
        self.step()  # the state of the optimizer is there
        held = {
            t.untyped_storage().data_ptr(): t.untyped_storage().nbytes()
            for t in [
                *self.model.parameters(),
                *self.model.buffers(),
                *(t for own in self.optimizer.state.values() for t in own.values()),
            ]
        }
        with torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
        ) as profiler:
            self.step()
        total = peak = 0
        events: Any = profiler.profiler
        for event in sorted(events.kineto_results.events(), key=lambda e: e.start_ns()):
            if event.name() == "[memory]":
                total += event.nbytes()
                peak = max(peak, total)
        return peak + sum(held.values())

    def saved(self) -> int:
        """What autograd saves, without parameters: a storage once, by address."""
        self.model.train()  # dropout of the state saves its mask
        own = {p.untyped_storage().data_ptr() for p in self.model.parameters()}
        kept: dict[int, torch.Tensor] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.untyped_storage().data_ptr() not in own:
                kept[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = self.model(**self.inputs).loss
        del loss
        return sum(t.untyped_storage().nbytes() for t in kept.values())


@pytest.mark.parametrize(
    "one",
    [
        cell("full"),
        cell("lora"),
        cell("ssmlora", density=0.5, dtype="bfloat16"),
        cell("full", uses_lm_head=True),
        cell("lora", uses_lm_head=True, dtype="bfloat16"),
    ],
    ids=lambda one: f"{one.arm} {one.dtype} {'lm' if one.uses_lm_head else ''}",
)
def test_peak_agrees_with_the_allocator(one: Cell) -> None:
    probe = Probe(one)
    cost = probe.measured()
    assert sum(cost[f"live_{part}_bytes"] for part in LIVE_PARTS) == cost["train_live_peak_bytes"]
    assert cost["train_live_peak_bytes"] == pytest.approx(probe.by_profiler(), rel=0.01)
    parts = {part: cost[f"live_{part}_bytes"] for part in LIVE_PARTS}
    if one.uses_lm_head:
        logits = one.batch_size * TOKENS * 5000 * 4
        assert logits <= parts["saved_logits"] + parts["transient"]
        assert max(parts, key=parts.__getitem__) in ("saved_logits", "transient")
    assert (parts["saved_adapter"] > 0) == (one.method != "full")
    assert all(size >= 0 for size in parts.values())


def test_difference_of_two_arms_is_what_they_save() -> None:
    lora, state = Probe(cell("lora")), Probe(cell("ssmlora"))
    costs = lora.measured(), state.measured()
    peaks = [cost["train_live_peak_bytes"] for cost in costs]
    fixed = [cost["live_weights_bytes"] + cost["live_optimizer_bytes"] for cost in costs]
    more = (peaks[1] - fixed[1]) - (peaks[0] - fixed[0])
    assert more > 0
    assert more == pytest.approx(state.saved() - lora.saved(), rel=0.1)
    adapters = [cost["live_saved_adapter_bytes"] for cost in costs]
    assert adapters[1] - adapters[0] == pytest.approx(more, rel=0.1)
    # The input of every q and v pair is saved once a layer, and the low-rank product for each.
    tokens = 2 * TOKENS * 4
    assert adapters[0] == 3 * tokens * (WIDTH + 2 * 8)


RESIDENT = """
import torch
from harness.training.memory import measure_memory
from harness.training.meter import MemoryMeter
meter = MemoryMeter("cpu")
model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters())
for mib in (30, 230):
    def step():
        pieces = [torch.ones(2**18) for _ in range(mib)]
        del pieces[::2]
        pieces += [torch.ones(3 * 2**17) for _ in range(mib // 3)]
    cost = measure_memory(model, optimizer, step, step, meter)
    print(cost["train_resident_bytes"], cost["eval_resident_bytes"])
"""


@pytest.mark.slow
def test_resident_memory_has_no_holes() -> None:
    """Pieces of 1 MiB, half of them freed, then larger ones: nothing is added to the peak."""
    run = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    small, large = ([int(n) for n in line.split()] for line in run.stdout.splitlines())
    for one, other in zip(small, large, strict=True):
        assert other - one == pytest.approx(200 * MIB, rel=0.01)


class _Mallinfo(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
                     "uordblks", "fordblks", "keepcost")
    )  # fmt: skip


def _newly_mapped() -> int:
    """How many of some blocks of 1 MiB glibc maps; it takes others from the heap's free space."""
    library = ctypes.CDLL(None)
    library.mallinfo2.restype = _Mallinfo
    before = library.mallinfo2()
    held = [torch.empty(MIB, dtype=torch.uint8) for _ in range(before.fordblks // MIB + 20)]
    assert len(held) >= 20
    return int(library.mallinfo2().hblks - before.hblks)


def test_the_threshold_is_fixed_only_within() -> None:
    with fixed_mmap_threshold() as refused:
        assert not refused
        assert _newly_mapped() >= 20
    assert _newly_mapped() == 0


def test_a_peak_that_cannot_be_reset_is_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(meter, "_CLEAR_REFS", tmp_path / "none" / "clear_refs")
    refused = MemoryMeter("cpu")
    refused.reset()
    assert refused.peak() is None
    assert "clear_refs" in refused.note
    assert "No such file or directory" in refused.note


def test_without_glibc_resident_memory_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
    model = nn.Linear(1, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    own = MemoryMeter("cpu")
    cost = measure_memory(model, optimizer, lambda: block(1), lambda: block(1), own)
    assert cost["train_resident_bytes"] is None
    assert "glibc" in own.note
    assert cost["train_live_peak_bytes"] > MIB
