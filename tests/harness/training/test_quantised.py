"""Weights of 8 and 4 bits, and 8-bit AdamW. Needs bitsandbytes: `pip install bitsandbytes`."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.core.levers import Levers
from harness.costs.dry_run import dry_run
from harness.execution.cell_main import probe_turns
from harness.models.backbones import find_backbone
from harness.models.load import load_classifier
from harness.training.batches import random_batch
from harness.training.evaluate import autocast
from harness.training.loop import optimizer_of, train_step
from harness.training.methods import adapt
from harness.training.timing import HereArm, in_rounds
from tests.harness.planning.test_plan import BASE

pytest.importorskip("bitsandbytes", reason="the package bitsandbytes is not installed")
VOCABULARY, TEXTS, TOKENS = 30_000, 4, 24


class Trained:
    """MiniLM with LoRA or SSMLoRA, and one batch."""

    def __init__(self, method: str, **levers: Any) -> None:
        options = {"state_dropout": 0.0} if method == "ssmlora" else {}
        change = {"method": method, "levers": Levers(**levers), "dropout": 0.0, "options": options}
        self.cell = BASE.model_copy(update=change)
        torch.manual_seed(0)
        model = load_classifier(
            find_backbone("minilm"), 3, TOKENS, 0.0, 0, levers=self.cell.levers, device="cpu"
        )
        self.model = adapt(model, self.cell).model
        self.trainable = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        for name, parameter in self.trainable.items():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.02)
        self.batch = random_batch(VOCABULARY, TEXTS, TOKENS, 0, False)

    def gradients(self) -> dict[str, torch.Tensor]:
        """Of one batch, by the name of the parameter."""
        self.model.train()
        self.model.zero_grad()
        with autocast(self.cell):
            self.model(**self.batch).loss.backward()
        return {n: p.grad.clone() for n, p in self.trainable.items() if p.grad is not None}

    def bytes(self) -> int:
        """Of all parameters."""
        return sum(p.nbytes for p in self.model.parameters())

    def logits(self) -> torch.Tensor:
        """Without gradients."""
        self.model.eval()
        with torch.inference_mode(), autocast(self.cell):
            logits: torch.Tensor = self.model(**self.batch).logits
        return logits.float()


@pytest.mark.parametrize("method", ["lora", "ssmlora"])
@pytest.mark.parametrize("weights", ["8bit", "4bit"])
def test_an_evaluation_changes_no_gradients(weights: str, method: str) -> None:
    """On some processors the 4-bit layers of bitsandbytes lose their backward pass in it."""
    arm = Trained(method, weights=weights)
    before = arm.gradients()
    arm.logits()
    after = arm.gradients()
    assert before.keys() == after.keys() == arm.trainable.keys()
    for name, gradient in before.items():
        torch.testing.assert_close(after[name], gradient, rtol=1e-3, atol=1e-6, msg=name)
    assert all(bool(g.any()) for n, g in before.items() if "lora_B" in n)


def test_fewer_bits_take_less_memory_and_give_similar_logits() -> None:
    plain = Trained("lora")
    logits = {bits: Trained("lora", weights=bits) for bits in ("8bit", "4bit")}
    sizes = [arm.bytes() for arm in (plain, *logits.values())]
    assert sizes == sorted(sizes, reverse=True)
    spread = float(plain.logits().std())
    for arm, most in zip(logits.values(), (0.1, 0.5), strict=True):
        assert float((arm.logits() - plain.logits()).abs().mean()) < most * spread


@pytest.mark.parametrize(
    ("method", "levers"),
    [(method, {"weights": bits}) for method in ("lora", "ssmlora") for bits in ("8bit", "4bit")]
    + [(method, {"optimizer": "adamw8bit"}) for method in ("full", "ssmlora")],
)
def test_a_dry_run_has_the_live_bytes_of_a_step(method: str, levers: dict[str, Any]) -> None:
    update = {"kind": "probe", "task": None, "method": method, "levers": Levers(**levers)}
    cell = BASE.model_copy(update={**update, "steps": 1, "probe_seconds": 0.0, "batch_size": 2})
    backbone = find_backbone("minilm")
    (measured,) = in_rounds([HereArm(probe_turns(cell, backbone))], [cell])
    assert measured.cost, measured.error
    predicted = dry_run(cell, backbone)
    assert predicted.train.peak_bytes == measured.cost.train_live_peak_bytes
    assert predicted.train.parts["optimizer"] == measured.cost.live_optimizer_bytes
    assert predicted.eval.peak_bytes == pytest.approx(measured.cost.eval_live_peak_bytes, rel=1e-4)


def test_8bit_adamw_learns_with_less_state() -> None:
    def trained(optimizer: Any) -> tuple[float, int]:
        arm = Trained("lora", optimizer=optimizer)
        steps = optimizer_of(arm.model, arm.cell)
        for _ in range(8):
            train_step(arm.model, arm.batch, steps, list(arm.trainable.values()), arm.cell)
        states = [t for s in steps.state.values() for t in s.values() if torch.is_tensor(t)]
        with torch.no_grad():
            return float(arm.model(**arm.batch).loss), sum(t.nbytes for t in states)

    (loss, size), (same, smaller) = trained("adamw"), trained("adamw8bit")
    assert same == pytest.approx(loss, rel=0.2)
    assert smaller < size
