"""The states of one forward pass. They exist only during the pass.

A layer stores its state in the current pass, and the next layer on the same axis reads it. Hooks on
the modules that run a stack of blocks open and close passes; the open passes of a thread are a
stack in a thread-local (a ContextVar breaks `torch.compile` with fullgraph=True). Each call of such
a module is a separate pass. Nested calls, two calls of one encoder, exceptions and other threads
therefore never see each other's states. A layer reads only passes of its own model.

A layer may run several times in one pass with different inputs: DeBERTa-v2 with shared keys
projects the tokens and then the relative positions with one layer. Call number n of a layer
reads the state of call number n of an earlier layer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

_thread = threading.local()


States = dict[tuple[str, int], torch.Tensor]
"""States by (key of the layer, number of its call); each of shape (..., r)."""


class ForwardPass:
    """The states of one pass, and how often each layer has run in it.

    `cut` is true during the first run of a reentrant checkpoint, which has no gradients.
    """

    def __init__(
        self,
        passes: Passes,
        module: nn.Module | None = None,
        outer: ForwardPass | None = None,
        states: States | None = None,
        calls: dict[str, int] | None = None,
    ) -> None:
        self.passes = passes
        self.module = module
        self.outer = outer
        self.states: States = {} if states is None else states
        self.calls: dict[str, int] = {} if calls is None else calls
        self.cut = False

    def next_call(self, key: str) -> int:
        """Return the number of the layer's call that begins now, from 0."""
        number = self.calls.get(key, 0)
        self.calls[key] = number + 1
        return number


def current_pass() -> ForwardPass | None:
    """Return the innermost open pass of this thread, of any model."""
    return getattr(_thread, "current", None)


class Passes:
    """The forward passes of one model. A copy of the model (deepcopy, pickle) has its own."""

    def __init__(self) -> None:
        self._handles: list[Any] = []

    def current(self) -> ForwardPass | None:
        """Return the innermost open pass of this model in this thread."""
        here = current_pass()
        while here is not None and here.passes is not self:
            here = here.outer
        return here

    def watch(self, runners: Mapping[nn.Module, Sequence[nn.Module]]) -> None:
        """Open a forward pass at each call of these modules, and of no others.

        Args:
            runners: modules that run a stack of blocks, directly or through their children, each
                with the modules that transformers may run under gradient checkpointing.
        """
        for handle in self._handles:
            handle.remove()
        self._handles = []
        for module, blocks in runners.items():
            opening = _Open(self, tuple(blocks))
            self._handles.append(module.register_forward_pre_hook(opening, prepend=True))
            self._handles.append(module.register_forward_hook(_close, always_call=True))


class _Open:
    """Forward pre-hook. A class, because models with closures cannot be copied or pickled."""

    def __init__(self, passes: Passes, blocks: tuple[nn.Module, ...]) -> None:
        self.passes = passes
        self.blocks = blocks

    def __call__(self, module: nn.Module, args: Any) -> None:
        if module.training:
            for block in self.blocks:
                if getattr(block, "gradient_checkpointing", False):
                    _carry_state(block, self.passes)
        _thread.current = ForwardPass(self.passes, module, current_pass())


def _close(module: nn.Module, args: Any, output: Any) -> None:
    entered = current_pass()
    # Passes that are still open inside this one ended without hooks (KeyboardInterrupt).
    while entered is not None and entered.module is not module:
        entered = entered.outer
    if entered is not None:
        _thread.current = entered.outer


def _carry_state(block: nn.Module, passes: Passes) -> None:
    function = getattr(block, "_gradient_checkpointing_func", None)
    if isinstance(function, _Carried):
        if function.passes is passes:
            return
        function = function.checkpoint  # of an adapter that was unloaded
    if function is not None:
        setattr(block, "_gradient_checkpointing_func", _Carried(passes, function))  # noqa: B010


class _Carried:
    """A checkpoint function whose recomputation reads the same states as its first run.

    The recomputation runs during the backward pass, in another order, after the forward pass has
    ended and possibly in another thread. It gets a pass with a copy of the states at the entry of
    the block, so it cannot see states of later layers or of other forward passes.
    """

    def __init__(self, passes: Passes, checkpoint: Callable[..., Any]) -> None:
        self.passes = passes
        self.checkpoint = checkpoint

    def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        live = self.passes.current()
        if live is None:
            return self.checkpoint(function, *args, **kwargs)
        states, calls = dict(live.states), dict(live.calls)
        with_gradients = torch.is_grad_enabled()
        first = True

        def run(*args: Any, **kwargs: Any) -> Any:
            nonlocal first
            before = current_pass()
            if first:
                first = False
                here = live
            else:
                here = ForwardPass(self.passes, None, before, dict(states), dict(calls))
            _thread.current, was_cut = here, here.cut
            here.cut = was_cut or (with_gradients and not torch.is_grad_enabled())
            try:
                return function(*args, **kwargs)
            finally:
                _thread.current, here.cut = before, was_cut

        return self.checkpoint(run, *args, **kwargs)
