"""What the classifier reads, and what it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralModel,
    OlmoeConfig,
    OlmoeModel,
    PreTrainedModel,
    Qwen2MoeConfig,
    Qwen2MoeModel,
    Qwen3MoeConfig,
    Qwen3MoeModel,
)

from harness.core.cell import Cell
from harness.core.result import CellResult
from harness.execution.cell_main import _load
from harness.models.backbones import find_backbone
from harness.models.heads import Classifier
from harness.models.load import load_classifier
from harness.models.tokens import tokens_of
from harness.training.batches import random_batch
from harness.training.meter import Stopwatch
from harness.training.methods import adapt
from tasks import load_task
from tests.harness.models.test_backbones import TOKENIZER, batch
from tests.harness.planning.test_plan import BASE
from tests.harness.training.test_peft_methods import entry, one_cell

WORDS = tokens_of(find_backbone("minilm"), ["red", "green", "blueberries"])


@pytest.fixture
def decoder(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Random weights with an output layer of their own, the token table for one, or none."""
    torch.manual_seed(0)
    common: dict[str, Any] = {"vocab_size": 30522, "bos_token_id": 0, "eos_token_id": 0}
    model: PreTrainedModel
    if request.param == "tied":
        model = GPT2LMHeadModel(
            GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=32, **common)
        )
    else:
        own = {"tie_word_embeddings": False, "hidden_size": 16, "intermediate_size": 32}
        shape = {"num_hidden_layers": 2, "num_attention_heads": 2}
        model = LlamaForCausalLM(LlamaConfig(**own, **shape, **common))
        if request.param == "none":
            model = model.base_model
    model.save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    return str(tmp_path)


@pytest.mark.parametrize("decoder", ["own", "tied"], indirect=True)
def test_a_decoder_starts_from_how_likely_it_finds_the_labels_next(decoder: str) -> None:
    assert [len(ids) for ids in WORDS] == [1, 1, 2]
    model = load_classifier(find_backbone(decoder), 3, 32, 0.0, 0, words=WORDS).eval()
    with torch.inference_mode():
        whole = AutoModelForCausalLM.from_pretrained(decoder).eval()
        logits = whole(batch(8)["input_ids"]).logits
        read = logits[:, -1] + logits.mean(1)
        likely = torch.stack([read[:, ids].mean(1) for ids in WORDS], 1)
        found = model(**batch(8)).logits
    assert 0.01 < float(model.classifier.weight.detach().std()) < 0.03
    gaps, expected = (x - x.mean(1, keepdim=True) for x in (found, likely))
    scale = (gaps * expected).sum() / (expected * expected).sum()
    assert float(scale) > 0.1
    assert torch.allclose(gaps, scale * expected, atol=1e-3 * float(gaps.abs().max()))


@pytest.mark.parametrize("decoder", ["tied"], indirect=True)
def test_a_cell_names_its_tasks_labels(decoder: str) -> None:
    backbone, metadata = find_backbone(decoder), load_task("needle").metadata
    cell = Cell.model_validate(BASE.model_dump() | {"method": "full", "length": 32})
    model = _load(cell, backbone, metadata, CellResult.begun(cell), Stopwatch(), 0)
    words = tokens_of(backbone, metadata.labels)
    expected = load_classifier(backbone, len(words), 32, 0.0, 0, words=words)
    assert torch.equal(model.classifier.weight, expected.classifier.weight)


@pytest.mark.parametrize(
    ("decoder", "words"),
    [("none", WORDS), ("tied", [WORDS[0], WORDS[1], WORDS[0]]), ("tied", [WORDS[0], WORDS[1], []])],
    indirect=["decoder"],
    ids=["no output layer", "two labels of the same tokens", "a label of none"],
)
def test_what_cannot_name_its_labels_starts_at_random(decoder: str, words: list[list[int]]) -> None:
    for backbone in ("minilm", decoder):
        starts = []
        for given in (words, ()):
            torch.manual_seed(0)
            model = load_classifier(find_backbone(backbone), 3, 32, 0.0, 0, words=given)
            starts.append(model.classifier.weight.detach())
        assert torch.equal(*starts)
        assert 0.01 < float(starts[0].std()) < 0.03


