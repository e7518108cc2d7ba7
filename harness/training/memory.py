"""Memory of one untimed training step and one forward pass: live tensors, and the process.

Live bytes are those of the storages of tensors, each storage once. Unlike resident memory they do
not depend on holes in the heap of the C library, so that arms can be compared by them.
"""

from __future__ import annotations

import ctypes
import gc
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.core.result import LIVE_PARTS
from harness.models.quantised import scales
from harness.training.meter import MemoryMeter

if TYPE_CHECKING:
    from torch import nn

_SAVED = ("saved_attention", "saved_logits", "saved_base", "saved_adapter")
"""Kinds of saved activations. What several operations save counts for the first of these kinds, so
that an adapter counts only with what is saved because of it."""

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # parameters of glibc's mallopt
_KIB, _MIB = 2**10, 2**20


def measure_memory(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    train_step: Callable[[], Any],
    forward: Callable[[], Any],
    meter: MemoryMeter,
) -> dict[str, Any]:
    """Measure the memory of one training step and of one forward pass. Neither is timed.

    Gradients must be None before a step and after it. The state of the optimizer is there during
    the training step and is cleared before the forward pass.

    Args:
        model: its module tree says which saved tensors belong to an adapter, to attention, and to
            head and loss.
        optimizer: the optimizer of `train_step`.
        train_step: does one optimizer step.
        forward: does one forward pass without gradients.
        meter: measures the process, and the allocator on CUDA.

    Returns:
        Fields of `Cost`.
    """
    create_state(optimizer)
    model.train()
    training = _measured(model, optimizer, train_step, meter)
    optimizer.state.clear()
    model.eval()
    evaluation = _measured(model, optimizer, forward, meter)
    return {
        "train_live_peak_bytes": training.peak,
        "train_resident_bytes": training.resident,
        "eval_live_peak_bytes": evaluation.peak,
        "eval_resident_bytes": evaluation.resident,
        **{f"live_{part}_bytes": size for part, size in training.parts.items()},
    }


def create_state(optimizer: torch.optim.Optimizer) -> None:
    """Create the optimizer's state without a training step: the first step has none before it."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


@dataclass(frozen=True)
class _Usage:
    """Peak of live bytes, its parts, and the resident peak above the process's base."""

    peak: int
    parts: dict[str, int]
    resident: int | None


def _measured(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    work: Callable[[], Any],
    meter: MemoryMeter,
) -> _Usage:
    live = live_bytes(model, optimizer, meter.device)
    with fixed_mmap_threshold() as refused:
        meter.reset()
        with live.watching(model):
            work()
        peak = meter.peak()
    if meter.device == "cuda":
        assert peak is not None
        # The allocator also counts what kernels allocate, and rounds sizes up.
        hidden = max(0, peak - live.peak)
        parts = live.parts | {"transient": live.parts["transient"] + hidden}
        return _Usage(live.peak + hidden, parts, None)
    if refused:
        meter.note = meter.note or refused
    known = not refused and peak is not None and meter.base is not None
    return _Usage(live.peak, live.parts, max(0, peak - meter.base) if known else None)  # type: ignore[operator]


def live_bytes(model: nn.Module, optimizer: torch.optim.Optimizer, device: str) -> LiveBytes:
    """Return a counter that knows the weights of a model and the state of its optimizer."""
    live = LiveBytes(device)
    scaled = (scale for layer in model.modules() for scale in scales(layer))
    live.hold([*model.parameters(), *model.buffers(), *scaled], "weights")
    live.hold(
        tree_leaves([list(state.values()) for state in optimizer.state.values()]), "optimizer"
    )
    return live


def _sums_gradients(func: Any) -> bool:
    """Whether autograd may add two gradients of one tensor.

    It adds in place, except under a dispatch mode: there the first is freed after the sum.
    """
    return func is torch.ops.aten.add.Tensor and torch._C._current_graph_task_id() != -1


