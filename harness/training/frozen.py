"""States of the layers that no arm of a cell trains: computed once for all cells of a run.

The blocks below the lowest adapted one are the same in every cell with that lowest block, in every
epoch and in every validation. Their output is stored for each text. If only the head is trained,
what the head reads is stored.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch

from harness.core.errors import one_line
from harness.models.blocks import blocks_of, replaced, untrained_blocks
from harness.models.heads import Classifier
from harness.system.store import Store, run_store
from harness.training.batches import Encoded, padded
from harness.training.evaluate import moved
from harness.training.stored_rows import StateRows

if TYPE_CHECKING:
    from harness.core.cell import Cell

_BYTES = np.dtype(np.float32).itemsize
_TOLERANCE = 1e-5
"""Largest difference between logits with and without stored states."""


def share_states(model: Any, cell: Cell, pin: str, splits: Sequence[Encoded], pad_id: int) -> int:
    """Attach stored states to the splits; return how many blocks are not run any more.

    They are computed if no cell of the run has done so. States are shared if they are exact: in
    float32, without dropout, and if the logits of a batch with stored states are those without.
    Otherwise nothing is attached, and the result is 0.

    Args:
        model: adapted and not yet trained.
        cell: its settings.
        pin: the version of the backbone's files.
        splits: encoded for this model.
        pad_id: token id for padding.
    """
    store = run_store()
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    exact = cell.compute_dtype == "float32" and cell.dropout == 0
    if store is None or not exact or cell.levers.devices > 1 or not isinstance(inner, Classifier):
        return 0
    blocks = blocks_of(inner.encoder)
    count = untrained_blocks(inner.encoder, blocks)
    if not count:
        return 0
    known = [pin, torch.__version__, cell.device, cell.length, count, cell.levers.attention]
    frozen = _Frozen(inner, blocks, count, cell, pad_id)
    model.eval()
    splits = [split for split in splits if len(split)]
    inner.below = blocks[:count]
    try:
        new = [_attach(store, known, frozen, split) for split in splits]
        if any(split.states is None for split in splits):
            reason = "there is no room"
        elif all(
            _same(model, split, cell, pad_id, made)
            for split, made in zip(splits, new, strict=True)
            if made or split is splits[0]
        ):
            return count
        else:
            reason = "the logits with stored states differ"
    except Exception as error:  # any error of the model's code
        reason = one_line(error)
    print(f"states are not shared: {reason}", file=sys.stderr)
    for split in splits:
        split.states = None
    return 0


class _Frozen:
    """The part of a model that is not trained."""

    def __init__(
        self, model: Classifier, blocks: list[Any], count: int, cell: Cell, pad_id: int
    ) -> None:
        self._model, self._cell, self._pad_id = model, cell, pad_id
        self._last = blocks[count:]
        self.summarised = not self._last
        self.width = int(model.config.hidden_size)

    def states(self, data: Encoded) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield rows and their states without padding, longest first."""
        order = sorted(range(len(data)), key=lambda i: -data.width(i))
        with torch.inference_mode():
            for chosen, inputs, _ in padded(data, order, self._cell.batch_size, self._pad_id):
                del inputs["labels"]
                found = self._output(moved(inputs, self._cell.device)).float().cpu()
                rows = [i * data.rows + k for i in chosen for k in range(data.rows)]
                for row, states in zip(rows, found, strict=True):
                    yield row, states if self.summarised else states[: data.ids.size(row)]

    def _output(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        if self.summarised:
            return self._model.summary(**inputs)
        seen: list[torch.Tensor] = []

        def keep(hidden_states: torch.Tensor) -> torch.Tensor:
            seen.append(hidden_states)
            return hidden_states

        with replaced(self._last, keep):
            self._model.summary(**inputs)
        return seen[0]


def _attach(store: Store, known: list[Any], frozen: _Frozen, data: Encoded) -> bool:
    """Attach stored states, or None if there is no room; return whether they are new."""
    sizes = [1] * len(data.ids) if frozen.summarised else data.ids.sizes()
    ends = np.cumsum([0, *sizes]) * frozen.width * _BYTES
    key = f"states-{_digest([*known, frozen.summarised], data)}"
    made: list[bool] = []

    def write(file: BinaryIO) -> None:
        made.append(True)
        _write(frozen, data, ends, file)

    path = store.file(key, int(ends[-1]), write)
    if path is not None:
        file = path.open("rb", buffering=0)
        data.states = StateRows(file, ends, frozen.width, frozen.summarised)
    return bool(made)


def _write(frozen: _Frozen, data: Encoded, ends: np.ndarray[Any, Any], file: BinaryIO) -> None:
    for row, states in frozen.states(data):
        content = states.contiguous().numpy().tobytes()
        if len(content) != ends[row + 1] - ends[row]:
            raise OSError("the model's states are not those of its tokens")
        os.pwrite(file.fileno(), content, int(ends[row]))


def _digest(known: list[Any], data: Encoded) -> str:
    found = hashlib.sha256(json.dumps([*known, data.rows]).encode())
    for row in range(len(data.ids)):
        types = None if data.types is None else data.types[row]
        found.update(json.dumps([data.ids[row], types]).encode())
    return found.hexdigest()


def _same(model: Any, data: Encoded, cell: Cell, pad_id: int, new: bool) -> bool:
    """Whether logits are the same without stored states, of the shortest text.

    In some models the states of a text depend on its padding, so new states are also compared in
    a batch with the longest text.
    """
    order = sorted(range(len(data)), key=data.width)
    for chosen in (order[:1], [order[0], order[-1]])[: 1 + new]:
        _, inputs, _ = next(padded(data, chosen, 2, pad_id))
        inputs = moved(inputs, cell.device)
        with torch.inference_mode():
            stored = model(**inputs).logits
            del inputs["states"]
            plain = model(**inputs).logits
        if not torch.allclose(stored, plain, rtol=0, atol=_TOLERANCE):
            return False
    return True
