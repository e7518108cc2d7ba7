"""Where a state lives: in one forward pass of one model, and nowhere else.

The tuner opens a pass before the model runs and closes it afterwards, also after an exception.
Every layer leaves its state under its own key and reads its predecessor's, so that a block that
gradient checkpointing runs a second time reads what it read the first time: the checkpointed
function carries its pass along (`carry`). Passes stand on a stack in a thread-local, because calls
nest and threads interleave (and a ContextVar would break torch.compile's graph).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch

State = torch.Tensor
"""Shape (..., r): one state for each token."""


class Owner:
    """Identifies one adapted model; its layers find their pass by it."""


class Pass:
    """The states of one forward pass, by (adapter, position on the axis)."""

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.states: dict[tuple[str, str], State] = {}


_local = threading.local()


def _stack() -> list[Pass]:
    if not hasattr(_local, "stack"):
        _local.stack = []
    stack: list[Pass] = _local.stack
    return stack


def open_pass(owner: Owner) -> None:
    """Begin a forward pass of this owner's model in this thread."""
    _stack().append(Pass(owner))


def close_pass(owner: Owner) -> None:
    """End the innermost pass of this owner; its states go unless a checkpoint still holds them."""
    stack = _stack()
    while stack:
        if stack.pop().owner is owner:
            return


def current_pass(owner: Owner) -> Pass | None:
    """The innermost open pass of this owner in this thread."""
    for one in reversed(_stack()):
        if one.owner is owner:
            return one
    return None


def carry(owner: Owner, checkpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a checkpointing function so that the second run happens in the pass of the first."""

    def checkpoint_in_pass(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        mine = current_pass(owner)
        if mine is None:
            return checkpoint(function, *args, **kwargs)

        def function_in_pass(*inner_args: Any, **inner_kwargs: Any) -> Any:
            _stack().append(mine)
            try:
                return function(*inner_args, **inner_kwargs)
            finally:
                _stack().pop()

        return checkpoint(function_in_pass, *args, **kwargs)

    checkpoint_in_pass.ssmlora_owner = owner  # type: ignore[attr-defined]
    return checkpoint_in_pass
