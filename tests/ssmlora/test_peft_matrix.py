"""PEFT's own checks of its methods: saving, loading, and several adapters side by side.

Which check of PEFT's is made where, and which do not apply, stands in docs/ssmlora-peft-matrix.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import (
    LoraConfig,
    PeftModel,
    get_base_model_state_dict,
    get_layer_status,
    get_model_status,
    get_peft_model,
    get_peft_model_state_dict,
    inject_adapter_in_model,
    set_base_model_state_dict,
)
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file

from ssmlora import SSMLoraConfig
from tests.ssmlora.families import build
from tests.ssmlora.tiny import distance, layers_of, randomise

TASKS = {"bert": "SEQ_CLS", "llama": "CAUSAL_LM", "gpt2": "CAUSAL_LM", "t5": "SEQ_2_SEQ_LM"}
MIXED: dict[str, dict[str, Any]] = {
    "bert": {"stateless_modules": ["output.dense"], "target_modules": ["query", "value"]},
    "llama": {"stateless_modules": ["o_proj", "down_proj"], "modules_to_save": ["lm_head"]},
    "gpt2": {"stateless_modules": ["c_fc"]},
    "t5": {"stateless_modules": ["wi", "wo"], "placement": "first"},
}
"""Beside the plain setting: half the sites, layers without a state, modules trained in full."""

CASES = [(name, mixed) for name in TASKS for mixed in (False, True)]
each = pytest.mark.parametrize(("name", "mixed"), CASES)


def config(name: str, mixed: bool = False, **settings: Any) -> SSMLoraConfig:
    extra = {**MIXED[name], "density": 0.5} if mixed else {}
    options = {"r": 4, "state_dropout": 0.0, "task_type": TASKS[name], **extra, **settings}
    return SSMLoraConfig(**options)


def make(name: str, mixed: bool = False, **settings: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    base, inputs = build(name)
    model = get_peft_model(base, config(name, mixed, **settings)).eval()
    randomise(model)
    return model, inputs


def logits(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return model(**inputs).logits


def load(name: str, folder: Path, **options: Any) -> Any:
    return PeftModel.from_pretrained(build(name)[0], str(folder), **options).eval()


@each
def test_what_is_saved(name: str, mixed: bool, tmp_path: Path) -> None:
    model, inputs = make(name, mixed)
    model.save_pretrained(tmp_path)
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"adapter_model.safetensors", "adapter_config.json", "README.md"}
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    assert settings["peft_type"] == "SSMLORA"
    assert settings["inference_mode"] is True
    card = yaml.safe_load((tmp_path / "README.md").read_text().split("---")[1])
    assert card["library_name"] == "peft"
    loaded = load(name, tmp_path)
    one, other = model.state_dict(), loaded.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one if "lora_" in key)
    assert torch.equal(logits(loaded, inputs), logits(model, inputs))


def test_an_existing_model_card_is_kept(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nmeta: hello\n---\nThis is a model card\n")
    make("bert")[0].save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "This is a model card" in card
    assert "library_name: peft" in card


@each
def test_saving_some_of_several_adapters(name: str, mixed: bool, tmp_path: Path) -> None:
    model, inputs = make(name, mixed)
    names = ["default2", "other_default", "foodefault_bar", "efaul"]  # one name within another
    for other in names:
        model.add_adapter(other, config(name, mixed))
    randomise(model)
    count = len(get_peft_model_state_dict(model))
    model.save_pretrained(tmp_path / "one", selected_adapters=["default"])
    assert len(load_file(tmp_path / "one" / "adapter_model.safetensors")) == count
    assert not [path for path in (tmp_path / "one").iterdir() if path.is_dir()]
    model.save_pretrained(tmp_path / "all")
    loaded = load(name, tmp_path / "all")
    for other in names:
        loaded.load_adapter(tmp_path / "all" / other, other)
        model.set_adapter(other)
        loaded.set_adapter(other)
        assert torch.equal(logits(loaded, inputs), logits(model, inputs))


@each
def test_loading_the_same_adapter_again(name: str, mixed: bool, tmp_path: Path) -> None:
    model, inputs = make(name, mixed)
    model.save_pretrained(tmp_path)
    loaded = load(name, tmp_path)
    for other in ("other", "yet-another"):
        result = loaded.load_adapter(tmp_path, adapter_name=other)
        assert result.missing_keys == []
        loaded.set_adapter(other)
        assert torch.equal(logits(loaded, inputs), logits(model, inputs))


@each
def test_low_cpu_memory_use(name: str, mixed: bool, tmp_path: Path) -> None:
    model, inputs = make(name, mixed)
    model.save_pretrained(tmp_path)
    loaded = load(name, tmp_path, low_cpu_mem_usage=True)
    loaded.load_adapter(tmp_path, adapter_name="other", low_cpu_mem_usage=True)
    assert {p.device.type for p in loaded.parameters()} == {"cpu"}
    for adapter in ("default", "other"):
        loaded.set_adapter(adapter)
        assert torch.equal(logits(loaded, inputs), logits(model, inputs))
    injected = inject_adapter_in_model(config(name, mixed), build(name)[0], low_cpu_mem_usage=True)
    assert "meta" in {p.device.type for p in injected.parameters()}


def test_a_device_map(tmp_path: Path) -> None:
    model, inputs = make("llama")
    model.save_pretrained(tmp_path)
    loaded = load("llama", tmp_path, device_map={"": "cpu"})
    assert torch.equal(logits(loaded, inputs), logits(model, inputs))


@each
def test_a_configuration_brought_along(name: str, mixed: bool, tmp_path: Path) -> None:
    model, inputs = make(name, mixed)
    model.save_pretrained(tmp_path)
    brought = config(name, mixed)
    loaded = load(name, tmp_path, config=brought)
    assert loaded.peft_config["default"] is brought
    assert brought.inference_mode
    assert not any(p.requires_grad for p in loaded.parameters())
    assert torch.equal(logits(loaded, inputs), logits(model, inputs))


def test_a_configuration_survives_its_file(tmp_path: Path) -> None:
    written = SSMLoraConfig(
        r=3,
        target_modules=("query", "value"),
        stateless_modules={"b", "a"},
        placement=("x", "y"),
        epsilon=1e-3,
        link_state=False,
    )
    written.save_pretrained(str(tmp_path))
    read = SSMLoraConfig.from_pretrained(str(tmp_path))
    assert read == written
    assert (read.stateless_modules, read.placement) == (["a", "b"], ["x", "y"])
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "from_the_future": 1}))
    with pytest.warns(UserWarning, match="from_the_future"):
        assert SSMLoraConfig.from_pretrained(str(tmp_path)) == written
    with pytest.raises(ValueError, match=r"adapter_config\.json"):
        SSMLoraConfig.from_pretrained(str(tmp_path / "nowhere"))


@each
def test_unloading(name: str, mixed: bool) -> None:
    base, inputs = build(name)
    before, count = logits(base, inputs), len(base.state_dict())
    model = get_peft_model(base, config(name, mixed)).eval()
    randomise(model)
    assert distance(logits(model, inputs), before) > 1e-6
    bare = model.unload()
    assert torch.equal(logits(bare, inputs), before)
    assert len(bare.state_dict()) == count
    assert not any(isinstance(module, BaseTunerLayer) for module in bare.modules())
    assert not hasattr(bare, "peft_config")


@each
def test_the_base_models_own_weights(name: str, mixed: bool) -> None:
    base, _ = build(name)
    before = {key: value.clone() for key, value in base.state_dict().items()}
    model = get_peft_model(base, config(name, mixed))
    found = get_base_model_state_dict(model)
    assert found.keys() == before.keys()
    assert all(torch.equal(found[key], before[key]) for key in before)
    with torch.no_grad():
        for parameter in model.get_base_model().parameters():
            parameter.add_(1.0)
    result = set_base_model_state_dict(model, before, strict=False)
    assert not result.missing_keys
    assert not result.unexpected_keys
    found = get_base_model_state_dict(model)
    assert all(torch.equal(found[key], before[key]) for key in before)


@each
@pytest.mark.parametrize("active", [True, False])
def test_deleting_one_adapter_and_the_last(name: str, mixed: bool, active: bool) -> None:
    model, inputs = make(name, mixed)
    before = logits(model, inputs)
    model.add_adapter("gone", config(name, mixed))
    if active:
        model.set_adapter("gone")
    model.delete_adapter("gone")
    assert model.active_adapters == ["default"]
    assert "gone" not in model.peft_config
    assert torch.equal(logits(model, inputs), before)
    with pytest.raises(ValueError, match="unknown does not exist"):
        model.delete_adapter("unknown")
    model.delete_adapter("default")
    assert model.active_adapters == []
    assert not [key for key in model.state_dict() if "gone" in key or "default" in key]
    assert torch.equal(logits(model.base_model, inputs), logits(build(name)[0], inputs))


@each
def test_disabling_and_enabling(name: str, mixed: bool) -> None:
    model, inputs = make(name, mixed)
    base, adapted = logits(build(name)[0], inputs), logits(model, inputs)
    assert distance(base, adapted) > 1e-6
    with model.disable_adapter():
        assert torch.equal(logits(model, inputs), base)
        with model.disable_adapter():
            assert torch.equal(logits(model, inputs), base)
    assert torch.equal(logits(model, inputs), adapted)
    model.base_model.disable_adapter_layers()
    assert torch.equal(logits(model, inputs), base)
    model.base_model.enable_adapter_layers()
    assert torch.equal(logits(model, inputs), adapted)


def trains(model: Any) -> set[str]:
    """Adapters with weights that are trained, modules trained in full among them."""
    names = [n for n, p in model.named_parameters() if p.requires_grad]
    return {adapter for adapter in model.peft_config for n in names if f".{adapter}" in n}


@each
def test_who_is_trained(name: str, mixed: bool) -> None:
    model, _ = make(name, mixed)
    assert trains(model) == {"default"}
    model.add_adapter("other", config(name, mixed, layers_to_transform=[0, 1]))
    assert trains(model) == {"default"}
    model.set_adapter("other")
    assert trains(model) == {"other"}
    assert model.active_adapter == "other"
    model.set_adapter("default", inference_mode=True)
    assert trains(model) == set()
    model.set_requires_grad(["default", "other"])
    assert trains(model) == {"default", "other"}
    model.set_requires_grad("default", requires_grad=False)
    assert trains(model) == {"other"}
    assert not any(
        p.requires_grad for n, p in model.named_parameters() if "lora_" not in n and "save" not in n
    )


@each
def test_status(name: str, mixed: bool) -> None:
    model, _ = make(name, mixed)
    status = get_model_status(model)
    assert (status.enabled, status.active_adapters) == (True, ["default"])
    assert status.requires_grad == {"default": True}
    assert status.merged_adapters == []
    assert status.num_adapter_layers >= len(layers_of(model))
    ours = [layer for layer in get_layer_status(model) if layer.module_type == "ssmlora.Linear"]
    assert len(ours) == len(layers_of(model))
    assert "ssmlora.Linear" in repr(model)


def test_a_second_adapter_with_biases_is_refused() -> None:
    model, inputs = make("bert", bias="all")
    before = logits(model, inputs)
    with pytest.raises(ValueError, match="only 1 adapter with bias"):
        model.add_adapter("other", config("bert", bias="all"))
    assert "other" not in model.peft_config
    assert "other" not in model.base_model.peft_config
    assert torch.equal(logits(model, inputs), before)
    with (
        pytest.warns(UserWarning, match="does not produce the same output"),
        model.disable_adapter(),
    ):
        pass


def test_another_methods_configuration_is_refused() -> None:
    model, _ = make("bert")
    with pytest.raises(ValueError, match="different peft types"):
        model.add_adapter("lora", LoraConfig(target_modules=["query"]))
    assert "lora" not in model.peft_config
    with pytest.raises(ValueError, match="not compatible with the `PeftMixedModel`"):
        get_peft_model(build("bert")[0], config("bert"), mixed=True)
