"""Which linear layers each target means on several architectures."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModel, BertConfig, GPT2Config, LlamaConfig

from harness.core.methods import TARGETS
from harness.models.targets import candidates

SHAPE: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "vocab_size": 50,
}  # fmt: skip
BERT = BertConfig(**SHAPE)
LLAMA = LlamaConfig(**SHAPE)
GPT2 = GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=50, bos_token_id=0, eos_token_id=0)


def empty(config: Any) -> Any:
    with torch.device("meta"):
        return AutoModel.from_config(config)


def lowest(config: Any, target: str) -> set[str]:
    """The layers of the lowest block."""
    return {site.path for site in candidates(empty(config), target).sites if site.layer == 0}


@pytest.mark.parametrize(
    ("config", "attention", "mlp"),
    [
        (BERT, "attention.self.query attention.self.key attention.self.value "
         "attention.output.dense", "intermediate.dense output.dense"),
        (LLAMA, "self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.o_proj",
         "mlp.gate_proj mlp.up_proj mlp.down_proj"),
        (GPT2, "attn.c_attn attn.c_proj", "mlp.c_fc mlp.c_proj"),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)  # fmt: skip
def test_layers_of_a_target(config: Any, attention: str, mlp: str) -> None:
    layers = {target: lowest(config, target) for target in TARGETS}
    assert layers["attention-all"] == set(attention.split())
    assert layers["mlp"] == set(mlp.split())
    assert layers["all-linear"] == layers["paper"] == layers["attention-all"] | layers["mlp"]
    assert layers["attention"] < layers["attention-all"]


def test_paper_with_a_state() -> None:
    """Queries and values have a state; all but the keys are plain; the pooler is in no block."""
    found = candidates(empty(BERT), "paper", has_state=True)
    assert {site.kind for site in found.sites} == {"query", "value"}
    assert len(found.plain) == 2 * 3
    assert not any("key" in name or "pooler" in name for name in found.plain)


def test_module_names() -> None:
    sites = candidates(empty(LLAMA), "k_proj+up_proj").sites
    assert [site.kind for site in sites] == ["k_proj", "up_proj"] * 2
    with pytest.raises(ValueError, match="match no linear layer"):
        candidates(empty(LLAMA), "queries")
