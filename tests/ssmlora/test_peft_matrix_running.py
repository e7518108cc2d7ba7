"""PEFT's own checks of its methods: training, generating, data types, and what is refused."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import (
    PeftModel,
    convert_to_lora,
    get_peft_model,
    inject_adapter_in_model,
    prepare_model_for_kbit_training,
)
from peft.functional import set_adapter
from peft.helpers import disable_input_dtype_casting
from peft.utils.hotswap import hotswap_adapter
from torch import nn

from ssmlora import SSMLoraConfig
from tests.ssmlora.families import build
from tests.ssmlora.test_peft_matrix import config, each, logits, make
from tests.ssmlora.tiny import distance, furthest, gradients, layers_of, randomise

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "ssmlora-peft-matrix.md"
decoders = pytest.mark.parametrize("name", ["llama", "gpt2", "t5"])


def loss(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(**inputs).logits.float().square().sum()


def test_attributes_and_names() -> None:
    model = get_peft_model(build("bert")[0], config("bert"), adapter_name="my-adapter")
    for attribute in ("save_pretrained", "from_pretrained", "push_to_hub"):
        assert callable(getattr(model, attribute))
    names = [n for n, p in model.named_parameters() if p.requires_grad and "lora_" in n]
    assert names
    assert all(n.endswith(".my-adapter") for n in names)


@each
def test_only_the_adapters_learn(name: str, mixed: bool) -> None:
    model, inputs = make(name, mixed)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss(model.train(), inputs).backward()
    for n, p in model.named_parameters():
        assert (p.grad is not None) == p.requires_grad, n
    optimizer.step()
    first_on_its_axis = {
        f"{n}.ssmlora_C.default"
        for n, m in layers_of(model).items()
        if not m.settings["default"].reads
    }
    for n, p in model.named_parameters():
        learns = p.requires_grad and n not in first_on_its_axis and p.grad.any()
        assert torch.equal(p, before[n]) != bool(learns), n
        assert p.requires_grad == ("lora_" in n or "modules_to_save" in n)


@each
def test_layers_to_transform(name: str, mixed: bool, tmp_path: Path) -> None:
    model, inputs = make(name, mixed, layers_to_transform=[0])
    assert {layer.partition(".0.")[1] for layer in layers_of(model)} == {".0."}
    assert len(layers_of(model)) < len(layers_of(make(name, mixed)[0]))
    loss(model, inputs).backward()
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(build(name)[0], tmp_path).eval()
    assert torch.equal(logits(loaded, inputs), logits(model, inputs))


@each
@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_training(name: str, mixed: bool, reentrant: bool) -> None:
    model, inputs = make(name, mixed)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    model.train()
    (model(**inputs).logits ** 2).sum().backward()
    expected = gradients(model)
    model.zero_grad()
    model.prepare_model_for_gradient_checkpointing(model)
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    (model(**inputs).logits ** 2).sum().backward()
    scale = max(float(g.abs().max()) for g in expected.values())
    assert furthest(gradients(model), expected) < 1e-10 * scale


@pytest.mark.parametrize("name", ["bert", "llama", "gpt2"])
def test_preparing_for_training(name: str) -> None:
    model, inputs = make(name)
    assert not model.get_input_embeddings()(inputs["input_ids"]).requires_grad
    base = prepare_model_for_kbit_training(build(name)[0].float())
    assert not any(p.requires_grad for p in base.parameters())
    model = get_peft_model(base, config(name))
    model.enable_input_require_grads()
    assert model.get_input_embeddings()(inputs["input_ids"]).requires_grad


@pytest.mark.parametrize("name", ["bert", "llama", "gpt2"])
def test_embeddings_as_input(name: str) -> None:
    model, inputs = make(name)
    embeddings = model.get_input_embeddings()(inputs["input_ids"])
    with torch.no_grad():
        assert distance(model(inputs_embeds=embeddings).logits, logits(model, inputs)) < 1e-12


@decoders
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_generating(name: str, dtype: torch.dtype) -> None:
    model, inputs = make(name)
    model.to(dtype)
    prompt = inputs["input_ids"]
    mask = torch.ones_like(prompt)
    by_name = model.generate(input_ids=prompt, attention_mask=mask, max_new_tokens=4)
    if name == "t5":  # PEFT's class for encoder-decoder models takes names only
        with pytest.raises(TypeError, match="positional"):
            model.generate(prompt)
    else:
        assert torch.equal(model.generate(prompt, attention_mask=mask, max_new_tokens=4), by_name)
    with model.disable_adapter():
        options = {"max_new_tokens": 1, "output_logits": True, "return_dict_in_generate": True}
        off = model.generate(input_ids=prompt, attention_mask=mask, **options).logits[0]
    on = model.generate(input_ids=prompt, attention_mask=mask, **options).logits[0]
    assert distance(on, off) > 1e-3


@each
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(name: str, mixed: bool, dtype: torch.dtype) -> None:
    """Weights in half precision as they are and with float32 adapters, and autocast."""
    _, inputs = build(name)
    exact = logits(make(name, mixed)[0], inputs)
    size = float(exact.abs().max())
    for keep in (True, False):
        model = get_peft_model(
            build(name)[0].to(dtype), config(name, mixed), autocast_adapter_dtype=keep
        ).eval()
        randomise(model)
        output = logits(model, inputs)
        assert output.dtype == dtype
        assert distance(output.double(), exact) < 0.1 * size
        loss(model, inputs).backward()
        assert all(g.isfinite().all() for g in gradients(model).values())
    model, _ = make(name, mixed)
    with torch.autocast("cpu", dtype):
        output = logits(model.float(), inputs)
    assert distance(output.double(), exact) < 0.1 * size


@each
def test_later_adapters_keep_the_dtype(name: str, mixed: bool, tmp_path: Path) -> None:
    def dtypes(adapter: str) -> set[torch.dtype]:
        found = model.named_parameters()
        return {p.dtype for n, p in found if "ssmlora_" in n and n.endswith(f".{adapter}")}

    base, _ = build(name)
    model = get_peft_model(
        base.to(torch.bfloat16), config(name, mixed), autocast_adapter_dtype=False
    )
    model.add_adapter("added", config(name, mixed), autocast_adapter_dtype=False)
    model.save_pretrained(tmp_path)
    model.load_adapter(tmp_path, adapter_name="loaded", autocast_adapter_dtype=False)
    model.add_adapter("wide", config(name, mixed))
    assert [dtypes(a) for a in ("default", "added", "loaded")] == [{torch.bfloat16}] * 3
    assert dtypes("wide") == {torch.float32}


def test_inputs_are_not_cast_where_that_is_asked_for() -> None:
    model, _ = make("bert", link_state=False)
    layer = next(iter(layers_of(model).values()))
    layer.base_layer.float()
    x = torch.randn(2, 3, 16)  # the adapter is float64
    assert layer.add_update("default", x, layer.base_layer(x)).dtype == torch.float32
    with disable_input_dtype_casting(model), pytest.raises(RuntimeError, match="dtype"):
        layer.add_update("default", x, layer.base_layer(x))


def test_the_same_seed_gives_the_same_start() -> None:
    one, other = (get_peft_model(build("bert")[0], config("bert")) for _ in "ab")
    for (n, p), (_, q) in zip(one.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(p, q), n


def test_modules_named_like_the_method() -> None:
    """A base model's own module may be called what adapters are called."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ssmlora_block = nn.ModuleDict({"query": nn.Linear(4, 4), "value": nn.Linear(4, 4)})

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.ssmlora_block["query"](x) + self.ssmlora_block["value"](x)

    model = get_peft_model(Model(), SSMLoraConfig(r=2))
    assert len(layers_of(model)) == 2
    assert all("base_layer" not in n for n, p in model.named_parameters() if p.requires_grad)
    assert len(model.state_dict()) == 4 + 8


