"""Frozen weights of 8 and 4 bits, by bitsandbytes."""

from __future__ import annotations

import copy
import math
from typing import Any

from harness.core.levers import Levers

QUANTISED = ("8bit", "4bit")
_BLOCK = 64
"""4-bit weights with one scale."""


def loading(levers: Levers, device: str) -> dict[str, Any]:
    """Return the arguments of `from_pretrained` for 8-bit or 4-bit weights; else none."""
    if levers.weights not in QUANTISED:
        return {}
    return {"quantization_config": _config(levers.weights), "device_map": {"": device}}


def _config(weights: str) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_8bit=weights == "8bit",
        load_in_4bit=weights == "4bit",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def keep_layout(model: Any) -> None:
    """Keep 4-bit weights as they are loaded.

    On processors with AVX-512 BF16, bitsandbytes changes their layout in the first forward pass
    without gradients, and its kernel for the new layout has no backward pass.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def quantise_skeleton(model: Any, weights: str) -> None:
    """Replace the layers of a model without numbers by those that loading would make.

    Args:
        model: a model of transformers on the device `meta`.
        weights: `8bit` or `4bit`.

    Raises:
        ValueError: bitsandbytes is not installed.
    """
    import torch

    try:
        import bitsandbytes as bnb
    except ModuleNotFoundError:
        raise ValueError(f"{weights} weights need bitsandbytes: pip install bitsandbytes") from None
    from transformers.quantizers.auto import AutoHfQuantizer

    quantizer = AutoHfQuantizer.from_config(_config(weights), pre_quantized=False)
    quantizer._process_model_before_weight_loading(model, device_map={"": "meta"})
    for layer in model.modules():
        if isinstance(layer, bnb.nn.Linear4bit):
            size = layer.in_features * layer.out_features
            state = bnb.functional.QuantState(
                absmax=torch.empty(math.ceil(size / _BLOCK), device="meta"),
                shape=torch.Size((layer.out_features, layer.in_features)),
                code=torch.empty(16, device="meta"),
                blocksize=_BLOCK,
                quant_type="nf4",
                dtype=torch.float32,
            )
            packed = torch.empty(((size + 1) // 2, 1), dtype=torch.uint8, device="meta")
            layer.weight = bnb.nn.Params4bit(
                packed, quant_state=state, quant_type="nf4", bnb_quantized=True, module=layer
            )
            layer.quant_state = state
        elif isinstance(layer, bnb.nn.Linear8bitLt):
            shape = (layer.out_features, layer.in_features)
            numbers = torch.empty(shape, dtype=torch.int8, device="meta")
            scales = torch.empty(layer.out_features, device="meta")
            layer.weight = bnb.nn.Int8Params(
                numbers, requires_grad=False, has_fp16_weights=False, CB=numbers, SCB=scales
            )
            layer.state.threshold = 0.0  # how many states are outliers depends on numbers
    quantizer._process_model_after_weight_loading(model)
    keep_layout(model)


def scales(layer: Any) -> list[Any]:
    """Return the tensors that a quantised layer has beside its weights."""
    four, eight = getattr(layer, "quant_state", None), getattr(layer, "state", None)
    found = [getattr(four, "absmax", None), getattr(four, "code", None)]
    found += [getattr(getattr(layer, "weight", None), "SCB", None), getattr(eight, "SCB", None)]
    return [t for t in found if t is not None]


def renew_scales(layer: Any) -> None:
    """Give a quantised layer whose weights were replaced new scales on their device."""
    import torch

    if (state := getattr(layer, "quant_state", None)) is not None:
        layer.quant_state = layer.weight.quant_state = state = copy.copy(state)
        for name in ("absmax", "code"):
            setattr(state, name, torch.empty_like(getattr(state, name), device=layer.weight.device))
    elif hasattr(getattr(layer, "state", None), "has_fp16_weights"):
        weight, state = layer.weight, layer.state
        weight.CB, weight.SCB = weight.data, torch.empty(len(weight), device=weight.device)
        state.CB = state.SCB = None  # taken from the weight in the next forward pass
