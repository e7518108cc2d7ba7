"""The stack of blocks of an encoder, and running it without some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    import torch


def blocks_of(encoder: nn.Module) -> list[nn.Module]:
    """Return the blocks of the largest stack in order; empty if the model has none."""
    stacks = [module for module in encoder.modules() if isinstance(module, nn.ModuleList)]
    return list(max(stacks, key=_parameters, default=()))


def all_blocks(model: Any) -> list[nn.Module]:
    """Return the blocks of a classifier, a language model, or an adapted one."""
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    return blocks_of(getattr(base, "encoder", base))


def untrained_blocks(encoder: nn.Module, blocks: Sequence[nn.Module]) -> int:
    """Return how many blocks precede the first that is adapted or trained.

    It is 0 if something outside the blocks is trained: that may come before them.
    """
    trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    inside = {parameter for block in blocks for parameter in block.parameters()}
    if not inside.issuperset(trained):
        return 0
    return next((i for i, block in enumerate(blocks) if _adapted(block)), len(blocks))


def lowest_trained_block(model: nn.Module) -> int | None:
    """Return the index of the lowest block with trained parameters: the backward pass stops there.

    0 if something outside the blocks and the head is trained, for example the embeddings, or
    virtual tokens, which enter the lowest block. None if no block is trained.
    """
    inner: Any = model
    while hasattr(inner, "get_base_model"):
        if hasattr(inner, "prompt_encoder"):
            return 0
        inner = inner.get_base_model()
    encoder = getattr(inner, "encoder", None) or getattr(inner, "base_model", inner)
    blocks = blocks_of(encoder)
    count = untrained_blocks(encoder, blocks)
    return None if count == len(blocks) else count


@contextmanager
def replaced(
    blocks: Sequence[nn.Module], function: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[None]:
    """Run `function` of the hidden states instead of each of the blocks."""

    def forward(hidden_states: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return function(hidden_states)

    for block in blocks:
        block.forward = forward
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def _adapted(block: nn.Module) -> bool:
    adapter = any(hasattr(module, "base_layer") for module in block.modules())
    return adapter or any(parameter.requires_grad for parameter in block.parameters())


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
