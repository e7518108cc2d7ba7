"""Several adapters in one model, switching, disabling, deleting; dtypes; what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, inject_adapter_in_model
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict

from ssmlora import SSMLoraConfig
from tests.ssmlora.tiny import adapted, bert, distance, layers_of, llama, randomise, tokens


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=tokens()).logits


def config(**settings: Any) -> SSMLoraConfig:
    return SSMLoraConfig(**{"r": 4, "lora_alpha": 8, "state_dropout": 0.0, **settings})


@pytest.fixture
def two() -> tuple[Any, torch.Tensor, torch.Tensor]:
    """A model with adapters `default` and `sparse`, and what each gives alone."""
    dense, sparse = adapted(bert()), adapted(bert(), density=0.5, r=3)
    model = adapted(bert())
    model.add_adapter("sparse", config(density=0.5, r=3))
    model.double()
    copy_into(model, dense, "default")
    copy_into(model, sparse, "sparse")
    return model, logits(dense), logits(sparse)


def copy_into(model: Any, source: Any, name: str) -> None:
    set_peft_model_state_dict(model, get_peft_model_state_dict(source), adapter_name=name)


def test_switching(two: tuple[Any, torch.Tensor, torch.Tensor]) -> None:
    model, dense, sparse = two
    assert torch.equal(logits(model), dense)
    model.set_adapter("sparse")
    assert torch.equal(logits(model), sparse)
    assert {p.requires_grad for n, p in model.named_parameters() if "A.default" in n} == {False}
    assert {p.requires_grad for n, p in model.named_parameters() if "A.sparse" in n} == {True}
    model.set_adapter("default")
    assert torch.equal(logits(model), dense)


def test_disabling(two: tuple[Any, torch.Tensor, torch.Tensor]) -> None:
    model, dense, _ = two
    with model.disable_adapter():
        assert torch.equal(logits(model), logits(bert()))
    assert torch.equal(logits(model), dense)


def test_deleting(two: tuple[Any, torch.Tensor, torch.Tensor]) -> None:
    model, _, sparse = two
    model.set_adapter("sparse")
    model.delete_adapter("default")
    assert torch.equal(logits(model), sparse)
    assert not [name for name, _ in model.named_parameters() if name.endswith(".default")]
    assert all("default" not in layer.settings for layer in layers_of(model).values())


def test_two_at_once_have_a_state_each(two: tuple[Any, torch.Tensor, torch.Tensor]) -> None:
    """On layers that cannot hear of each other but through the state, the updates add up."""
    model, _, _ = two
    outputs: dict[str, dict[str, torch.Tensor]] = {}
    for active in (["default"], ["sparse"], ["default", "sparse"]):
        model.base_model.set_adapter(active)
        outputs["+".join(active)] = updates_on_fixed_inputs(model)
    both, one, other = outputs["default+sparse"], outputs["default"], outputs["sparse"]
    for name, update in both.items():
        assert distance(update, one[name] + other[name]) < 1e-12
    assert any(bool(update.any()) for update in other.values())


def updates_on_fixed_inputs(model: Any) -> dict[str, torch.Tensor]:
    """Each layer's update when every layer is fed the same input, whatever came before it."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 5, 16, generator=generator, dtype=torch.float64)
    updates: dict[str, torch.Tensor] = {}
    handles = []
    for name, layer in layers_of(model).items():
        handles.append(layer.register_forward_pre_hook(lambda module, args: (x,)))
        handles.append(
            layer.register_forward_hook(
                lambda module, args, output, name=name: updates.__setitem__(
                    name, output - module.base_layer(x)
                )
            )
        )
    logits(model)
    for handle in handles:
        handle.remove()
    return updates


def test_a_second_adapter_from_disk(tmp_path: Any) -> None:
    source = adapted(bert(), density=0.5)
    source.save_pretrained(tmp_path)
    model = adapted(bert())
    before = logits(model)
    model.load_adapter(str(tmp_path), "loaded")
    model.double()
    assert torch.equal(logits(model), before)
    model.set_adapter("loaded")
    assert torch.equal(logits(model), logits(source))


