"""One adapted module: the module's output, plus a state that runs over the tokens."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional as F

from hrm.config import HrmConfig
from hrm.scan import scan
from ssmlora.layer import features
from ssmlora.refusals import UnmergedLayer


class HrmLayer(UnmergedLayer):
    """The adapter weights of a module, by adapter name.

    With x_t (d_in) and a state h_t (r) of token t, h = 0 before the first token:

        a = -exp(log_a);  dt = softplus(log_dt), limited to [dt_min, dt_max]
        h_t = exp(dt a) h_{t-1} + (exp(dt a) - 1) / a B x_t      (zero-order hold)
        y_t = module(x_t) + gate C h_t

    Parameters: `hrm_B` (r, d_in), `hrm_C` (d_out, r), `hrm_log_a` and `hrm_log_dt` (r,),
    `hrm_gate` (1,). The state is computed in float32 at least.
    """

    adapter_layer_names = ("hrm_B", "hrm_C", "hrm_log_a", "hrm_log_dt", "hrm_gate")
    other_param_names = ("configs",)
    merge_refused = (
        "HRM cannot be merged: its update of a token depends on the tokens before it, so no weight "
        "matrix equals it. Keep the adapter, or remove it with unload()."
    )

    def __init__(self, base_layer: nn.Module, adapter_name: str) -> None:
        self.base_layer = base_layer
        self.hrm_B = nn.ParameterDict()
        self.hrm_C = nn.ParameterDict()
        self.hrm_log_a = nn.ParameterDict()
        self.hrm_log_dt = nn.ParameterDict()
        self.hrm_gate = nn.ParameterDict()
        self.configs: dict[str, HrmConfig] = {}
        self.cast_input_dtype_enabled = True
        self._disable_adapters = False
        self.merged_adapters: list[str] = []
        self._active_adapter: str | list[str] = adapter_name
        self.in_features, self.out_features = _widths(self.get_base_layer())

    def update_layer(self, adapter_name: str, config: HrmConfig) -> None:
        """Add an adapter."""
        r = config.r
        self.configs[adapter_name] = config
        low, high = math.log(config.dt_min), math.log(config.dt_max)
        weight = next(self.get_base_layer().parameters())
        dtype = weight.dtype if weight.is_floating_point() else torch.float32  # not if quantised

        def parameter(value: torch.Tensor) -> nn.Parameter:
            return nn.Parameter(value.to(weight.device, dtype))

        # The modes of S4D-Real: -1, -2, ..., -r.
        self.hrm_log_a[adapter_name] = parameter(torch.log(torch.arange(1.0, r + 1)))
        self.hrm_log_dt[adapter_name] = parameter(torch.empty(r).uniform_(low, high))
        self.hrm_B[adapter_name] = parameter(
            torch.randn(r, self.in_features) / math.sqrt(self.in_features)
        )
        self.hrm_C[adapter_name] = parameter(torch.randn(self.out_features, r) / math.sqrt(r))
        self.hrm_gate[adapter_name] = parameter(torch.full((1,), float(config.gate_init)))
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def update(self, adapter_name: str, x: torch.Tensor) -> torch.Tensor:
        """Return gate C h for inputs x (rows, tokens, d_in): (rows, tokens, d_out).

        Raises:
            ValueError: `x` has no axis of tokens; a state would run from one row into the next.
        """
        if x.dim() != 3:
            raise ValueError(
                f"HRM needs inputs of shape (rows, tokens, width), not {tuple(x.shape)}: "
                f"this module gets all tokens of a batch as one list; name other target_modules"
            )
        b, c = self.hrm_B[adapter_name], self.hrm_C[adapter_name]
        x = self._cast_input_dtype(x, b.dtype)
        h = self._states(adapter_name, F.linear(x, b)).to(c.dtype)
        # The gate before C: autograd keeps its input, which is r wide instead of d_out.
        return F.linear(self.hrm_gate[adapter_name] * h, c)

    def _states(self, adapter_name: str, u: torch.Tensor) -> torch.Tensor:
        """Return the states for inputs u = B x, (rows, tokens, r)."""
        config = self.configs[adapter_name]
        dtype = torch.promote_types(u.dtype, torch.float32)
        with torch.autocast(u.device.type, enabled=False):
            speed = torch.exp(self.hrm_log_a[adapter_name].to(dtype))
            dt = F.softplus(self.hrm_log_dt[adapter_name].to(dtype))
            decay = dt.clamp(config.dt_min, config.dt_max) * speed
            inputs = u.to(dtype) * (-torch.expm1(-decay) / speed)
            return scan(inputs, decay) if config.memory else inputs

    @property
    def remembers(self) -> bool:
        """Whether an active adapter has a state over tokens."""
        active = [] if self.disable_adapters else cast(list[str], self.active_adapters)
        return any(name in self.configs and self.configs[name].memory for name in active)


class Adapted(nn.Module, HrmLayer):
    """A frozen module with HRM adapters on top."""

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: HrmConfig) -> None:
        super().__init__()
        HrmLayer.__init__(self, base_layer, adapter_name)
        self.update_layer(adapter_name, config)

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the module's output plus the updates of the active adapters, in its dtype."""
        result: torch.Tensor = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters:
            return result
        for name in cast(list[str], self.active_adapters):
            if name in self.configs:
                update = self.update(name, x)
                if update.shape != result.shape:
                    raise ValueError(
                        f"HRM's update has the shape {tuple(update.shape)}, but the output of "
                        f"{type(self.base_layer).__name__} {tuple(result.shape)}: name the linear "
                        f"layers in it as target_modules"
                    )
                result = result + update.to(result.dtype)
        return result

    def __repr__(self) -> str:
        """Add the name of the method."""
        return "hrm." + super().__repr__()


def _widths(module: nn.Module) -> tuple[int, int]:
    """Return the input and output width of a linear layer, or of a module that begins with one.

    Raises:
        ValueError: there is no linear layer.
    """
    linear = [at for at in module.modules() if hasattr(at, "weight") and _is_linear(at)]
    if not linear:
        raise ValueError(f"HRM adapts modules with linear layers, not {type(module).__name__}")
    return features(linear[0])[0], features(linear[-1])[1]


def _is_linear(module: nn.Module) -> bool:
    return hasattr(module, "in_features") or type(module).__name__ == "Conv1D"
