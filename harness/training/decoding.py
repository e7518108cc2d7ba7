"""How a language model is used: prefill and decoding with a KV cache, unmerged and merged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from warnings import catch_warnings, simplefilter

import torch

from harness.core.cell import Cell
from harness.core.errors import one_line
from harness.training.evaluate import autocast


class Use:
    """Reads a prompt into a KV cache, then decodes tokens greedily.

    The state of SSMLoRA runs over layers and not over tokens, so it is no part of the cache.

    Attributes:
        merges: whether PEFT can merge the adapter into the weights.
        merge_note: why it cannot; None also for a model without an adapter.
    """

    def __init__(self, model: Any, cell: Cell, prompt: torch.Tensor) -> None:
        self._model, self._cell, self._prompt = model, cell, prompt
        # Virtual tokens of a prompt method are in the cache after the prefill, and the wrapper
        # would add them again.
        self._inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        keep = getattr(self._inner, "_supports_logits_to_keep", None)
        self._last = {"logits_to_keep": 1} if keep is not None and keep() else {}
        self._cache: Any = None
        self._next = prompt[:, :1]
        self.merges = False
        self.merge_note: str | None = None

    def prepare(self) -> dict[str, Any]:
        """Do every step once, untimed; return fields of `Cost`.

        Raises:
            ValueError: the model keeps no KV cache.
        """
        self.prefill()
        size = cache_bytes(self._cache)
        self.decode()
        if hasattr(self._model, "peft_config"):
            self.merge_note = merge_refusal(self._model)
            self.merges = self.merge_note is None
        return {"kv_cache_bytes": size, "merge_note": self.merge_note}

    def prefill(self) -> torch.Tensor:
        """Read the prompt in one forward pass; return the logits of its last token."""
        return self._read(self._model, self._prompt, **self._last)

    def decode(self) -> torch.Tensor:
        """Decode as many tokens as the cell says, and drop the cache; return the last logits."""
        logits = torch.empty(0)
        for _ in range(self._cell.decode):
            logits = self._read(self._inner, self._next, past_key_values=self._cache)
        self._cache = None
        return logits

    def _read(self, model: Any, ids: torch.Tensor, **inputs: Any) -> torch.Tensor:
        model.eval()
        with torch.inference_mode(), autocast(self._cell):
            output = model(input_ids=ids, use_cache=True, **inputs)
            self._cache = getattr(output, "past_key_values", None)
            logits: torch.Tensor = output.logits[:, -1]
            self._next = logits.argmax(-1, keepdim=True)
        return logits


def cache_bytes(cache: Any) -> int:
    """Return the bytes of all tensors of a KV cache.

    Raises:
        ValueError: there is no KV cache.
    """
    layers = getattr(cache, "layers", None)
    if not layers:
        raise ValueError("the model returns no KV cache, which decoding needs")
    tensors = [value for layer in layers for value in vars(layer).values()]
    return sum(value.nbytes for value in tensors if isinstance(value, torch.Tensor))


@contextmanager
def merged(model: Any) -> Iterator[None]:
    """Within the block, the adapter is merged into the weights.

    Raises:
        Exception: PEFT cannot merge it; each method raises another type.
    """
    try:
        with torch.no_grad():
            model.merge_adapter()
        yield
    finally:
        with torch.no_grad():
            model.unmerge_adapter()


def merge_refusal(model: Any) -> str | None:
    """Return why PEFT cannot merge the adapter of a model; None if it can."""
    if not hasattr(model, "merge_adapter"):
        kind = next(iter(model.peft_config.values())).peft_type.value
        return f"{kind} changes no weights that it could be merged into"
    try:
        with catch_warnings():
            simplefilter("ignore")  # nothing is merged yet
            model.unmerge_adapter()  # an adapter that cannot be unmerged must not be merged
        with merged(model):
            return None
    except Exception as error:  # PEFT has no common type for it
        return one_line(error) or f"PEFT cannot merge it ({type(error).__name__})"
