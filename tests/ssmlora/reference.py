"""SSMLoRA straight from the equations: float64, one token at a time, nothing shared with ssmlora.

The matrices are the paper's (row vectors, products on the right). The state is a plain variable
that goes from layer to layer of one kind; `start()` before a forward pass sets it to nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Chain:
    """h, token by token, as the last layer of one kind left it."""

    def __init__(self) -> None:
        self.h: torch.Tensor | None = None

    def start(self) -> None:
        self.h = None


class Reference(nn.Module):
    """One adapted linear layer."""

    def __init__(
        self, frozen: Any, rank: int, scale: float, chain: Chain | None, detach: bool = True
    ) -> None:
        super().__init__()
        self.frozen, self.rank, self.scale = frozen, rank, scale
        self.chain, self.detach = chain, detach
        d_in, d_out = frozen.in_features, frozen.out_features
        self.w_a = nn.Parameter(torch.zeros(d_in, rank, dtype=torch.float64))
        self.w_b = nn.Parameter(torch.zeros(rank, d_out, dtype=torch.float64))
        self.w_c = nn.Parameter(torch.zeros(rank, rank, dtype=torch.float64))
        self.w_d = nn.Parameter(torch.zeros(rank, rank, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        before = self.chain.h if self.chain is not None else None
        if before is None:
            before = torch.zeros(batch, length, self.rank, dtype=torch.float64)
        outputs, states = [], []
        for i in range(batch):
            for t in range(length):
                y, s = self.token(x[i, t], before[i, t])
                outputs.append(y)
                states.append(s)
        if self.chain is not None:
            h = torch.stack(states).reshape(batch, length, self.rank)
            self.chain.h = h.detach() if self.detach else h
        return torch.stack(outputs).reshape(batch, length, -1)

    def token(self, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x (d_in,), h (r,) -> y (d_out,), s (r,)."""
        u = x @ self.w_a
        z = h @ self.w_c + u @ self.w_d + h
        order = z.detach().argsort()
        low, high = z[order[0]], z[order[-1]]
        s = (z - low) / (high - low + 1e-8)
        y = x @ self.frozen.weight.T + self.scale * ((u + s) @ self.w_b)
        return (y if self.frozen.bias is None else y + self.frozen.bias), s


def reference_of(base: nn.Module, peft_model: nn.Module, link: bool = True) -> tuple[Any, Any]:
    """Build the reference on `base` with the weights of `peft_model`.

    Returns the pairs (reference layer, layer of peft_model) and a function that runs the reference
    on keyword inputs, starting its chains anew.
    """
    from tests.ssmlora.tiny import layers_of

    chains: dict[str, Chain] = {}
    pairs = []
    for full_name, layer in layers_of(peft_model).items():
        name = full_name.removeprefix("base_model.model.")
        parent = base.get_submodule(name.rpartition(".")[0])
        kind = name.rpartition(".")[2]
        chain = chains.setdefault(kind, Chain()) if link else None
        rank = layer.ssmlora_A["default"].shape[0]
        settings = layer.settings["default"]
        twin = Reference(getattr(parent, kind), rank, settings.scaling, chain, settings.detach)
        with torch.no_grad():
            twin.w_a.copy_(layer.ssmlora_A["default"].T)
            twin.w_b.copy_(layer.ssmlora_B["default"].T)
            twin.w_c.copy_(layer.ssmlora_C["default"].T)
            twin.w_d.copy_(layer.ssmlora_D["default"].T)
        setattr(parent, kind, twin)
        pairs.append((twin, layer))

    def run(**inputs: Any) -> Any:
        for chain in chains.values():
            chain.start()
        return base(**inputs)

    return pairs, run
