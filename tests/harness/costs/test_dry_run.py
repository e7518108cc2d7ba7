"""Dry runs against measured steps: the same live bytes and floating-point operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import BertConfig, LlamaConfig

from harness.core.cell import Cell
from harness.core.levers import Levers
from harness.core.result import CellResult
from harness.costs.dry_run import dry_run, train_memory
from harness.execution.cell_main import run_cell
from harness.models.backbones import Backbone

SIZES: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "intermediate_size": 128, "max_position_embeddings": 512,
}  # fmt: skip


def backbone(folder: Path, causal: bool) -> Backbone:
    """A folder with weights, whose configuration alone the dry run reads."""
    from transformers import AutoModel, AutoModelForCausalLM

    config = LlamaConfig(**SIZES, pad_token_id=0) if causal else BertConfig(**SIZES)
    kind: Any = AutoModelForCausalLM if causal else AutoModel
    kind.from_config(config).save_pretrained(folder)
    return Backbone("tiny", folder, "none")


def probe(method: str, causal: bool, **more: Any) -> Cell:
    adapter = {} if method in ("full", "head") else {
        "density": 0.5, "placement": "alternate", "rank": 8, "alpha": 16.0, "target": "attention",
    }  # fmt: skip
    return Cell(
        kind="probe", task=None, backbone="tiny", method=method, length=192, seed=0, lr=1e-4,
        batch_size=2, steps=2, probe_seconds=0, dtype="float32", device="cpu",
        uses_lm_head=causal, lm_loss="chunked" if causal else None, **adapter, **more,
    )  # fmt: skip


def measured(cell: Cell, folder: Backbone) -> CellResult:
    result = run_cell(cell, folder)
    assert result.ok, result.error
    return result


@pytest.mark.parametrize("causal", [False, True], ids=["classifier", "language-model"])
def test_dry_run_equals_measurement(tmp_path: Path, causal: bool) -> None:
    folder = backbone(tmp_path, causal)
    for method in ("full", "lora", "ssmlora") if causal else ("full", "head", "lora", "ssmlora"):
        cell = probe(method, causal)
        result, predicted = measured(cell, folder), dry_run(cell, folder)
        cost, timing, model = result.cost, result.timing, result.model
        assert cost
        assert timing
        assert model
        parts = {part: getattr(cost, f"live_{part}_bytes") for part in predicted.train.parts}
        assert predicted.train.peak_bytes == cost.train_live_peak_bytes
        assert predicted.train.parts == parts
        assert predicted.eval.peak_bytes == cost.eval_live_peak_bytes
        assert predicted.train.work.flops == timing.train_flops
        assert predicted.eval.work.flops == timing.eval_flops
        assert predicted.trainable_params == model.trainable_params
        assert predicted.head_params == (0 if causal else 2 * 64 + 2)


@pytest.mark.parametrize(
    "levers",
    [
        Levers(checkpointing=2, micro_batch=1, optimizer="adafactor"),
        Levers(checkpointing="full", attention="eager", weights="bfloat16"),
    ],
    ids=lambda levers: levers.label,
)
def test_levers(tmp_path: Path, levers: Levers) -> None:
    folder = backbone(tmp_path, True)
    cell = probe("ssmlora", True, levers=levers)
    result, predicted = measured(cell, folder), dry_run(cell, folder)
    assert result.cost
    assert result.timing
    assert predicted.train.peak_bytes == result.cost.train_live_peak_bytes
    assert predicted.eval.peak_bytes == result.cost.eval_live_peak_bytes
    assert predicted.train.work.flops == result.timing.train_flops


def test_full_loss_keeps_logits(tmp_path: Path) -> None:
    folder = backbone(tmp_path, True)
    full = probe("lora", True).model_copy(update={"lm_loss": "full"})
    result = measured(full, folder)
    assert result.cost
    assert dry_run(full, folder).train.peak_bytes == result.cost.train_live_peak_bytes


@pytest.mark.slow
def test_memory_of_a_training_step_alone(tmp_path: Path) -> None:
    """Also with more chunks of the loss than are run, and with fewer blocks."""
    folder = backbone(tmp_path, True)
    for method in ("full", "ssmlora"):
        cell = probe(method, True).model_copy(update={"length": 480})
        whole = dry_run(cell, folder).train
        alone = train_memory(cell, folder)
        assert (alone.peak_bytes, alone.parts) == (whole.peak_bytes, whole.parts)
        assert train_memory(cell, folder, 1).peak_bytes < alone.peak_bytes


@pytest.mark.slow
def test_capped_logits_are_kept_whole(tmp_path: Path) -> None:
    """A model that changes its logits behind the output layer has the full loss, as in a run."""
    from transformers import AutoModelForCausalLM, Gemma2Config

    config = Gemma2Config(
        **SIZES, num_key_value_heads=2, head_dim=16, pad_token_id=0, final_logit_softcapping=0.01
    )
    AutoModelForCausalLM.from_config(config, dtype="bfloat16").save_pretrained(tmp_path)
    folder, cell = Backbone("tiny", tmp_path, "none"), probe("lora", True)
    result = measured(cell, folder)
    assert result.model
    assert result.model.lm_loss == "full"
    assert result.cost
    assert dry_run(cell, folder).train.peak_bytes == result.cost.train_live_peak_bytes


def test_an_adapter_that_starts_from_the_weights(tmp_path: Path) -> None:
    folder = backbone(tmp_path, False)
    cell = probe("lora", False, options={"init_lora_weights": "pissa"})
    result = measured(cell, folder)
    assert result.cost
    assert dry_run(cell, folder).train.peak_bytes == result.cost.train_live_peak_bytes
