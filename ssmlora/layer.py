"""One adapted linear layer: equations 3 to 7 of the method, row vectors, one state a token."""

from __future__ import annotations

import math
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from ssmlora.config import SSMLoraConfig
from ssmlora.state import Owner, Pass, current_pass


class SSMLoraLinear(nn.Module, BaseTunerLayer):  # type: ignore[misc]
    """A frozen linear layer with a low-rank pair, and for stateful sites the state's step.

        u = x W_a                           ssmlora_A, (r, in_features) as nn.Linear stores it
        z = h W_c + u W_d + h               ssmlora_C, ssmlora_D, (r, r)
        s = (z - min z) / (max z - min z + epsilon)      over the r entries of each token, float32
        y = x W_0 + scale (u + dropout(s)) W_b           ssmlora_B, (out_features, r), starts at 0

    h is the s of the layer before on the same axis, or zero. Without a state, y = x W_0 + scale u W_b.
    """

    adapter_layer_names = ("ssmlora_A", "ssmlora_B", "ssmlora_C", "ssmlora_D")
    other_param_names = ("r", "lora_alpha", "scaling", "lora_dropout", "state_dropout")

    def __init__(self, base_layer: nn.Module, owner: Owner) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.owner = owner
        self.r: dict[str, int] = {}
        self.lora_alpha: dict[str, float] = {}
        self.scaling: dict[str, float] = {}
        self.lora_dropout = nn.ModuleDict()
        self.state_dropout = nn.ModuleDict()
        self.ssmlora_A = nn.ModuleDict()
        self.ssmlora_B = nn.ModuleDict()
        self.ssmlora_C = nn.ModuleDict()
        self.ssmlora_D = nn.ModuleDict()
        self._config: dict[str, SSMLoraConfig] = {}
        self.key = ""
        self.previous: dict[str, str | None] = {}
        self._disable_adapters = False
        self.merged_adapters: list[str] = []
        base: Any = self.get_base_layer()
        if isinstance(base, nn.Linear):
            self.in_features, self.out_features = base.in_features, base.out_features
        elif type(base).__name__ == "Conv1D":  # GPT-2 keeps its weight as (in, out)
            self.in_features, self.out_features = base.weight.shape
        else:
            raise ValueError(f"SSMLoRA adapts linear layers, not {type(base).__name__}")

    def update_layer(
        self, adapter_name: str, config: SSMLoraConfig, stateful: bool, key: str
    ) -> None:
        """Add an adapter's matrices, initialised as `config.init` says."""
        r = config.r
        self.key = key
        self.r[adapter_name] = r
        self.lora_alpha[adapter_name] = config.lora_alpha
        root = math.sqrt(r) if config.use_rslora else r
        self.scaling[adapter_name] = config.lora_alpha / root
        self._config[adapter_name] = config
        self.previous[adapter_name] = None
        for place, rate in (
            (self.lora_dropout, config.lora_dropout),
            (self.state_dropout, config.state_dropout),
        ):
            place[adapter_name] = nn.Dropout(rate) if rate > 0 else nn.Identity()
        self.ssmlora_A[adapter_name] = nn.Linear(self.in_features, r, bias=False)
        self.ssmlora_B[adapter_name] = nn.Linear(r, self.out_features, bias=False)
        if stateful:
            self.ssmlora_C[adapter_name] = nn.Linear(r, r, bias=False)
            self.ssmlora_D[adapter_name] = nn.Linear(r, r, bias=False)
        self.reset_parameters(adapter_name, config)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def reset_parameters(self, adapter_name: str, config: SSMLoraConfig) -> None:
        """W_a normal with std 1 / sqrt(r), W_b and W_c zero, W_d zero or small and random."""
        nn.init.normal_(self._weight("A", adapter_name), std=1 / math.sqrt(config.r))
        nn.init.zeros_(self._weight("B", adapter_name))
        if adapter_name in self.ssmlora_C:
            nn.init.zeros_(self._weight("C", adapter_name))
            if config.init == "paper":
                nn.init.zeros_(self._weight("D", adapter_name))
            else:
                nn.init.normal_(self._weight("D", adapter_name), std=0.02)

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Adapt the base layer's output; x is (..., in_features)."""
        result: torch.Tensor = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters:
            return result
        dtype = result.dtype
        for name in self.active_adapters:
            if name in self.ssmlora_A:
                result = result + self._delta(name, x).to(dtype)
        return result

    def _delta(self, name: str, x: torch.Tensor) -> torch.Tensor:
        x = self._cast_input_dtype(x, self._weight("A", name).dtype)
        u = self.ssmlora_A[name](self.lora_dropout[name](x))
        if name in self.ssmlora_C:
            u = u + self.state_dropout[name](self._state(name, u))
        delta: torch.Tensor = self.ssmlora_B[name](u * self.scaling[name])
        return delta

    def _state(self, name: str, u: torch.Tensor) -> torch.Tensor:
        config = self._config[name]
        now = current_pass(self.owner)
        h = self._read(name, now) if config.link_state else None
        z = self.ssmlora_D[name](u)
        if h is not None:
            z = z + self.ssmlora_C[name](h) + h
        elif self.training:
            # W_c has nothing to multiply here, but distributed training expects a gradient (zero)
            # from every trainable parameter.
            z = z + 0.0 * self._weight("C", name).sum()
        z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
        low = z.amin(-1, keepdim=True)
        high = z.amax(-1, keepdim=True)
        s = ((z - low) / (high - low + config.epsilon)).to(u.dtype)
        if now is not None:
            now.states[name, self.key] = s.detach() if config.detach_state else s
        return s

    def _read(self, name: str, now: Pass | None) -> torch.Tensor | None:
        previous = self.previous[name]
        if previous is None:
            return None
        if now is None or (name, previous) not in now.states:
            raise RuntimeError(
                f"{self.key}: the state of {previous} is not there. An adapted layer runs inside "
                f"a forward pass of its model, after the layers before it; for gradient "
                f"checkpointing use the model's gradient_checkpointing_enable()"
            )
        return now.states[name, previous]

    def _weight(self, letter: str, name: str) -> torch.Tensor:
        weight: torch.Tensor = getattr(self, f"ssmlora_{letter}")[name].weight
        return weight

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Refuse: the state is not linear in x, so no change of W_0 can stand for it."""
        raise NotImplementedError(
            "SSMLoRA cannot be merged into the base weights: the min-max step of its state is not "
            "linear in the layer's input. Keep the adapter, or unload() to drop it"
        )

    def unmerge(self) -> None:
        """Refuse, as `merge` does."""
        raise NotImplementedError("SSMLoRA is never merged, so there is nothing to unmerge")