@dataclass(slots=True)
class _Storage:
    """A live storage; `saves` counts the places where autograd keeps it."""

    reference: weakref.ref[torch.UntypedStorage]
    size: int
    part: str
    saves: int = 0


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of live tensors, and what they hold at the peak.

    It sees the arguments and results of every operator that runs within `watching`, not what a
    kernel allocates and frees inside. `torch.distributed._tools.mem_tracker` is no substitute: it
    fails on frozen parameters.

    Attributes:
        peak: the largest sum of live bytes.
        parts: live bytes by part at the peak; their sum is `peak`.
    """

    def __init__(self, device: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._device = device
        self._live: dict[int, _Storage] = {}
        self._now = dict.fromkeys(LIVE_PARTS, 0)
        self._total = 0
        self._kinds: list[str] = ["saved_base"]
        self.peak = 0
        self.parts = dict(self._now)

    def hold(self, values: Iterable[Any], part: str) -> None:
        """Count tensors that exist already, as `part`."""
        for value in values:
            if found := self._seen(value):
                self._move(found, part)
                self._keep_peak()

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Count within the block; the modules of `model` say of what kind a saved tensor is."""
        kinds = saved_kinds(model)
        self._kinds = [kinds.pop(model)]
        gc.collect()
        with ExitStack() as stack:
            for module, kind in kinds.items():
                enter, leave = self._entering(kind), self._leaving
                stack.callback(module.register_forward_pre_hook(enter).remove)
                stack.callback(module.register_forward_hook(leave, always_call=True).remove)
            for parameter in model.parameters():
                if parameter.requires_grad:
                    hook = parameter.register_post_accumulate_grad_hook(self._accumulated)  # type: ignore[no-untyped-call]
                    stack.callback(hook.remove)
            stack.enter_context(
                torch.autograd.graph.saved_tensors_hooks(self._pack, lambda saved: saved.tensor)
            )
            stack.enter_context(self)
            yield

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and count the storages that it reads and writes."""
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, result)):
            self._seen(value)
        if not _sums_gradients(func):
            self._keep_peak()
        return result

    def _seen(self, value: Any) -> _Storage | None:
        """The storage of a tensor of the device, counted from now on if it is new."""
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
            return None
        storage = value.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if (found := self._live.get(key)) is None:
            if value.device.type != self._device:  # asked rarely: it is an operator of fake tensors
                return None
            reference = weakref.ref(storage, lambda _: self._freed(key))
            found = self._live[key] = _Storage(reference, 0, "transient")
        if size != found.size:  # new, or resized
            self._add(found.part, size - found.size)
            found.size = size
        return found

    def _freed(self, key: int) -> None:
        gone = self._live.pop(key)
        self._add(gone.part, -gone.size)

    def _add(self, part: str, size: int) -> None:
        self._now[part] += size
        self._total += size

    def _move(self, storage: _Storage, part: str) -> None:
        self._now[storage.part] -= storage.size
        self._now[part] += storage.size
        storage.part = part

    def _keep_peak(self) -> None:
        if self._total >= self.peak:
            self.peak, self.parts = self._total, dict(self._now)

    def _accumulated(self, parameter: torch.Tensor) -> None:
        self.hold([parameter.grad], "gradients")

    def _entering(self, kind: str) -> Callable[..., None]:
        return lambda *_: self._kinds.append(kind)

    def _leaving(self, *_: Any) -> None:
        self._kinds.pop()

    def _pack(self, tensor: torch.Tensor) -> _Saved:
        """Autograd saves a tensor: parameters stay weights."""
        storage = self._seen(tensor)
        if storage is None or storage.part in ("weights", "gradients", "optimizer"):
            return _Saved(tensor, None)
        storage.saves += 1
        known = [storage.part] if storage.part in _SAVED else []
        self._move(storage, min(known + self._kinds[-1:], key=_SAVED.index))
        self._keep_peak()  # what the last operator made may have been the peak
        return _Saved(tensor, lambda: self._released(storage))

    def _released(self, storage: _Storage) -> None:
        storage.saves -= 1
        if not storage.saves and storage.reference() is not None:
            self._move(storage, "transient")


class _Saved:
    """A tensor that autograd keeps; `released` is called when autograd drops it."""

    __slots__ = ("released", "tensor")

    def __init__(self, tensor: torch.Tensor, released: Callable[[], None] | None) -> None:
        self.tensor = tensor
        self.released = released

    def __del__(self) -> None:
        if self.released is not None:
            self.released()


def saved_kinds(model: nn.Module) -> dict[nn.Module, str]:
    """The kind of saved activations of the modules that change it; other modules inherit theirs.

    Adapter: an adapted layer without its base layer. Attention: an attention module without its
    linear layers, that is the product of queries, keys and values. Logits: everything outside the
    backbone, that is head and loss. What computes virtual tokens is an adapter too.
    """
    inner: Any = model
    while hasattr(inner, "get_base_model"):
        inner = inner.get_base_model()
    backbone = getattr(inner, getattr(inner, "base_model_prefix", "") or "-", None)
    kinds: dict[nn.Module, str] = {model: "saved_base" if backbone is None else "saved_logits"}
    adapters: set[nn.Module] = set()
    for module in model.modules():
        for prompt in getattr(module, "prompt_encoder", {}).values():
            kinds[prompt] = "saved_adapter"
            adapters |= {*prompt.modules()}
    for module in inner.modules():
        if hasattr(module, "base_layer") and hasattr(module, "adapter_layer_names"):  # of PEFT
            kinds[module], kinds[module.base_layer] = "saved_adapter", "saved_base"
            adapters |= {*module.modules()} - {*module.base_layer.modules()}
    for module in (inner if backbone is None else backbone).modules():
        if module in adapters or module in kinds:
            continue
        if "Attention" in type(module).__name__:
            kinds[module] = "saved_attention"
        elif module is backbone or next(module.parameters(recurse=False), None) is not None:
            kinds[module] = "saved_base"
    return kinds


@contextmanager
def fixed_mmap_threshold(size: int = 64 * _KIB) -> Iterator[str]:
    """Let glibc map every block of `size` bytes or more, so that freeing it returns its pages.

    Otherwise freed tensors leave holes in the heap, which count as resident. glibc cannot return to
    its dynamic threshold: afterwards the threshold is the upper limit of the dynamic one.

    Yields:
        Why it has no effect; empty if it has.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        yield "resident memory of a step needs glibc, whose mallopt fixes the mmap threshold"
        return
    library.mallopt(_MMAP_THRESHOLD, size)
    library.mallopt(_TRIM_THRESHOLD, 2 * size)
    try:
        yield ""
    finally:
        library.mallopt(_MMAP_THRESHOLD, 32 * _MIB)
        library.mallopt(_TRIM_THRESHOLD, 64 * _MIB)
