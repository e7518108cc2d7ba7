"""HRM in real models: modules, saving, caches, checkpointing, several adapters."""

from __future__ import annotations

import ast
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from safetensors.torch import load_file, save_file
from transformers import DynamicCache, LongformerConfig, LongformerModel

import hrm
from hrm import HrmConfig, HrmLayer
from tests.ssmlora.families import build
from tests.ssmlora.tiny import bert, distance, furthest, gradients, llama, tokens

WEIGHTS = "adapter_model.safetensors"


def adapted(base: Any = None, **settings: Any) -> Any:
    torch.manual_seed(5)
    base = llama() if base is None else base
    options: dict[str, Any] = {"r": 4, "gate_init": 0.5, "task_type": "CAUSAL_LM", **settings}
    return get_peft_model(base, HrmConfig(**options)).eval()


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=tokens()).logits


def test_torch_peft_and_ssmlora_are_all_it_imports() -> None:
    names = set()
    for path in Path(hrm.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
    assert names - set(sys.stdlib_module_names) == {"torch", "peft", "hrm", "ssmlora"}


def test_peft_knows_the_method() -> None:
    assert PEFT_TYPE_TO_CONFIG_MAPPING["HRM"] is HrmConfig


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3", "gemma2", "gpt2"])
def test_the_feed_forward_module_is_the_default(family: str) -> None:
    base, inputs = build(family)
    expected = base(**inputs).logits.detach()
    model = get_peft_model(base, HrmConfig(r=4, gate_init=0.5)).double().eval()
    names = [n for n, m in model.named_modules() if isinstance(m, HrmLayer)]
    assert len(names) == 4
    assert all(name.endswith("mlp") for name in names)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    width = base.config.hidden_size
    assert trained == 4 * (2 * 4 * width + 2 * 4 + 1)
    assert distance(model(**inputs).logits, expected) > 1e-3


def test_round_trip(tmp_path: Path) -> None:
    model = adapted()
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(llama(), tmp_path).eval()
    assert torch.equal(logits(loaded), logits(model))


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    adapted().save_pretrained(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    name = next(name for name in tensors if "hrm_log_dt" in name)
    del tensors[name]
    save_file(tensors, tmp_path / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"does not fit the adapter: missing: .*hrm_log_dt"):
        PeftModel.from_pretrained(llama(), tmp_path)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    adapted().save_pretrained(tmp_path)
    (tmp_path / WEIGHTS).rename(tmp_path / "adapter_model.bin")
    with pytest.raises(ValueError, match="only safetensors are read"):
        PeftModel.from_pretrained(llama(), tmp_path)


def test_decoding_with_a_cache_is_refused() -> None:
    """It would miss the state of the cached tokens, without a sign of it."""
    model = adapted()
    with pytest.raises(NotImplementedError, match="pass use_cache=False"):
        model.generate(input_ids=tokens(), max_new_tokens=3)


def test_decoding_without_a_cache_is_greedy_on_the_whole_text() -> None:
    model = adapted()
    made = model.generate(input_ids=tokens(), max_new_tokens=3, do_sample=False, use_cache=False)
    with torch.no_grad():
        best = model(input_ids=made).logits.argmax(-1)
    assert torch.equal(made[:, -3:], best[:, -4:-1])


def test_a_disabled_adapter_allows_a_cache() -> None:
    model = adapted()
    options: dict[str, Any] = {"input_ids": tokens(), "max_new_tokens": 3, "do_sample": False}
    with model.disable_adapter():
        assert torch.equal(model.generate(**options), llama().generate(**options))


def call(model: Any, inner: bool, positional: bool, cache: Any, ids: torch.Tensor) -> Any:
    at = model.base_model.model
    at = at.model if inner else at
    if positional:
        return at(ids, None, None, cache)
    return at(input_ids=ids, past_key_values=cache, use_cache=True)


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("positional", [False, True])
def test_a_cache_is_refused_however_it_is_passed(inner: bool, positional: bool) -> None:
    model, ids, cache = adapted(), tokens(), DynamicCache()
    call(model, inner, positional, cache, ids[:, :3])  # an empty cache holds no state
    with pytest.raises(NotImplementedError, match="pass use_cache=False"):
        call(model, inner, positional, cache, ids[:, 3:])


def test_without_memory_a_cache_is_exact() -> None:
    model, ids, cache = adapted(memory=False), tokens(), DynamicCache()
    call(model, False, False, cache, ids[:, :3])
    rest = call(model, False, False, cache, ids[:, 3:]).logits
    assert distance(rest, model(input_ids=ids).logits[:, 3:]) < 1e-9


def test_caches_are_refused_again_after_unloading() -> None:
    model = adapted()
    plain = model.unload()
    plain.generate(input_ids=tokens(), max_new_tokens=2)
    model.add_adapter("again", HrmConfig(r=4, gate_init=0.5, task_type="CAUSAL_LM"))
    model.set_adapter("again")
    with pytest.raises(NotImplementedError, match="pass use_cache=False"):
        model.generate(input_ids=tokens(), max_new_tokens=2)


def test_an_adapter_for_each_row_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="call set_adapter"):
        adapted()(input_ids=tokens(), adapter_names=["__base__", "default"])


@pytest.mark.parametrize("targets", [["mlp", "down_proj"], r".*\.mlp.*"])
def test_nested_targets_are_refused(targets: Any) -> None:
    with pytest.raises(ValueError, match=r"target_modules: .* lies within .*mlp"):
        adapted(target_modules=targets)


@pytest.mark.parametrize(("first", "second"), [("mlp", "down_proj"), ("down_proj", "mlp")])
def test_nested_adapters_are_refused(first: str, second: str) -> None:
    model = adapted(target_modules=[first])
    with pytest.raises(ValueError, match="lies within"):
        model.add_adapter("other", HrmConfig(r=4, target_modules=[second]))


def test_models_with_tokens_before_rows_are_refused() -> None:
    config = LongformerConfig(
        hidden_size=16, num_attention_heads=2, num_hidden_layers=1, intermediate_size=24,
        vocab_size=40, attention_window=4,
    )  # fmt: skip
    with pytest.raises(ValueError, match="does not support longformer"):
        get_peft_model(LongformerModel(config), HrmConfig(target_modules=["query", "value"]))


def test_an_update_of_another_width_is_refused() -> None:
    """The width of a module is that of its last linear layer, which may be a gate."""
    module = torch.nn.Sequential(OrderedDict(up=torch.nn.Linear(6, 8), gate=torch.nn.Linear(8, 1)))
    module.forward = lambda x: module.up(x)  # type: ignore[method-assign]
    model = get_peft_model(torch.nn.Sequential(module), HrmConfig(target_modules=["0"]))
    with pytest.raises(ValueError, match="name the linear layers in it as target_modules"):
        model(torch.randn(1, 3, 6))


def test_several_active_adapters_add_their_updates() -> None:
    model = adapted()
    model.add_adapter("other", HrmConfig(r=2, gate_init=0.5, task_type="CAUSAL_LM"))
    layer = next(m for m in model.modules() if isinstance(m, HrmLayer))
    assert not any(p.requires_grad for n, p in layer.named_parameters() if "other" in n)
    x, outputs = torch.randn(1, 4, 16, dtype=torch.float64), []
    for names in (["default"], ["other"], ["default", "other"]):
        model.base_model.set_adapter(names)
        outputs.append(layer(x) - layer.base_layer(x))
    assert distance(outputs[0], outputs[1]) > 1e-3
    assert distance(outputs[0] + outputs[1], outputs[2]) < 1e-9


def test_merging_is_refused_and_unloading_restores_the_model() -> None:
    model = adapted()
    with pytest.raises(NotImplementedError, match="HRM cannot be merged"):
        model.merge_and_unload()
    with pytest.raises(NotImplementedError, match="HRM cannot be merged"):
        model.merge_adapter()
    plain = model.unload()
    assert torch.equal(logits(plain), logits(llama()))
    plain.generate(input_ids=tokens(), max_new_tokens=2)  # caches work again


def test_adapters_are_switched_and_deleted() -> None:
    model = adapted()
    first = logits(model)
    model.add_adapter("other", HrmConfig(r=2, gate_init=0.5, task_type="CAUSAL_LM"))
    assert torch.equal(logits(model), first)
    model.set_adapter("other")
    assert distance(logits(model), first) > 1e-3
    model.set_adapter("default")
    model.delete_adapter("other")
    assert torch.equal(logits(model), first)


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_gives_the_same_gradients(reentrant: bool) -> None:
    model = adapted().train()
    model(input_ids=tokens(), labels=tokens()).loss.backward()
    expected = gradients(model)
    model.zero_grad()
    model.enable_input_require_grads()
    model.base_model.model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    model(input_ids=tokens(), labels=tokens()).loss.backward()
    assert expected
    assert furthest(gradients(model), expected) < 1e-12


def test_a_classifier_is_trained_beside_it() -> None:
    options: dict[str, Any] = {"task_type": "SEQ_CLS", "target_modules": ["query", "value"]}
    model = adapted(bert(), **options)
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert any("classifier" in name for name in trained)
    assert all("classifier" in name or "hrm_" in name for name in trained)


def test_modules_without_linear_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="modules with linear layers, not LlamaRMSNorm"):
        adapted(target_modules=["input_layernorm"])


def test_it_learns_what_a_low_rank_update_cannot() -> None:
    """The number of ones so far: a frozen layer and LoRA see one token at a time."""
    torch.manual_seed(0)
    x = torch.randint(0, 2, (256, 12, 1)).float()
    y = x.cumsum(1)
    left = {}
    for name, config in {
        "hrm": HrmConfig(r=4, gate_init=0.1, target_modules=["0"]),
        "lora": LoraConfig(r=4, target_modules=["0"]),
    }.items():
        torch.manual_seed(1)
        model = get_peft_model(torch.nn.Sequential(torch.nn.Linear(1, 1)), config)
        steps = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 0.05)
        for _ in range(300):
            loss = (model(x) - y).square().mean()
            steps.zero_grad()
            loss.backward()
            steps.step()
        left[name] = float(loss.detach())
    assert left["hrm"] < 0.3
    assert left["lora"] > 1.0