def test_injecting_one_adapter_after_the_other() -> None:
    """Each injection has a tuner of its own, the model and its passes are the same."""
    together = get_peft_model(build("llama")[0], config("llama"), adapter_name="one")
    together.add_adapter("two", config("llama", density=0.5))
    randomise(together)
    model, inputs = build("llama")
    hooks = []
    for adapter, density in (("one", 1.0), ("two", 0.5)):
        inject_adapter_in_model(config("llama", density=density), model, adapter)
        hooks.append(sum(len(module._forward_hooks) for module in model.modules()))
    assert hooks[0] == hooks[1] > 0
    randomise(model)
    for adapter in ("one", "two"):
        together.set_adapter(adapter)
        set_adapter(model, adapter)
        assert torch.equal(logits(model, inputs), logits(together, inputs))


@decoders
def test_mixed_batches_are_refused(name: str) -> None:
    model, inputs = make(name)
    for run in (model, model.generate):
        with pytest.raises(NotImplementedError, match="adapter_names"):
            run(**inputs, adapter_names=["default"] * 2)


def test_what_needs_a_weight_matrix_is_refused(tmp_path: Path) -> None:
    model, _ = make("bert")
    assert not model.supports_lora_conversion()
    with pytest.raises((TypeError, ValueError), match="not support"):
        convert_to_lora(model, rank=2)
    with pytest.raises(AttributeError, match="add_weighted_adapter"):
        model.add_weighted_adapter(["default"], [1.0], "sum")
    model.save_pretrained(tmp_path)
    with pytest.raises((NotImplementedError, ValueError), match=r"(?i)hotswap"):
        hotswap_adapter(model, str(tmp_path), adapter_name="default")


@pytest.mark.parametrize(
    "layer",
    [nn.Conv1d(4, 4, 1), nn.Embedding(4, 4), nn.MultiheadAttention(4, 1)],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_are_not_linear_are_refused(layer: nn.Module) -> None:
    model = nn.Sequential(layer, nn.Linear(4, 4))
    with pytest.raises(ValueError, match=r"'0'\} not found|\['0'\] not found"):
        get_peft_model(model, SSMLoraConfig(target_modules=["0"]))


def test_targets_that_are_all_excluded_are_refused() -> None:
    for settings in ({"exclude_modules": ["query", "value"]}, {"modules_to_save": ["bert"]}):
        with pytest.raises(ValueError, match="No modules were targeted"):
            make("bert", target_modules=["query", "value"], task_type=None, **settings)
    with pytest.warns(UserWarning, match="no modules were excluded"):
        make("bert", exclude_modules=["nothing"], task_type=None)


def test_the_list_of_checks_is_true() -> None:
    """Every test that the document names exists, and it names every test of the two files."""
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", DOCUMENT.read_text()))
    assert len(named) > 40
    defined = {
        (path.name, node.name)
        for path in HERE.glob("test_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    assert named - defined == set()
    files = ("test_peft_matrix.py", "test_peft_matrix_running.py")
    tests = {(f, n) for f, n in defined if f in files and n.startswith("test_")}
    assert tests - named == {("test_peft_matrix_running.py", "test_the_list_of_checks_is_true")}
