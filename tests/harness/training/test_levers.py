"""Levers change what a training step costs, not its gradients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, LlamaConfig

from harness.core.cell import Cell
from harness.core.levers import Levers
from harness.core.methods import FULL
from harness.models.backbones import Backbone
from harness.models.chunked_loss import use_chunked_loss
from harness.models.load import load_skeleton
from harness.training import levers as acting
from harness.training.evaluate import autocast
from harness.training.levers import packed, use_levers
from harness.training.loop import optimizer_of, train_step
from harness.training.memory import LiveBytes, create_state, live_bytes
from harness.training.methods import adapt
from tasks.lib.encoding import IGNORED

SIZES: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2,
    "intermediate_size": 64, "max_position_embeddings": 256,
}  # fmt: skip
METHODS = ("full", "lora", "ssmlora")
TOLERANCE = 1e-5
SIZES_OF_TEXTS = (40, 7, 23, 31, 12)


@pytest.fixture(scope="module", params=[False, True], ids=["classifier", "language-model"])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = tmp_path_factory.mktemp("backbone")
    (LlamaConfig if request.param else BertConfig)(**SIZES, pad_token_id=0).save_pretrained(folder)
    return Backbone("causal" if request.param else "encoder", folder, "")


@pytest.fixture
def causal(tmp_path: Path) -> Backbone:
    LlamaConfig(**SIZES, pad_token_id=0).save_pretrained(tmp_path)
    return Backbone("causal", tmp_path, "")


def cell_of(method: str, backbone: Backbone, loss: str = "full", **more: Any) -> Cell:
    """A cell without dropout and without clipping."""
    causal = backbone.name == "causal"
    adapter = {} if method == FULL else {
        "density": 1.0, "placement": "alternate", "rank": 4, "alpha": 8.0, "target": "attention",
        "options": {"state_dropout": 0.0} if method == "ssmlora" else {},
    }  # fmt: skip
    fields = {
        "length": 64, "lr": 1e-3, "batch_size": 5, "clip": 1e9, "uses_lm_head": causal, "seed": 0,
        "lm_loss": loss if causal else None, "dtype": "float32", "device": "cpu",
        "levers": Levers(**more), **adapter,
    }  # fmt: skip
    return Cell(kind="probe", task=None, backbone="tiny", method=method, **fields)


def built(cell: Cell, backbone: Backbone) -> Any:
    """The model of a cell; adapters start away from zero."""
    torch.manual_seed(0)
    attention = cell.levers.attention
    model = load_skeleton(
        backbone, cell.length, cell.uses_lm_head, attention=attention, device="cpu"
    )
    if cell.lm_loss == "chunked":
        assert use_chunked_loss(model)
    model = adapt(model, cell).model
    use_levers(model, cell)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad and cell.method != FULL:
            torch.nn.init.normal_(parameter, std=0.1)
    return model.train()


def texts(causal: bool) -> dict[str, torch.Tensor]:
    """A padded batch of texts of different lengths."""
    generator = torch.Generator().manual_seed(0)
    shape = (len(SIZES_OF_TEXTS), max(SIZES_OF_TEXTS))
    ids = torch.randint(1, 300, shape, generator=generator)
    mask = (torch.arange(shape[1]) < torch.tensor(SIZES_OF_TEXTS)[:, None]).long()
    labels = ids.masked_fill(mask == 0, IGNORED)
    if not causal:
        labels = torch.tensor([0, 1, 1, 0, 1])
    return {"input_ids": ids * mask, "attention_mask": mask, "labels": labels}


def gradients(
    cell: Cell, backbone: Backbone, batch: dict[str, torch.Tensor] | None = None
) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss and the gradients of a training step."""
    model = built(cell, backbone)
    trainable = [p for p in model.parameters() if p.requires_grad]
    found: dict[str, torch.Tensor] = {}

    def keep() -> None:
        found.update((n, p.grad.clone()) for n, p in model.named_parameters() if p.grad is not None)

    batch = texts(cell.uses_lm_head) if batch is None else batch
    optimizer = torch.optim.SGD(trainable, lr=0.0)
    loss = train_step(model, batch, optimizer, trainable, cell, keep)
    assert sum(g.norm() for g in found.values()) > 0
    return loss, found


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest difference relative to the norm of a gradient.

    Some are zero but for rounding (biases of keys): they are compared with the norm of all.
    """
    assert one.keys() == other.keys()
    all_norms = torch.stack([g.norm() for g in one.values()]).norm()
    return max(float((g - other[n]).norm() / max(g.norm(), 1e-3 * all_norms)) for n, g in
               one.items())  # fmt: skip


KEEP: list[dict[str, Any]] = [
    {"checkpointing": "full"}, {"checkpointing": 2}, {"micro_batch": 2}, {"attention": "eager"},
    {"attention": "math"}, {"attention": "flash"}, {"checkpointing": "full", "attention": "math"},
    {"checkpointing": 2, "micro_batch": 1},
]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_gradients_are_kept(backbone: Backbone, method: str) -> None:
    loss, expected = gradients(cell_of(method, backbone), backbone)
    for levers in KEEP:
        other, found = gradients(cell_of(method, backbone, **levers), backbone)
        assert other == pytest.approx(loss, rel=TOLERANCE), levers
        assert furthest(expected, found) < TOLERANCE, levers


@pytest.mark.parametrize("method", METHODS)
def test_the_chunked_loss_keeps_gradients_with_levers(causal: Backbone, method: str) -> None:
    _, expected = gradients(cell_of(method, causal), causal)
    for levers in ({}, {"micro_batch": 2}, {"checkpointing": "full"}):
        _, found = gradients(cell_of(method, causal, "chunked", **levers), causal)
        assert furthest(expected, found) < TOLERANCE, levers


@pytest.mark.parametrize("method", METHODS)
def test_packing_keeps_gradients(causal: Backbone, method: str) -> None:
    batch = texts(True)
    loss, expected = gradients(cell_of(method, causal), causal, dict(batch))
    rows = packed(batch)
    assert rows["input_ids"].shape == (3, 40)  # 40, 31 + 7, 23 + 12
    for levers in ({}, {"micro_batch": 1}, {"attention": "eager"}, {"checkpointing": "full"}):
        other, found = gradients(cell_of(method, causal, **levers), causal, rows)
        assert other == pytest.approx(loss, rel=TOLERANCE)
        assert furthest(expected, found) < TOLERANCE, levers


def test_equal_weights_of_micro_batches_would_be_wrong(
    causal: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected = gradients(cell_of("lora", causal), causal)
    monkeypatch.setattr(acting, "terms", lambda labels, _: 1)
    _, found = gradients(cell_of("lora", causal, micro_batch=2), causal)
    assert furthest(expected, found) > 100 * TOLERANCE


def test_a_micro_batch_without_a_scored_token_counts_nothing(causal: Backbone) -> None:
    batch = texts(True)
    batch["labels"][1] = IGNORED
    _, expected = gradients(cell_of("lora", causal), causal, batch)
    _, found = gradients(cell_of("lora", causal, micro_batch=1), causal, batch)
    assert furthest(expected, found) < TOLERANCE


def test_rows_of_one_example_stay_in_one_micro_batch(causal: Backbone) -> None:
    cell = cell_of("lora", causal, micro_batch=2).model_copy(update={"uses_lm_head": False})
    batch = {"input_ids": torch.arange(12).view(12, 1), "labels": torch.tensor([0, 1, 2])}
    parts = [*acting.micro_batches(batch, cell)]
    assert [(p["input_ids"].flatten().tolist(), share) for p, share in parts] == [
        ([*range(8)], 2 / 3), ([*range(8, 12)], 1 / 3),
    ]  # fmt: skip


def test_checkpointing_does_not_reach_below_the_lowest_adapter(causal: Backbone) -> None:
    cell = cell_of("lora", causal, checkpointing="full")
    cell = cell.model_copy(update={"placement": "last", "density": 0.25})
    model = built(cell, causal)
    seen: list[bool] = []
    for block in model.get_base_model().model.layers:
        block.register_forward_hook(lambda *values: seen.append(values[-1].requires_grad))
    model(**texts(True))
    assert seen == [False, False, False, True]


def live(cell: Cell, backbone: Backbone, tokens: int = 128) -> LiveBytes:
    """Live bytes of a training step on full texts."""
    model = built(cell, backbone)
    optimizer = optimizer_of(model, cell)
    create_state(optimizer)
    trainable = [p for p in model.parameters() if p.requires_grad]
    found = live_bytes(model, optimizer, "cpu")
    ids = torch.randint(1, 300, (4, tokens))
    labels = ids if cell.uses_lm_head else torch.tensor([0, 1, 0, 1])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    with found.watching(model):
        train_step(model, inputs, optimizer, trainable, cell)
    assert found.peak == sum(found.parts.values())
    assert len(found._kinds) == 1
    return found


@pytest.mark.parametrize(
    "method", [pytest.param("full", marks=pytest.mark.slow), "lora", "ssmlora"]
)
def test_memory_falls(backbone: Backbone, method: str) -> None:
    plain = live(cell_of(method, backbone), backbone)
    half = live(cell_of(method, backbone, checkpointing=2), backbone)
    whole = live(cell_of(method, backbone, checkpointing="full"), backbone)
    small = live(cell_of(method, backbone, micro_batch=1), backbone)

    def saved(one: LiveBytes) -> int:
        return sum(one.parts[f"saved_{part}"] for part in ("base", "adapter", "attention"))

    assert saved(plain) > saved(half) > saved(whole)
    assert plain.peak > half.peak > whole.peak
    assert small.peak < 0.8 * plain.peak


def test_weights_in_bfloat16(backbone: Backbone) -> None:
    """Only those that are not trained; the loss is near that of float32."""
    plain, half = cell_of("lora", backbone), cell_of("lora", backbone, weights="bfloat16")
    model = built(half, backbone)
    kinds = {(p.requires_grad, p.dtype) for p in model.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
    assert half.compute_dtype == "bfloat16"
    losses = []
    for cell in (plain, half):
        with torch.no_grad(), autocast(cell):
            losses.append(float(built(cell, backbone)(**texts(cell.uses_lm_head)).loss))
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.03)
    assert live(half, backbone).parts["weights"] < 0.6 * live(plain, backbone).parts["weights"]


def steps(cell: Cell, backbone: Backbone, count: int) -> Iterator[float]:
    model = built(cell, backbone)
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = optimizer_of(model, cell)
    for _ in range(count):
        yield train_step(model, texts(cell.uses_lm_head), optimizer, trainable, cell)


def test_adafactor_learns_with_less_state(causal: Backbone) -> None:
    cell = cell_of("full", causal, optimizer="adafactor").model_copy(update={"lr": 1e-2})
    losses = [*steps(cell, causal, 5)]
    assert losses[-1] < losses[0] - 0.05
    plain = live(cell_of("full", causal), causal)
    assert live(cell, causal).parts["optimizer"] < 0.2 * plain.parts["optimizer"]


def test_a_model_without_blocks_is_refused(causal: Backbone) -> None:
    cell = cell_of("lora", causal, checkpointing="full")
    with pytest.raises(ValueError, match="Linear has no blocks that can be checkpointed"):
        use_levers(torch.nn.Linear(2, 2), cell)
