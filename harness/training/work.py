"""Counting what the operators of a step do: floating-point operations and bytes moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import (
    flop_registry,
    sdpa_backward_flop,
    sdpa_flop,
    shape_wrapper,
)

_aten = torch.ops.aten


@dataclass
class Work:
    """What the operators of a step do.

    Attributes:
        matmul_flops: floating-point operations of matrix products, without attention kernels.
        attention_flops: those of attention kernels.
        moved_bytes: bytes that all other operators read and write.
        operators: number of operators.
    """

    matmul_flops: int = 0
    attention_flops: int = 0
    moved_bytes: int = 0
    operators: int = 0

    @property
    def flops(self) -> int:
        """All floating-point operations, as PyTorch's counter has them."""
        return self.matmul_flops + self.attention_flops


def count_work(run: Callable[[], Any]) -> Work:
    """Run a function and return what its operators did."""
    counter = WorkCounter()
    with counter:
        run()
    return counter.work


def _forward_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop(query, key, value))


def _backward_flops(grad: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop(grad, query, key, value))


_ATTENTION: dict[Any, Any] = {
    packet: formula for packet, formula in flop_registry.items() if "attention" in str(packet)
} | {  # PyTorch has no formula for the attention kernel of CPUs
    _aten._scaled_dot_product_flash_attention_for_cpu: shape_wrapper(_forward_flops),  # type: ignore[no-untyped-call]
    _aten._scaled_dot_product_flash_attention_for_cpu_backward: shape_wrapper(_backward_flops),  # type: ignore[no-untyped-call]
}


class WorkCounter(TorchDispatchMode):
    """Counts each operator, with the formulas of PyTorch's counter of FLOPs.

    PyTorch's counter splits every composite operator into its parts. That would change the memory
    of a training step (the backward pass of SiLU). Here it happens in inference mode only, where
    matrix products arrive as composite operators.

    Attributes:
        work: what was counted.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work = Work()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and count it."""
        kwargs = kwargs or {}
        packet, work = func._overloadpacket, self.work
        attention = _ATTENTION.get(packet)
        product = None if attention else flop_registry.get(packet)
        if torch.is_inference_mode_enabled() and not (attention or product) and _has_parts(func):
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        work.operators += 1
        if attention:
            given = _same_heads(args) if "scaled_dot_product" in str(packet) else args
            work.attention_flops += int(attention(*given, **kwargs, out_val=result))
        elif product:
            work.matmul_flops += int(product(*args, **kwargs, out_val=result))
        elif not func.is_view:
            work.moved_bytes += sum(map(_bytes, tree_leaves((args, kwargs, result))))
        return result


def _same_heads(args: tuple[Any, ...]) -> list[Any]:
    """Arguments (batch, heads, tokens, width) in which key and value have the heads of the query.

    The kernels of a GPU take fewer heads of key and value (grouped-query attention); the formulas
    of PyTorch 2.11 do not.
    """
    shapes = [arg.shape for arg in args if isinstance(arg, torch.Tensor) and arg.dim() == 4]
    heads = max((shape[1] for shape in shapes), default=0)
    return [
        arg.new_empty((len(arg), heads, *arg.shape[2:]), device="meta")
        if isinstance(arg, torch.Tensor) and arg.dim() == 4
        else arg
        for arg in args
    ]


def _bytes(value: Any) -> int:
    """Bytes of a tensor; sparse ones have no size of their own."""
    dense = isinstance(value, torch.Tensor) and value.layout == torch.strided
    return int(value.nbytes) if dense else 0


def _has_parts(func: Any) -> bool:
    return func is not torch.ops.prim.device.default
