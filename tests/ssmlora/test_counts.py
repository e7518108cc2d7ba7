"""Trainable parameters, exactly: the table of the paper's shapes, on the meta device."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModel, LlamaConfig, RobertaConfig

from ssmlora import SSMLoraConfig

ROBERTA = RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1)
LLAMA = LlamaConfig()  # the defaults are LLaMA-2-7B's shapes
FEED_FORWARD = {
    "roberta": r".*\.(attention\.output|intermediate|output)\.dense",
    "llama": ["o_proj", "gate_proj", "up_proj", "down_proj"],
}
EVERYTHING = {
    "roberta": r".*\.(query|key|value|(attention\.output|intermediate|output)\.dense)",
    "llama": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
}


def empty(name: str) -> Any:
    with torch.device("meta"):
        return AutoModel.from_config({"roberta": ROBERTA, "llama": LLAMA}[name])


def trainable(model: Any) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(("name", "count"), [("roberta", 1_033_728), ("llama", 15_798_272)])
def test_ssmlora(name: str, count: int) -> None:
    config = SSMLoraConfig(r=8, density=0.5, stateless_modules=FEED_FORWARD[name])
    assert trainable(get_peft_model(empty(name), config)) == count


@pytest.mark.parametrize(("name", "count"), [("roberta", 1_327_104), ("llama", 19_988_480)])
def test_lora(name: str, count: int) -> None:
    config = LoraConfig(r=8, target_modules=EVERYTHING[name])
    assert trainable(get_peft_model(empty(name), config)) == count
