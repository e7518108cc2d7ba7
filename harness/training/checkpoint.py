"""Checkpoints of a cell in training: with one, the cell continues after its process was killed.

A checkpoint is one file of safetensors: trained weights, state of the optimizer, and states of
the random generators. Its header holds all that is not a tensor as JSON.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from harness.core.cell import Cell
from harness.core.errors import one_line
from harness.core.result import CurvePoint
from harness.system.machine import describe_machine
from harness.training.meter import Rate, Stopwatch

_FORMAT = 1
_STATE = "state"
_MACHINE = ("cpu", "gpu", "torch", "transformers", "peft")
"""What must be the same to continue: with another of these, rounding may differ."""

_Tensors = dict[str, torch.Tensor]


@dataclass
class Progress:
    """How far training has come.

    Attributes:
        step: optimizer steps that are done.
        curve: validations.
        losses: of the steps since the last validation.
        rate: tokens and seconds of each step.
        peak: memory of training, in bytes; 0 where it is unknown.
    """

    step: int = 0
    curve: list[CurvePoint] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    rate: Rate = field(default_factory=Rate)
    peak: int = 0


@dataclass
class Training:
    """All that changes while a cell trains."""

    cell: Cell
    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    watch: Stopwatch
    progress: Progress = field(default_factory=Progress)


class Checkpoints:
    """The checkpoint of a cell, in one file.

    Args:
        path: the file; its folder is made.
        seconds: between two checkpoints, at least.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._last = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() - self._last >= self._seconds

    @property
    def exists(self) -> bool:
        """Whether the cell has a checkpoint."""
        return self._path.is_file()

    def write(self, training: Training) -> None:
        """Replace the checkpoint. Without room on the disk the earlier one stays."""
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(exist_ok=True)
            tensors: _Tensors = {}
            state = _plain(_content(training), _STATE, tensors)
            save_file(_unshared(tensors), part, {_STATE: json.dumps(state)})
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(self._path)
        except (OSError, SafetensorError) as error:
            _say(f"no checkpoint at step {training.progress.step}: {one_line(error)}")
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        self._last = time.monotonic()

    def restore(self, training: Training) -> None:
        """Continue from the checkpoint, if there is one that fits."""
        if not self.exists:
            return
        try:
            content = _read(self._path)
            _check(content, training)
        except Exception as error:  # a damaged file may be anything
            _say(f"training starts anew: the checkpoint cannot be used: {one_line(error)}")
            return
        _apply(content, training)
        _say(f"training continues after step {training.progress.step}")


def _content(training: Training) -> dict[str, Any]:
    watch, progress = training.watch, training.progress
    return {
        **_identity(training.cell),
        "weights": {name: tensor.detach() for name, tensor in _changing(training.model)},
        "optimizer": training.optimizer.state_dict(),
        "schedule": training.schedule.state_dict(),
        "random": _random_state(training.cell.device),
        "seconds": dict(watch.seconds),
        "wall": watch.wall,
        "progress": {
            "step": progress.step,
            "curve": [point.model_dump(exclude_unset=True) for point in progress.curve],
            "losses": progress.losses,
            "tokens": torch.tensor(progress.rate.tokens),
            "seconds": torch.tensor(progress.rate.seconds, dtype=torch.float64),
            "peak": progress.peak,
        },
    }


def _identity(cell: Cell) -> dict[str, Any]:
    machine = describe_machine()
    gpu = torch.cuda.get_device_name() if cell.device == "cuda" else None
    return {
        "format": _FORMAT,
        "id": cell.id,
        "machine": {name: {**machine, "gpu": gpu}.get(name) for name in _MACHINE},
    }


def _changing(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of a model that training may change."""
    yield from ((n, p) for n, p in model.named_parameters() if p.requires_grad)
    yield from model.named_buffers()


def _check(content: dict[str, Any], training: Training) -> None:
    """Check that a checkpoint is of this cell, machine and model.

    Raises:
        ValueError: it is not.
    """
    for name, value in _identity(training.cell).items():
        if content.get(name) != value:
            raise ValueError(f"{name} is {content.get(name)}, not {value}")
    shapes = {name: tensor.shape for name, tensor in _changing(training.model)}
    if {name: tensor.shape for name, tensor in content["weights"].items()} != shapes:
        raise ValueError("its weights are not those of the model")


def _apply(content: dict[str, Any], training: Training) -> None:
    training.optimizer.load_state_dict(content["optimizer"])
    with torch.no_grad():
        for name, tensor in _changing(training.model):
            tensor.copy_(content["weights"][name])
    training.schedule.load_state_dict(content["schedule"])
    for name, seconds in content["seconds"].items():
        if name in ("train", "eval"):  # this process has loaded model and data itself
            training.watch.seconds[name] += seconds
    training.watch.earlier = content["wall"]
    known = content["progress"]
    training.progress = Progress(
        step=known["step"],
        curve=[CurvePoint.model_validate(point) for point in known["curve"]],
        losses=known["losses"],
        rate=Rate(known["tokens"].tolist(), known["seconds"].tolist()),
        peak=known["peak"],
    )
    _set_random_state(content["random"])


def _random_state(device: str) -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if device == "cuda" else [],
    }


def _set_random_state(state: dict[str, Any]) -> None:
    kind, keys, *rest = state["numpy"]
    random.setstate(state["python"])
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


def _plain(value: Any, name: str, tensors: _Tensors) -> Any:
    """Return a value in a form for JSON. Its tensors are moved to `tensors`, under a name each."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[k, _plain(v, f"{name}.{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        items = [_plain(item, f"{name}.{place}", tensors) for place, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    return value.item() if isinstance(value, np.generic) else value


def _unshared(tensors: _Tensors) -> _Tensors:
    """Return the tensors in the form that safetensors asks for: contiguous, each with a storage."""
    found: _Tensors = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone() if place in storages else tensor
        found[name] = found[name].contiguous()
        storages.add(place)
    return found


def _value(plain: Any, tensors: _Tensors) -> Any:
    """Return the value that `_plain` was given."""
    if isinstance(plain, list):
        return [_value(item, tensors) for item in plain]
    if not isinstance(plain, dict):
        return plain
    ((kind, content),) = plain.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_value(item, tensors) for item in content)
    return {key: _value(item, tensors) for key, item in content}


def _read(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        state = json.loads(file.metadata()[_STATE])
    content = _value(state, tensors)
    if not isinstance(content, dict):
        raise ValueError("it has no state")
    return content


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
