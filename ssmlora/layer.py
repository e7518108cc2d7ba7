"""One adapted linear layer: a low-rank pair, and the state that it passes to the next layer."""

from __future__ import annotations

import dataclasses
import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional as F

from ssmlora.config import SSMLoraConfig
from ssmlora.refusals import UnmergedLayer
from ssmlora.state import ForwardPass, Passes

_WITHOUT_AMINMAX = {"cuda"}
"""Devices on which aminmax has no derivative in PyTorch 2.11."""


@dataclass(frozen=True)
class Settings:
    """The settings of one adapter in one layer.

    Attributes:
        key: name of the layer within a forward pass.
        reads: keys of the layers before this one on its axis, nearest first.
        writes: whether another layer follows on its axis.
    """

    scaling: float
    lora_dropout: float
    state_dropout: float
    epsilon: float
    detach: bool
    stateful: bool
    key: str = ""
    reads: tuple[str, ...] = ()
    writes: bool = False

    @property
    def linked(self) -> bool:
        """Whether the layer reads a state or another layer reads its state."""
        return bool(self.reads) or self.writes


class SSMLoraLayer(UnmergedLayer):
    """The adapter weights of a linear layer, by adapter name.

    In row vectors, as in the paper, with x (..., d_in) and h (..., r):

        u = x W_a;   z = h W_c + u W_d + h;   s = (z - min z) / (max z - min z + epsilon)
        y = x W0 + scaling * (u + dropout(s)) W_b;   s is the next layer's h

    Parameters are the transposed matrices, as in torch's linear layers: `ssmlora_A` (r, d_in),
    `ssmlora_B` (d_out, r), `ssmlora_C` and `ssmlora_D` (r, r).
    """

    adapter_layer_names = ("ssmlora_A", "ssmlora_B", "ssmlora_C", "ssmlora_D")
    other_param_names = ("settings",)
    merge_refused = (
        "SSMLoRA cannot be merged: its update depends on the input through the min-max of a state, "
        "so no weight matrix equals it. Keep the adapter, or remove it with unload()."
    )

    def __init__(self, base_layer: nn.Module, adapter_name: str) -> None:
        self.base_layer = base_layer
        self.ssmlora_A = nn.ParameterDict()
        self.ssmlora_B = nn.ParameterDict()
        self.ssmlora_C = nn.ParameterDict()
        self.ssmlora_D = nn.ParameterDict()
        self.settings: dict[str, Settings] = {}
        self.passes: Passes | None = None
        self.cast_input_dtype_enabled = True
        self._disable_adapters = False
        self.merged_adapters: list[str] = []
        self._active_adapter: str | list[str] = adapter_name
        self.in_features, self.out_features = features(self.get_base_layer())

    def update_layer(self, adapter_name: str, config: SSMLoraConfig, stateful: bool) -> None:
        """Add an adapter: with W_c and W_d if `stateful`, otherwise a plain low-rank pair."""
        r = config.r
        self.settings[adapter_name] = Settings(
            scaling=config.scaling,
            lora_dropout=config.lora_dropout,
            state_dropout=config.state_dropout,
            epsilon=1e-8 if config.epsilon is None else config.epsilon,
            detach=config.detach_state,
            stateful=stateful,
        )
        self.ssmlora_A[adapter_name] = nn.Parameter(torch.empty(r, self.in_features))
        self.ssmlora_B[adapter_name] = nn.Parameter(torch.empty(self.out_features, r))
        if stateful:
            self.ssmlora_C[adapter_name] = nn.Parameter(torch.empty(r, r))
            self.ssmlora_D[adapter_name] = nn.Parameter(torch.empty(r, r))
        self.reset_parameters(adapter_name, config.init)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def reset_parameters(self, adapter_name: str, init: str) -> None:
        """Initialise the matrices of an adapter. W_b = 0: the model starts as the base model."""
        a, b = self.ssmlora_A[adapter_name], self.ssmlora_B[adapter_name]
        stateful = self.settings[adapter_name].stateful
        if init == "lora_scale" or not stateful:
            nn.init.kaiming_uniform_(a, a=math.sqrt(5))  # as LoRA: std 1 / sqrt(3 d_in)
        else:
            nn.init.normal_(a, std=a.shape[0] ** -0.5)
        nn.init.zeros_(b)
        if stateful:
            nn.init.zeros_(self.ssmlora_C[adapter_name])
            # With W_d = 0, z is 0 in the first layer, where the min-max has slope 1 / epsilon.
            std = {"paper": 0.0, "small_random": 0.02, "lora_scale": a.shape[0] ** -0.5}[init]
            nn.init.normal_(self.ssmlora_D[adapter_name], std=std)

    def link(self, adapter_name: str, key: str, reads: tuple[str, ...], writes: bool) -> None:
        """Set the key of this layer, the keys that it reads, and whether another layer reads it."""
        self.settings[adapter_name] = dataclasses.replace(
            self.settings[adapter_name], key=key, reads=reads, writes=writes
        )

    def add_update(self, adapter_name: str, x: torch.Tensor, result: torch.Tensor) -> torch.Tensor:
        """result + scaling * (u + dropout(s)) W_b, for x (..., d_in) and result (..., d_out)."""
        settings = self.settings[adapter_name]
        a, b = self.ssmlora_A[adapter_name], self.ssmlora_B[adapter_name]
        autocast = _autocast_is_on(x.device.type)
        if not autocast:
            x = self._cast_input_dtype(x, a.dtype)
        if settings.lora_dropout:
            x = F.dropout(x, settings.lora_dropout, self.training)
        v = F.linear(x, a)
        if settings.stateful:
            # The r x r products are too small for half precision: casting costs more.
            with torch.autocast(x.device.type, enabled=False) if autocast else nullcontext():
                v = self._with_state(adapter_name, settings, v)
        if v.dtype != result.dtype:
            return (result + settings.scaling * F.linear(v, b)).to(result.dtype)
        # addmm scales and adds in one call, without another tensor of the output's width.
        flat = result.reshape(-1, self.out_features), v.reshape(-1, v.shape[-1])
        return torch.addmm(*flat, b.t(), alpha=settings.scaling).view(result.shape)

    def _with_state(self, adapter_name: str, settings: Settings, u: torch.Tensor) -> torch.Tensor:
        """Read h, compute s, store it for the next layer; return u + dropout(s), (..., r)."""
        # At least float32: in half precision, an epsilon of 1e-8 is zero and the min-max is 0 / 0.
        dtype = torch.promote_types(u.dtype, torch.float32)
        c, d = self.ssmlora_C[adapter_name].to(dtype), self.ssmlora_D[adapter_name].to(dtype)
        here = self._pass() if settings.linked else None
        call = 0 if here is None else here.next_call(settings.key)
        h = None if here is None else _read(settings, here, call, u)
        flat = u.to(dtype).reshape(-1, u.shape[-1])
        if h is None and c.requires_grad and torch.is_grad_enabled():
            # Give W_c a gradient of zero: optimizers and distributed training fail without one.
            h = torch.zeros_like(u, dtype=dtype)
        if h is None:
            z = flat @ d.t()
        else:
            h = h.reshape(flat.shape)
            z = torch.addmm(torch.addmm(h, h, c.t()), flat, d.t())
        low, high = _min_max(z)
        s = ((z - low) / (high - low + settings.epsilon)).view(u.shape)
        if settings.writes:
            assert here is not None  # it is linked
            here.states[settings.key, call] = s.detach() if settings.detach else s
        return (u + F.dropout(s, settings.state_dropout, self.training)).to(u.dtype)

    def _pass(self) -> ForwardPass:
        here = self.passes.current() if self.passes is not None else None
        if here is None:
            raise RuntimeError(
                "A linked SSMLoRA layer ran outside a forward pass of its model: call the model, "
                "its encoder or its decoder, not a single block. For gradient checkpointing use "
                "model.gradient_checkpointing_enable(), not torch.utils.checkpoint on a block."
            )
        return here


