"""Prefill and decoding with a KV cache, and what a probe measures of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from harness.core.cell import Cell
from harness.core.timing import MERGED, PHASES, USE_PHASES
from harness.execution.cell_main import probe_turns
from harness.training.decoding import Use, cache_bytes, merge_refusal, merged
from harness.training.methods import adapt
from harness.training.timing import HereArm, in_rounds, phases_of
from tests.harness.costs.test_dry_run import SIZES, backbone, probe

HEADS, LAYERS, DECODED = 2, 3, 5


def model_of(cell: Cell) -> Any:
    """A small model with grouped keys and values; its adapter has random weights."""
    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=HEADS, pad_token_id=0))
    adapted = adapt(model, cell).model
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad and cell.method not in ("full", "base"):
                parameter.normal_(0, 0.1)
    return adapted.eval()


def prompt(cell: Cell) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(1, SIZES["vocab_size"], (cell.batch_size, 24), generator=generator)


def decoding(method: str) -> Cell:
    return probe(method, causal=True, decode=DECODED)


@pytest.mark.parametrize("method", ["full", "lora", "ssmlora"])
@torch.inference_mode()
def test_cached_decoding_equals_full_forward_passes(method: str) -> None:
    cell = decoding(method)
    model, ids = model_of(cell), prompt(cell)
    use = Use(model, cell, ids)
    logits = model(input_ids=ids).logits[:, -1]
    torch.testing.assert_close(use.prefill(), logits, atol=1e-5, rtol=0)
    for _ in range(DECODED):
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], 1)
        logits = model(input_ids=ids).logits[:, -1]
    torch.testing.assert_close(use.decode(), logits, atol=1e-5, rtol=0)


def test_the_cache_holds_keys_and_values_of_every_layer() -> None:
    cell = decoding("lora")
    use = Use(model_of(cell), cell, prompt(cell))
    head = SIZES["hidden_size"] // SIZES["num_attention_heads"]
    values = LAYERS * 2 * HEADS * head * 24 * cell.batch_size
    assert use.prepare()["kv_cache_bytes"] == 4 * values
    with pytest.raises(ValueError, match="no KV cache"):
        cache_bytes(None)


@torch.inference_mode()
def test_merged_weights_have_the_outputs_of_the_adapter() -> None:
    cell = decoding("lora")
    model, ids = model_of(cell), prompt(cell)
    before = model(input_ids=ids).logits
    with model.disable_adapter():
        assert (model(input_ids=ids).logits - before).abs().max() > 1e-2
    layer = next(m for m in model.modules() if hasattr(m, "merged_adapters"))
    with merged(model):
        assert layer.merged
        torch.testing.assert_close(model(input_ids=ids).logits, before, atol=1e-4, rtol=0)
    assert not layer.merged
    torch.testing.assert_close(model(input_ids=ids).logits, before, atol=1e-4, rtol=0)


def test_the_reason_why_an_arm_is_not_merged() -> None:
    from peft import PromptTuningConfig, get_peft_model

    assert merge_refusal(model_of(decoding("lora"))) is None
    assert "input" in str(merge_refusal(model_of(decoding("ssmlora"))))
    permanent = model_of(decoding("osf"))
    assert "unmerging" in str(merge_refusal(permanent))
    assert not any(getattr(layer, "merged", False) for layer in permanent.modules())
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    prompted = get_peft_model(model_of(decoding("full")), config)
    assert str(merge_refusal(prompted)).startswith("PROMPT_TUNING changes no weights")


@torch.inference_mode()
def test_virtual_tokens_are_read_once() -> None:
    from peft import PromptTuningConfig, get_peft_model

    cell = decoding("full")
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    model, ids = get_peft_model(model_of(cell), config).eval(), prompt(cell)
    use = Use(model, cell.model_copy(update={"decode": 1}), ids)
    first = use.prefill().argmax(-1, keepdim=True)
    logits = model(input_ids=torch.cat([ids, first], 1)).logits[:, -1]
    torch.testing.assert_close(use.decode(), logits, atol=1e-5, rtol=0)


def test_probes_measure_use_in_the_rounds_of_training(tmp_path: Path) -> None:
    folder = backbone(tmp_path, causal=True)
    bare = dict.fromkeys(("density", "placement", "rank", "alpha", "target", "lr", "lm_loss"))
    cells = [decoding("lora"), decoding("ssmlora"), decoding("base").model_copy(update=bare)]
    for result in in_rounds([HereArm(probe_turns(cell, folder)) for cell in cells], cells):
        assert result.ok, result.error
        cell, cost, timing = result.cell, result.cost, result.timing
        assert cost
        assert timing
        assert timing.rounds == 2
        counts = {phase: len(timing.seconds(phase)) for phase in (*PHASES, *phases_of(cell))}
        trained, merges = (0 if cell.method == "base" else 2), (2 if cell.method == "lora" else 0)
        assert counts == (
            dict.fromkeys(PHASES, trained)
            | dict.fromkeys(USE_PHASES, 2)
            | dict.fromkeys(MERGED.values(), merges)
        )
        assert bool(cost.merge_note) == (cell.method == "ssmlora")
        assert bool(cost.decode_merged_tokens_per_s) == (cell.method == "lora")
        assert bool(cost.train_peak_bytes) == (cell.method != "base")
        assert cost.kv_cache_bytes == 4 * LAYERS * 2 * SIZES["hidden_size"] * 192 * 2
        tokens = cell.batch_size * DECODED
        rates = sorted(tokens / s for s in timing.seconds("decode"))
        assert cost.decode_tokens_per_s == pytest.approx(sum(rates) / 2)


def test_probes_without_decoding_are_as_before() -> None:
    cell = probe("lora", causal=True)
    assert phases_of(cell) == PHASES
    assert cell.id != decoding("lora").id
    assert "decode" not in cell.model_dump(exclude_defaults=True)
