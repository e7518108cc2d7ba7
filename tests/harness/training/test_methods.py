"""How a backbone is made trainable: the same sites for every method, the head always."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.core.cell import Cell
from harness.models.backbones import find_backbone
from harness.models.load import load_classifier
from harness.training.loop import optimizer_of
from harness.training.methods import Adapted, adapt
from tests.harness.planning.test_plan import BASE

MINILM = find_backbone("minilm")


def made(**changes: Any) -> Adapted:
    cell = Cell.model_validate(BASE.model_dump() | changes)
    return adapt(load_classifier(MINILM, 4, 64, 0.0, 0), cell)


def adapted_layers(model: torch.nn.Module) -> set[str]:
    names = {n for n, p in model.named_parameters() if p.requires_grad and "classifier" not in n}
    return {n.split(".lora_")[0].split(".ssmlora_")[0] for n in names}


@pytest.mark.parametrize("density", [1.0, 0.5, 0.25])
@pytest.mark.parametrize("placement", ["alternate", "even", "random"])
def test_lora_and_ssmlora_get_the_same_sites(density: float, placement: str) -> None:
    settings = {"density": density, "placement": placement, "seed": 5}
    lora, ssmlora = (made(method=m, **settings) for m in ("lora", "ssmlora"))
    assert adapted_layers(lora.model) == adapted_layers(ssmlora.model)
    assert lora.sites == ssmlora.sites == len(adapted_layers(lora.model)) == round(12 * density)


def test_links_are_counted_where_a_state_is_handed_on() -> None:
    assert [made(method="ssmlora", density=d).links for d in (1.0, 0.5, 0.25)] == [10, 4, 1]
    assert made(method="ssmlora", options={"link_state": False}).links == 0
    assert made(method="lora").links is None
    assert made(method="full").links is None


def test_the_head_is_trained_in_every_arm() -> None:
    for method in ("full", "lora", "ssmlora"):
        head = {
            n: p for n, p in made(method=method).model.named_parameters()
            if "classifier" in n and p.requires_grad
        }  # fmt: skip
        assert sum(p.numel() for p in head.values()) == 384 * 4 + 4, method


def test_options_reach_the_configuration() -> None:
    model: Any = made(method="lora", options={"use_rslora": True}, rank=4, alpha=8.0).model
    config = model.peft_config["default"]
    assert (config.use_rslora, config.r, config.lora_alpha) == (True, 4, 8.0)


def test_another_peft_method_runs_on_the_same_sites() -> None:
    adapted = made(method="ia3", options={"feedforward_modules": []})
    assert adapted.sites == 6
    ids = torch.randint(1000, 2000, (2, 8))
    answer = adapted.model(
        input_ids=ids, attention_mask=torch.ones_like(ids), labels=torch.tensor([0, 1])
    )
    answer.loss.backward()
    trained = [n for n, p in adapted.model.named_parameters() if p.grad is not None]
    assert sum("ia3" in n for n in trained) == 6


def test_head_trains_the_classifier_only() -> None:
    found = made(method="head", density=None, placement=None, rank=None, alpha=None)
    trained = [n for n, p in found.model.named_parameters() if p.requires_grad]
    assert trained == ["classifier.weight", "classifier.bias"]
    assert (found.sites, found.links) == (None, None)


@pytest.mark.parametrize("method", ["full", "lora", "ssmlora"])
def test_the_classifier_has_its_own_learning_rate(method: str) -> None:
    cell = Cell.model_validate(BASE.model_dump() | {"method": method, "lr": 1e-3, "head_lr": 1e-2})
    model = made(method=method).model
    rest, head = optimizer_of(model, cell).param_groups
    assert (rest["lr"], head["lr"]) == (1e-3, 1e-2)
    assert sum(p.numel() for p in head["params"]) == 384 * 4 + 4
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert sum(p.numel() for p in rest["params"]) == trainable - (384 * 4 + 4)
