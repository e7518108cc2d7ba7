"""Heads that are trained in full, with biases that the adapter trains: what is saved is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file

from ssmlora import SSMLoraConfig
from tests.ssmlora.test_saving import WEIGHTS, damage
from tests.ssmlora.tiny import SHAPE, tokens

SMALL: dict[str, Any] = {**SHAPE, "num_hidden_layers": 2, "max_position_embeddings": 32}
HEADS: dict[str, tuple[str, Any, Any]] = {
    "bert": ("SEQ_CLS", hf.BertForSequenceClassification, hf.BertConfig),
    "bert tokens": ("TOKEN_CLS", hf.BertForTokenClassification, hf.BertConfig),
    "bert answers": ("QUESTION_ANS", hf.BertForQuestionAnswering, hf.BertConfig),
    "bert states": ("FEATURE_EXTRACTION", hf.BertModel, hf.BertConfig),
    "roberta": ("SEQ_CLS", hf.RobertaForSequenceClassification, hf.RobertaConfig),
    "electra": ("SEQ_CLS", hf.ElectraForSequenceClassification, hf.ElectraConfig),
    "deberta": ("SEQ_CLS", hf.DebertaV2ForSequenceClassification, hf.DebertaV2Config),
}


def headed(name: str) -> Any:
    _, model, config = HEADS[name]
    torch.manual_seed(3)
    return model(config(**SMALL)).double().eval()


def shift(model: Any, seed: int = 1) -> Any:
    """Move everything that is trained, each number by its own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += torch.randn(
                    parameter.shape, generator=generator, dtype=torch.float64
                ).mul(0.3)
    return model


def outputs(model: Any) -> torch.Tensor:
    with torch.no_grad():
        answer = model(input_ids=tokens()).to_tuple()
    return torch.cat([part.flatten() for part in answer if isinstance(part, torch.Tensor)])


@pytest.mark.parametrize("more", [None, ["output.dense"]], ids=["head", "more"])
@pytest.mark.parametrize("bias", ["none", "all", "ssmlora_only"])
@pytest.mark.parametrize("name", HEADS)
def test_heads_with_biases_round_trip(
    name: str, bias: str, more: list[str] | None, tmp_path: Path
) -> None:
    config = SSMLoraConfig(bias=bias, task_type=HEADS[name][0], modules_to_save=more)
    model = get_peft_model(headed(name), config).double().eval()
    untrained = outputs(model)
    expected = outputs(shift(model))
    assert not torch.equal(untrained, expected)
    model.save_pretrained(tmp_path)
    written = load_file(tmp_path / WEIGHTS)
    assert not {n for n in written if "modules_to_save" in n or "original_module" in n}
    for adapter_name in ("default", "another"):
        loaded = PeftModel.from_pretrained(headed(name), tmp_path, adapter_name=adapter_name)
        assert torch.equal(outputs(loaded.double().eval()), expected)


def test_two_adapters_of_which_one_has_biases(tmp_path: Path) -> None:
    common: dict[str, Any] = {"task_type": "SEQ_CLS", "r": 4}
    model = get_peft_model(headed("bert"), SSMLoraConfig(bias="all", **common))
    model.add_adapter("plain", SSMLoraConfig(**common))
    model.double().eval()
    expected = {}
    for seed, adapter_name in enumerate(("plain", "default")):
        model.set_adapter(adapter_name)
        shift(model, seed)
    for adapter_name in ("plain", "default"):
        model.set_adapter(adapter_name)
        expected[adapter_name] = outputs(model)
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(headed("bert"), tmp_path)
    loaded.load_adapter(tmp_path / "plain", "plain")
    loaded.double().eval()
    for adapter_name, before in expected.items():
        loaded.set_adapter(adapter_name)
        assert torch.equal(outputs(loaded), before), adapter_name


def test_biases_that_earlier_versions_wrote_twice_are_read(tmp_path: Path) -> None:
    config = SSMLoraConfig(bias="all", task_type="SEQ_CLS")
    model = shift(get_peft_model(headed("bert"), config).double().eval())
    model.save_pretrained(tmp_path)
    head = "base_model.model.classifier."
    damage(
        tmp_path,
        lambda tensors: tensors.update(
            {
                f"{head}modules_to_save.bias": tensors[f"{head}bias"].clone(),
                f"{head}original_module.bias": torch.zeros(2),
            }
        ),
    )
    loaded = PeftModel.from_pretrained(headed("bert"), tmp_path).double().eval()
    assert torch.equal(outputs(loaded), outputs(model))


def test_modules_to_save_within_each_other_are_refused() -> None:
    config = SSMLoraConfig(task_type="SEQ_CLS", modules_to_save=["dense"])
    with pytest.raises(ValueError, match=r"modules_to_save: classifier\.dense lies within"):
        get_peft_model(headed("roberta"), config)
