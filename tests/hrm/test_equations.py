"""The recurrence, the layer's equations, and what a token may depend on."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from peft import get_peft_model
from torch import nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

from hrm import HrmConfig
from hrm.layer import Adapted
from hrm.scan import scan
from tests.ssmlora.tiny import bert, distance, gradients, llama, tokens


def layer(base: nn.Module | None = None, **settings: Any) -> Adapted:
    torch.manual_seed(3)
    base = nn.Linear(6, 4) if base is None else base
    made = Adapted(base.double(), "default", HrmConfig(r=3, gate_init=0.7, **settings))
    made.requires_grad_(True)
    return made


def recurrence(u: torch.Tensor, decay: torch.Tensor) -> torch.Tensor:
    h = torch.zeros_like(u[:, 0])
    states = []
    for t in range(u.shape[1]):
        h = torch.exp(-decay) * h + u[:, t]
        states.append(h)
    return torch.stack(states, 1)


def reference(made: Adapted, x: torch.Tensor, low: float = 1e-4, high: float = 0.1) -> Any:
    """The published recurrence, token by token."""
    named = {n.split(".")[0]: p for n, p in made.named_parameters() if n.startswith("hrm_")}
    a = -torch.exp(named["hrm_log_a"])
    dt = F.softplus(named["hrm_log_dt"]).clamp(low, high)
    a_bar = torch.exp(dt * a)
    b_bar = ((a_bar - 1) / a)[:, None] * named["hrm_B"]
    h = x.new_zeros(x.shape[0], len(a))
    out = []
    for t in range(x.shape[1]):
        h = h * a_bar + x[:, t] @ b_bar.T
        out.append(h @ named["hrm_C"].T)
    return made.base_layer(x) + named["hrm_gate"] * torch.stack(out, 1)


@pytest.mark.parametrize("length", [1, 2, 7, 128, 129, 300, 2 * 128**2 + 5])
def test_the_scan_is_the_recurrence(length: int) -> None:
    torch.manual_seed(0)
    u = torch.randn(2, length, 5, dtype=torch.float64)
    decay = torch.tensor([1e-4, 1e-2, 0.1, 1.0, 30.0], dtype=torch.float64)
    assert distance(scan(u, decay), recurrence(u, decay)) < 1e-10


def test_the_scan_is_exact_enough_in_single_precision() -> None:
    torch.manual_seed(0)
    u, decay = torch.randn(1, 4096, 4), torch.tensor([1e-4, 1e-3, 0.1, 3.0])
    exact = recurrence(u.double(), decay.double())
    assert distance(scan(u, decay).double(), exact) < 1e-5 * float(exact.abs().max())


def test_a_large_input_disturbs_no_other_state() -> None:
    """As it would in a convolution by FFT."""
    torch.manual_seed(0)
    u, decay = torch.randn(1, 3000, 4), torch.tensor([1e-3, 0.1, 1.0, 3.0])
    late, early = u.clone(), u.clone()
    late[:, -1] = 1e6
    assert torch.equal(scan(u, decay)[:, :-1], scan(late, decay)[:, :-1])
    early[:, 0] = 1e5
    exact = recurrence(early.double(), decay.double())
    assert distance(scan(early, decay)[..., 1:].double()[:, 200:], exact[..., 1:][:, 200:]) < 1e-4


def test_an_empty_batch() -> None:
    assert scan(torch.empty(0, 5, 3), torch.ones(3)).shape == (0, 5, 3)


def test_derivatives_of_the_scan() -> None:
    torch.manual_seed(0)
    u = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    decay = torch.tensor([0.01, 0.3, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(scan, (u, decay))


@pytest.mark.parametrize("base", [nn.Linear(6, 4), Conv1D(4, 6)], ids=["linear", "conv1d"])
def test_the_layer_is_the_published_recurrence(base: nn.Module) -> None:
    made = layer(base)
    x = torch.randn(2, 9, 6, dtype=torch.float64)
    assert distance(made(x), reference(made, x)) < 1e-12


def test_gradients_are_those_of_the_published_recurrence() -> None:
    made, x = layer(), torch.randn(2, 9, 6, dtype=torch.float64)
    made(x).square().sum().backward()
    ours = gradients(made)
    made.zero_grad()
    reference(made, x).square().sum().backward()
    theirs = gradients(made)
    assert ours.keys() == theirs.keys()
    assert len([name for name in ours if name.startswith("hrm_")]) == 5
    assert max(distance(ours[name], theirs[name]) for name in ours) < 1e-10


def test_step_sizes_stay_within_their_limits() -> None:
    made, x = layer(dt_max=0.05), torch.randn(1, 4, 6, dtype=torch.float64)
    with torch.no_grad():
        made.hrm_log_dt["default"].fill_(4.0)  # softplus(4) = 4.02
    assert distance(made(x), reference(made, x, high=0.05)) < 1e-12
    assert distance(made(x), reference(made, x, high=0.1)) > 1e-3
    made = layer(dt_min=0.01, dt_max=0.05)
    with torch.no_grad():
        made.hrm_log_dt["default"].fill_(-9.0)  # softplus(-9) = 1.2e-4
    assert distance(made(x), reference(made, x, low=0.01)) < 1e-12
    assert distance(made(x), reference(made, x)) > 1e-3


def test_initial_values() -> None:
    torch.manual_seed(0)
    config = HrmConfig(r=1000, dt_min=1e-3, dt_max=0.1)
    made = Adapted(nn.Linear(400, 100), "default", config)
    named = {n.split(".")[0]: p.detach() for n, p in made.named_parameters()}
    assert distance(named["hrm_log_a"].exp(), torch.arange(1.0, 1001)) < 1e-2
    assert float(named["hrm_B"].var()) == pytest.approx(1 / 400, rel=0.05)
    assert float(named["hrm_C"].var()) == pytest.approx(1 / 1000, rel=0.05)
    steps = named["hrm_log_dt"]
    assert math.log(1e-3) <= float(steps.min()) < math.log(1e-3) + 0.1
    assert math.log(0.1) - 0.1 < float(steps.max()) <= math.log(0.1)
    assert float(steps.mean()) == pytest.approx(math.log(1e-2), abs=0.2)
    assert named["hrm_gate"].tolist() == [0.0]


def test_a_token_sees_the_tokens_before_it_only() -> None:
    made, x = layer(), torch.randn(1, 8, 6, dtype=torch.float64)
    other = x.clone()
    other[:, 4] += 1.0
    changed = (made(x) - made(other)).abs().amax(-1)[0] > 1e-9
    assert changed.tolist() == [False] * 4 + [True] * 4


def test_without_memory_a_token_sees_itself_only() -> None:
    made, x = layer(memory=False), torch.randn(1, 8, 6, dtype=torch.float64)
    other = x.clone()
    other[:, 4] += 1.0
    changed = (made(x) - made(other)).abs().amax(-1)[0] > 1e-9
    assert changed.tolist() == [False] * 4 + [True] + [False] * 3
    assert distance(made(x)[:, 0], layer()(x)[:, 0]) < 1e-12  # the first token has no past


def test_rows_are_apart() -> None:
    made, x = layer(), torch.randn(3, 5, 6, dtype=torch.float64)
    assert distance(made(x)[1:2], made(x[1:2])) < 1e-12


def test_inputs_without_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"not \(8, 6\).*name other target_modules"):
        layer()(torch.randn(8, 6, dtype=torch.float64))


def test_half_precision_keeps_the_state_in_single() -> None:
    made = layer().bfloat16()
    x = torch.randn(1, 300, 6)
    exact = layer().float()(x).detach()
    assert made(x.bfloat16()).dtype == torch.bfloat16
    assert distance(made(x.bfloat16()).float(), exact) < 0.05 * float(exact.abs().max())


def test_autocast_keeps_the_state_in_single() -> None:
    made, x = layer().float(), torch.randn(1, 300, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = made(x)
    assert distance(low.float(), made(x)) < 0.05 * float(made(x).detach().abs().max())


def test_the_model_starts_as_the_base_model() -> None:
    base = llama()
    expected = base(input_ids=tokens()).logits.detach()
    model = get_peft_model(base, HrmConfig(r=4)).eval()
    assert torch.equal(model(input_ids=tokens()).logits, expected)


def test_tokens_after_a_text_do_not_change_it() -> None:
    """So padding on the right is harmless."""
    config = HrmConfig(r=4, gate_init=1.0, target_modules=["query", "output.dense"])
    model = get_peft_model(bert(), config)
    ids, mask = tokens(2, 6), torch.ones(2, 6, dtype=torch.long)
    mask[:, 4:] = 0
    base = model.eval().base_model.model.bert
    with torch.no_grad():
        short = base(input_ids=ids[:, :4]).last_hidden_state
        padded = base(input_ids=ids, attention_mask=mask).last_hidden_state[:, :4]
    assert distance(short, padded) < 1e-9


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"r": 0}, "r must be a whole number"),
        ({"dt_min": 0.0}, "dt_min and dt_max must be positive"),
        ({"dt_min": 0.2}, "dt_min and dt_max must be positive and in this order"),
        ({"layers_pattern": "layers"}, "needs layers_to_transform"),
        ({"target_modules": ".*mlp", "layers_to_transform": [0]}, "regular expression"),
    ],
)
def test_values_outside_their_range(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        HrmConfig(**settings)
