"""One tiny model of every family, from its configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf

from tests.ssmlora import tiny
from tests.ssmlora.tiny import ENDLESS

SHAPE: dict[str, Any] = {**tiny.SHAPE, "num_hidden_layers": 4}
GROUPED = {**SHAPE, "num_key_value_heads": 1, "head_dim": 8}

FAMILIES: dict[str, Callable[[], Any]] = {
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**GROUPED, **ENDLESS)),
    "mistral": lambda: hf.MistralForCausalLM(hf.MistralConfig(**GROUPED, **ENDLESS)),
    "qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**SHAPE, num_key_value_heads=1, **ENDLESS)),
    "qwen3": lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**GROUPED, **ENDLESS)),
    "gemma2": lambda: hf.Gemma2ForCausalLM(hf.Gemma2Config(**GROUPED, **ENDLESS)),
    "gemma3": lambda: hf.Gemma3ForCausalLM(hf.Gemma3TextConfig(**GROUPED, **ENDLESS)),
    "gpt2": lambda: hf.GPT2LMHeadModel(
        hf.GPT2Config(n_embd=16, n_layer=4, n_head=2, vocab_size=40, **ENDLESS)
    ),
    "gpt_neox": lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**SHAPE, **ENDLESS)),
    "bert": lambda: hf.BertForSequenceClassification(hf.BertConfig(**SHAPE)),
    "roberta": lambda: hf.RobertaForSequenceClassification(hf.RobertaConfig(**SHAPE)),
    "modernbert": lambda: hf.ModernBertForSequenceClassification(
        hf.ModernBertConfig(**SHAPE, **ENDLESS)
    ),
    "t5": lambda: hf.T5ForConditionalGeneration(hf.T5Config(**tiny.T5_SHAPE, num_layers=4)),
    "vit": lambda: hf.ViTForImageClassification(
        hf.ViTConfig(
            **{name: size for name, size in SHAPE.items() if name != "vocab_size"},
            image_size=8,
            patch_size=4,
        )
    ),
}
DECODERS = ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "gpt2", "gpt_neox")


def build(name: str) -> tuple[Any, dict[str, torch.Tensor]]:
    """A float64 model in eval mode, and inputs for it."""
    torch.manual_seed(5)
    model = FAMILIES[name]().double().eval()
    if name == "vit":
        return model, {"pixel_values": torch.randn(2, 3, 8, 8, dtype=torch.float64)}
    ids = torch.randint(3, 40, (2, 6))
    if name == "t5":
        return model, {"input_ids": ids, "decoder_input_ids": ids[:, :4]}
    return model, {"input_ids": ids}
