"""Tiny real models, and adapters filled with random values, so that the state does something."""

from __future__ import annotations

from typing import Any

import torch
from peft import get_peft_model
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from ssmlora import SSMLoraConfig, SSMLoraLayer

torch.set_num_threads(1)
VOCABULARY = 40


SHAPE: dict[str, Any] = {
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "vocab_size": VOCABULARY,
}
ENDLESS: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": None}
T5_SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 24,
    "num_heads": 2,
    "dropout_rate": 0.0,
    "decoder_start_token_id": 0,
    "pad_token_id": 0,
    "eos_token_id": None,
}


def bert(layers: int = 4) -> Any:
    torch.manual_seed(7)
    config = BertConfig(**SHAPE, num_hidden_layers=layers, max_position_embeddings=32, num_labels=3)
    return BertForSequenceClassification(config).double().eval()


def llama(layers: int = 4) -> Any:
    torch.manual_seed(7)
    config = LlamaConfig(
        **SHAPE,
        **ENDLESS,
        num_hidden_layers=layers,
        num_key_value_heads=1,
        max_position_embeddings=64,
    )
    return LlamaForCausalLM(config).double().eval()


def t5(layers: int = 3) -> Any:
    torch.manual_seed(7)
    return T5ForConditionalGeneration(T5Config(**T5_SHAPE, num_layers=layers)).double().eval()


def tokens(rows: int = 2, length: int = 5, seed: int = 0) -> torch.Tensor:
    """Random token ids, none of them padding."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, VOCABULARY, (rows, length), generator=generator)


def adapted(model: nn.Module, fill: bool = True, **settings: Any) -> Any:
    """The model with SSMLoRA of rank 4, random in all four matrices, no dropout, eval mode."""
    options: dict[str, Any] = {"r": 4, "lora_alpha": 8, "state_dropout": 0.0, **settings}
    peft_model = get_peft_model(model, SSMLoraConfig(**options)).double().eval()
    if fill:
        randomise(peft_model)
    return peft_model


def randomise(model: nn.Module, seed: int = 11, std: float = 0.3) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "ssmlora_" in name:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.copy_(noise * std)


def layers_of(model: nn.Module) -> dict[str, SSMLoraLayer]:
    return {n: m for n, m in model.named_modules() if isinstance(m, SSMLoraLayer)}


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    return {
        name: parameter.grad.detach().clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max().detach())


def furthest(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    assert a.keys() == b.keys()
    return max(distance(a[name], b[name]) for name in a)
