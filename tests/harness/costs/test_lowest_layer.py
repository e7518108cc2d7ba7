"""The backward pass stops at the lowest adapted block: work and memory show it."""

from __future__ import annotations

from pathlib import Path

from transformers import BertConfig

from harness.core.cell import Cell
from harness.costs.dry_run import dry_run
from harness.models.backbones import RANDOM, Backbone
from harness.models.blocks import lowest_trained_block
from harness.models.load import load_skeleton
from harness.training.methods import adapt


def arm(placement: str, density: float = 0.25) -> Cell:
    return Cell(
        kind="probe", task=None, backbone="shape", method="lora", density=density,
        placement=placement, rank=8, alpha=16.0, target="attention", length=512, seed=0, lr=1e-4,
        batch_size=1, steps=2, dtype="float32", device="cpu",
    )  # fmt: skip


def minilm_shape(folder: Path) -> Backbone:
    """The shapes of MiniLM, with fewer words."""
    BertConfig(
        vocab_size=300, hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
        intermediate_size=1536,
    ).save_pretrained(folder)  # fmt: skip
    return Backbone("shape", folder, "none", stored_as=RANDOM)


def test_backward_stops_at_the_lowest_block(tmp_path: Path) -> None:
    backbone = minilm_shape(tmp_path)
    first, last = (dry_run(arm(placement), backbone) for placement in ("first", "last"))
    assert first.trainable_params == last.trainable_params
    assert first.eval.work == last.eval.work
    forward = first.eval.work.flops
    of_first, of_last = (run.train.work.flops - forward for run in (first, last))
    assert of_last < 0.5 * of_first
    assert last.train.parts["saved_base"] < 0.5 * first.train.parts["saved_base"]
    assert last.train.peak_bytes < first.train.peak_bytes


def test_the_lowest_trained_block(tmp_path: Path) -> None:
    backbone = minilm_shape(tmp_path)

    def lowest(cell: Cell) -> int | None:
        return lowest_trained_block(adapt(load_skeleton(backbone, cell.length), cell).model)

    bare = dict.fromkeys(("density", "placement", "rank", "alpha", "target"))
    assert lowest(arm("first")) == 0
    assert lowest(arm("last")) == 4  # 3 of 12 sites: one in block 4 and two in block 5
    assert lowest(arm("last", 0.5)) == 3
    assert lowest(arm("last").model_copy(update={"method": "full", **bare})) == 0
    assert lowest(arm("last").model_copy(update={"method": "head", **bare})) is None
