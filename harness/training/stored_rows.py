"""Rows that the cells of a run share (`harness.system.store`): encoded texts and hidden states."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from io import FileIO
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch

from harness.system.store import run_store
from tasks import Example, TaskMetadata
from tasks.lib.encoding import Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def shared_rows(
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerBase,
    length: int,
    metadata: TaskMetadata,
) -> list[Row]:
    """Encode examples, or read what another cell of the run encoded. Arguments as for `encode`."""
    store, made = run_store(), list[Row]()
    if store is None:
        return metadata.task_type.encode(examples, tokenizer, length, metadata)

    def write(file: BinaryIO) -> None:
        made.extend(metadata.task_type.encode(examples, tokenizer, length, metadata))
        file.write(json.dumps(made, default=int).encode())

    known = [metadata.model_dump(mode="json"), tokenizer.name_or_path, length, examples]
    digest = hashlib.sha256(json.dumps(known, default=repr).encode()).hexdigest()
    path = store.file(f"texts-{digest}", 0, write)
    if made or path is None:
        return made or metadata.task_type.encode(examples, tokenizer, length, metadata)
    return [
        Row(ids, types, (text, other), cut, start)
        for ids, types, (text, other), cut, start in json.loads(path.read_bytes())
    ]


class StateRows:
    """Stored states in a file of float32: a row has one state for each token, or one in all.

    Args:
        file: the content; read at each access, since mapped pages would count as memory in use.
        ends: where in the file rows begin, and where the last one ends, in bytes.
        width: numbers of a state.
        summarised: whether a row has one state in all.
    """

    def __init__(
        self, file: FileIO, ends: np.ndarray[Any, Any], width: int, summarised: bool
    ) -> None:
        self._file, self._ends = file, ends
        self._width, self._summarised = width, summarised

    def padded(self, rows: Sequence[int], tokens: int) -> torch.Tensor:
        """Return the states of rows, of shape (rows, tokens, width) or (rows, width)."""
        shape = (len(rows), 1 if self._summarised else tokens, self._width)
        states = torch.zeros(shape)
        for states_of_row, row in zip(states.numpy(), rows, strict=True):
            begin, end = self._ends[row : row + 2].tolist()
            content = memoryview(states_of_row).cast("B")[: end - begin]
            os.preadv(self._file.fileno(), [content], begin)
        return states[:, 0] if self._summarised else states