def test_injection_without_a_peft_model() -> None:
    expected = adapted(bert())
    state = get_peft_model_state_dict(expected)
    stripped = {name.removeprefix("base_model.model."): value for name, value in state.items()}
    by_config = inject_adapter_in_model(config(), bert()).double().eval()
    set_peft_model_state_dict(by_config, stripped)
    by_names = inject_adapter_in_model(config(), bert(), state_dict=stripped).double().eval()
    set_peft_model_state_dict(by_names, stripped)
    assert torch.equal(logits(by_config), logits(expected))
    assert torch.equal(logits(by_names), logits(expected))


def test_modules_to_save_and_bias() -> None:
    model = get_peft_model(bert(), config(modules_to_save=["classifier"], bias="ssmlora_only"))
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    assert any("classifier.modules_to_save.default.weight" in name for name in trainable)
    assert {n for n in trainable if n.endswith("bias") and "classifier" not in n} == {
        f"{name}.base_layer.bias" for name in layers_of(model)
    }


def test_which_modules() -> None:
    def names(**settings: Any) -> list[str]:
        return [name.partition("layer.")[2] for name in layers_of(adapted(bert(), **settings))]

    assert names(layers_to_transform=[1], target_modules=["query"]) == ["1.attention.self.query"]
    assert len(names(exclude_modules=["value"], target_modules=["query", "value"])) == 4
    assert len(names(target_modules=r".*layer\.[01]\..*\.(query|value)")) == 4
    # `all-linear` beside the state: everything else but what could have carried one
    every = names(density=0.5, stateless_modules="all-linear")
    assert len([name for name in every if name.endswith(("query", "value"))]) == 4
    assert len([name for name in every if name.endswith("key")]) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"r": 0}, "r must be"),
        ({"r": 2.0}, "r must be"),
        ({"density": 0}, "density"),
        ({"density": 1.5}, "density"),
        ({"placement": "nowhere"}, "placement"),
        ({"init": "zeros"}, "init"),
        ({"state_dropout": 1.0}, "state_dropout"),
        ({"lora_dropout": -0.1}, "lora_dropout"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"bias": "lora_only"}, "bias"),
        ({"task_type": "POETRY"}, "task type"),
        ({"layers_pattern": "layer"}, "layers_to_transform"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SSMLoraConfig(**settings)


def test_bad_targets_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        get_peft_model(bert(), config(target_modules=["nothing"]))
    with pytest.raises(ValueError, match="nearest"):
        get_peft_model(bert(), config(placement=["bert.encoder.layer.0.attention.self.queri"]))
    with pytest.raises(ValueError, match="target_modules="):
        get_peft_model(torch.nn.Sequential(torch.nn.Linear(2, 2)), config())


def test_adapter_names_per_row_are_refused(two: tuple[Any, torch.Tensor, torch.Tensor]) -> None:
    model, _, _ = two
    with pytest.raises(NotImplementedError, match="adapter_names"):
        model(input_ids=tokens(), adapter_names=["default", "sparse"])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights(dtype: torch.dtype) -> None:
    for keep in (True, False):
        model = get_peft_model(llama().to(dtype), config(), autocast_adapter_dtype=keep)
        weights = {p.dtype for p in model.parameters() if p.requires_grad}
        assert weights == {torch.float32 if keep else dtype}
        randomise(model)
        output = model(input_ids=tokens()).logits
        assert output.dtype == dtype
        output.float().square().sum().backward()
        assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_layer_in_another_dtype_than_its_adapter(dtype: torch.dtype) -> None:
    """Half precision rounds once, after the update is added; the scale is there in both ways."""
    model = get_peft_model(bert().to(dtype), config(target_modules=[], stateless_modules=["query"]))
    randomise(model)
    layer = next(iter(layers_of(model).values()))
    x = torch.randn(2, 5, 16).to(dtype)
    a, b = layer.ssmlora_A["default"], layer.ssmlora_B["default"]
    u = x.to(a.dtype) @ a.T
    assert distance(layer(x), (layer.base_layer(x) + 2.0 * (u @ b.T)).to(dtype)) < 1e-12


def test_beside_lora_in_one_model() -> None:
    """SSMLoRA on the attention of a model whose feed-forward layers carry LoRA already."""
    lora = get_peft_model(bert(), LoraConfig(target_modules=["intermediate.dense"]))
    model = adapted(lora.base_model.model, target_modules=["query", "value"])
    assert isinstance(model, PeftModel)
    assert len(layers_of(model)) == 8
    logits(model)