def _min_max(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The least and the largest entry of each row."""
    if z.device.type in _WITHOUT_AMINMAX:
        return z.amin(-1, keepdim=True), z.amax(-1, keepdim=True)
    low, high = torch.aminmax(z, dim=-1, keepdim=True)
    return low, high


def _autocast_is_on(device: str) -> bool:
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def _read(settings: Settings, here: ForwardPass, call: int, u: torch.Tensor) -> torch.Tensor | None:
    if here.cut and not settings.detach:
        raise RuntimeError(
            "detach_state=False needs gradient checkpointing with use_reentrant=False: reentrant "
            "checkpointing cuts the gradient through the state."
        )
    # Nearest first: a layer that was skipped in this pass (LayerDrop) has no state.
    for key in settings.reads:
        h = here.states.get((key, call))
        if h is not None:
            if h.shape != u.shape:
                raise RuntimeError(
                    f"An SSMLoRA layer with input shape {tuple(u.shape[:-1])} received a state of "
                    f"shape {tuple(h.shape[:-1])}: linked layers must see the same tokens. Put "
                    "these layers in stateless_modules."
                )
            return h.to(u.device)
    return None


class Linear(nn.Module, SSMLoraLayer):
    """A frozen linear layer (or transformers' Conv1D) with SSMLoRA on top."""

    def __init__(
        self, base_layer: nn.Module, adapter_name: str, config: SSMLoraConfig, stateful: bool
    ) -> None:
        super().__init__()
        SSMLoraLayer.__init__(self, base_layer, adapter_name)
        self.update_layer(adapter_name, config, stateful)

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the base layer's output plus the updates of the active adapters, in its dtype."""
        result: torch.Tensor = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters:
            return result
        for name in cast(list[str], self.active_adapters):
            if name in self.settings:
                result = self.add_update(name, x, result)
        return result

    def __repr__(self) -> str:
        """Add the name of the method."""
        return "ssmlora." + super().__repr__()


def features(base_layer: nn.Module) -> tuple[int, int]:
    """Return the input and output width of a linear layer.

    Raises:
        ValueError: the module is not a linear layer.
    """
    if type(base_layer).__name__ == "Conv1D":  # transformers, GPT-2: weight is (d_in, d_out)
        weight: Any = base_layer.weight
        return int(weight.shape[0]), int(weight.shape[1])
    if not (hasattr(base_layer, "in_features") and hasattr(base_layer, "out_features")):
        raise ValueError(f"SSMLoRA adapts linear layers only, not {type(base_layer).__name__}")
    layer: Any = base_layer
    return int(layer.in_features), int(layer.out_features)
