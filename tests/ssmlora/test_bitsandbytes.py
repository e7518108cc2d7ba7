"""On a 4-bit base. Collected where bitsandbytes is installed: `pip install bitsandbytes`."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import bitsandbytes
import pytest
import torch
from peft import PeftModel, get_peft_model, prepare_model_for_kbit_training
from torch import nn
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

from ssmlora import SSMLoraConfig
from tests.ssmlora.tiny import (
    ENDLESS,
    SHAPE,
    distance,
    furthest,
    gradients,
    layers_of,
    randomise,
    tokens,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with matrices large enough for a block of 4-bit weights."""
    where = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    shape = {**SHAPE, **ENDLESS, "hidden_size": 64, "intermediate_size": 128}
    config = LlamaConfig(**shape, num_hidden_layers=4, num_key_value_heads=1)
    LlamaForCausalLM(config).save_pretrained(where)
    return where


def quantised(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
    )
    model = AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=config, device_map={"": "cpu"}, dtype=dtype
    )
    layer = model.model.layers[0].self_attn.q_proj
    assert isinstance(layer, bitsandbytes.nn.Linear4bit)
    return model


def with_adapter(model: Any, **settings: Any) -> Any:
    options: dict[str, Any] = {"r": 4, "state_dropout": 0.0, "task_type": "CAUSAL_LM", **settings}
    model = get_peft_model(model, SSMLoraConfig(**options)).eval()
    randomise(model)
    return model


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=tokens()).logits


def dequantised(model: Any) -> Any:
    """The same model with its 4-bit weights as plain float32 matrices."""
    plain = copy.deepcopy(model)
    for name, layer in list(plain.named_modules()):
        if isinstance(layer, bitsandbytes.nn.Linear4bit):
            weight = bitsandbytes.functional.dequantize_4bit(layer.weight, layer.weight.quant_state)
            linear = nn.Linear(layer.in_features, layer.out_features, bias=False)
            linear.weight = nn.Parameter(weight.float(), requires_grad=False)
            parent, _, last = name.rpartition(".")
            setattr(plain.get_submodule(parent), last, linear)
    return plain


@pytest.mark.parametrize("settings", [{}, {"density": 0.5, "stateless_modules": ["o_proj"]}])
def test_outputs_are_those_on_the_dequantised_weights(
    folder: Path, settings: dict[str, Any]
) -> None:
    base = quantised(folder)
    plain = dequantised(base)
    before = logits(base)
    adapted, expected = with_adapter(base, **settings), with_adapter(plain, **settings)
    assert distance(logits(adapted), logits(expected)) < 1e-4
    assert distance(logits(adapted), before) > 1e-2
    for layer in layers_of(expected).values():
        if layer.settings["default"].stateful:
            layer.link("default", "", (), writes=False)
    assert distance(logits(adapted), logits(expected)) > 1e-2
    assert torch.equal(logits(adapted.unload()), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_saving_and_loading(folder: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    base = prepare_model_for_kbit_training(quantised(folder, dtype))
    model = with_adapter(base).train()
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    model.gradient_checkpointing_disable()
    model(input_ids=tokens(), labels=tokens()).loss.backward()
    expected = gradients(model)
    assert len(expected) == 4 * len(layers_of(model))
    model.zero_grad()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model(input_ids=tokens(), labels=tokens()).loss.backward()
    assert furthest(gradients(model), expected) < 1e-6
    torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1).step()
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(
        prepare_model_for_kbit_training(quantised(folder, dtype)), tmp_path
    )
    assert torch.equal(logits(loaded.eval()), logits(model.eval()))
    with pytest.raises(NotImplementedError, match="min-max of a state"):
        model.merge_and_unload()