@pytest.mark.parametrize("decoder", ["none"], indirect=True)
def test_a_head_reads_the_mean_and_a_token_that_has_read_the_whole_text(decoder: str) -> None:
    ids, mask = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0]]), torch.tensor([[1] * 4, [1, 1, 0, 0]])
    inputs = {"input_ids": ids, "attention_mask": mask}
    for folder, is_bidirectional in ((decoder, False), ("minilm", True)):
        model = load_classifier(find_backbone(folder), 3, 64, 0.0, 0).eval()
        assert model.is_bidirectional is is_bidirectional
        with torch.inference_mode():
            states = model.encoder(**inputs).last_hidden_state
            means = torch.stack([states[0].mean(0), states[1, :2].mean(0)])
            first, last = states[:, 0], torch.stack([states[0, 3], states[1, 1]])
            read = means + (first if is_bidirectional else last)
            logits = model(**inputs, labels=torch.zeros(2, dtype=torch.long)).logits
            assert torch.allclose(logits, model.classifier(read), atol=1e-5)


@pytest.mark.parametrize("decoder", ["none"], indirect=True)
def test_only_bidirectional_models_get_the_padding_mask(decoder: str) -> None:
    inputs = batch(8)
    inputs["attention_mask"][1, 5:] = 0
    for folder, told in ((decoder, False), ("minilm", True)):
        model = load_classifier(find_backbone(folder), 3, 32, 0.0, 0).eval()
        handed: list[Any] = []
        model.encoder.register_forward_pre_hook(
            lambda _, args, kwargs, to=handed: to.append(kwargs["attention_mask"]), with_kwargs=True
        )
        with torch.inference_mode():
            logits = model(**inputs).logits
            changed = inputs | {"input_ids": inputs["input_ids"].clone()}
            changed["input_ids"][1, 5:] = 7
            assert torch.allclose(model(**changed).logits, logits, atol=1e-6)
        assert [mask is not None for mask in handed] == [told, told]


MOE: dict[str, Any] = {
    "hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 60,
    "intermediate_size": 32, "num_hidden_layers": 2, "max_position_embeddings": 32,
    "num_experts_per_tok": 1,
}  # fmt: skip
EXPERTS: dict[str, Any] = {
    "mixtral": lambda: MixtralModel(MixtralConfig(**MOE, num_local_experts=2)),
    "qwen2_moe": lambda: Qwen2MoeModel(
        Qwen2MoeConfig(
            **MOE, num_experts=2, moe_intermediate_size=16, shared_expert_intermediate_size=16
        )
    ),
    "qwen3_moe": lambda: Qwen3MoeModel(
        Qwen3MoeConfig(**MOE, num_experts=2, moe_intermediate_size=16, head_dim=16)
    ),
    "olmoe": lambda: OlmoeModel(OlmoeConfig(**MOE, num_experts=2)),
}


@pytest.mark.parametrize("method", ["lora", "ssmlora", "adalora", "ia3", "vera", "ln_tuning"])
@pytest.mark.parametrize("name", EXPERTS)
def test_mixtures_of_experts_take_adapters(name: str, method: str) -> None:
    torch.manual_seed(0)
    model = Classifier(EXPERTS[name](), 2)
    adapted = adapt(model, one_cell(entry(method)))
    if method != "ln_tuning":
        assert adapted.sites == 4
    adapted.model(**random_batch(60, 2, 8, 0)).loss.backward()
    trained = {n for n, p in adapted.model.named_parameters() if p.grad is not None}
    assert any("classifier" in n for n in trained)
    assert not any("experts" in n for n in trained)
    assert any("q_proj" in n or "norm" in n for n in trained)


def test_what_peft_asks_of_a_model() -> None:
    model = Classifier(EXPERTS["mixtral"](), 2)
    assert model.get_input_embeddings() is model.encoder.embed_tokens
    assert (model.device.type, model.dtype) == ("cpu", torch.float32)
    adapted = adapt(model, one_cell(entry("lora"))).model
    # No gradient is asked of the embeddings, which would be carried through every layer.
    assert not model.encoder.embed_tokens(torch.tensor([1])).requires_grad
    plain = adapted.eval()(**random_batch(60, 2, 8, 0)).logits
    model.gradient_checkpointing_enable()
    assert model.is_gradient_checkpointing
    adapted.train()
    model.enable_input_require_grads()
    checkpointed = adapted(**random_batch(60, 2, 8, 0))
    assert torch.allclose(checkpointed.logits, plain, atol=1e-6)
    checkpointed.loss.backward()
