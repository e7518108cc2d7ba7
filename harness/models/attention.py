"""Attention kernels by name, as transformers takes them."""

from __future__ import annotations

from typing import Any

from harness.models.architectures import attention_of, model_class

_NAMES = {"flex": "flex_attention"}
_SDPA_KINDS = {
    "math": "MATH",
    "flash": "FLASH_ATTENTION",
    "efficient": "EFFICIENT_ATTENTION",
    "cudnn": "CUDNN_ATTENTION",
}


def implementation(attention: str | None, kind: Any, config: Any) -> str:
    """Return transformers' name of an attention kernel; None: the default of the model.

    The kinds of sdpa are registered as kernels of their own. So they also hold where a block is run
    again in the backward pass.

    Raises:
        ValueError: the model does not take its attention kernel from transformers' registry.
    """
    if attention is None:
        return attention_of(kind, config)
    if attention not in _SDPA_KINDS:
        return _NAMES.get(attention, attention)
    model = model_class(kind, config)
    if not (model._supports_sdpa and model._supports_attention_backend):
        raise ValueError(
            f"{model.__name__} has its own attention code, without the kinds of sdpa: use eager or "
            f"sdpa"
        )
    return _registered(attention)


def _registered(attention: str) -> str:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    backend = getattr(SDPBackend, _SDPA_KINDS[attention])

    def forward(*args: Any, **kwargs: Any) -> Any:
        with sdpa_kernel(backend):
            return sdpa_attention_forward(*args, **kwargs)

    # transformers looks for a package if a name contains "flash".
    name = f"sdpa_{attention}".replace("flash", "fused")
    AttentionInterface.register(name, forward)
    AttentionMaskInterface.register(name, sdpa_mask)
    return name
