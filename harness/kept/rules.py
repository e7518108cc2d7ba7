"""Which trained models a run keeps."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.core.card import KeptModel, Rule, read_kept
from harness.core.cell import Cell
from harness.core.folder import CHECKPOINTS, KEPT
from harness.core.methods import BASELINES, FULL

_FLOAT = 4
"""Bytes of a trained weight."""
_IN_CHECKPOINT = 3
"""Numbers of a checkpoint for each trained weight: the weight, and two of AdamW."""


@dataclass(frozen=True)
class Keeping:
    """What a run keeps beside its results.

    Attributes:
        folder: absolute path of the run folder.
        rule: which trained models are kept: the best of an arm, task and length, all, or none.
        full: whether models of full fine-tuning are kept too.
        checkpoint_seconds: between two checkpoints of a cell in training; 0: none are written.
    """

    folder: Path
    rule: Rule = "best"
    full: bool = False
    checkpoint_seconds: float = 0.0

    def keeps(self, cell: Cell) -> bool:
        """Whether the model of a cell is saved when the cell is done."""
        trains = cell.kind == "train" and cell.method not in BASELINES
        return trains and self.rule != "none" and (self.full or cell.method != FULL)

    def model(self, cell_id: str) -> Path:
        """Return the folder of a cell's model."""
        return self.folder / KEPT / cell_id

    def checkpoint(self, cell_id: str) -> Path:
        """Return the file of a cell's checkpoint."""
        return self.folder / CHECKPOINTS / f"{cell_id}.safetensors"

    def forget(self, cell_id: str) -> None:
        """Remove the checkpoint of a cell that is done."""
        self.checkpoint(cell_id).unlink(missing_ok=True)


class Best:
    """Keeps the model with the lowest validation loss of each arm, task and length.

    A worse model is removed when a better one is complete in the folder, so a run can be killed at
    any time. Models of the rule `all` are never removed.
    """

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self._best: dict[str, KeptModel] = {}
        for model in read_kept(keeping.folder)[0]:
            self._enter(model)

    def add(self, cell_id: str) -> None:
        """Compare the model of a cell, if it has one, with the best one before it."""
        for model in read_kept(self._keeping.folder, [cell_id])[0]:
            self._enter(model)

    def _enter(self, model: KeptModel) -> None:
        if model.rule != "best":
            return
        rival = self._best.setdefault(model.group, model)
        if rival.id == model.id:
            return
        better, worse = (model, rival) if _loss(model) < _loss(rival) else (rival, model)
        self._best[model.group] = better
        remove_model(self._keeping.model(worse.id))


def _loss(model: KeptModel) -> float:
    return math.inf if model.validation_loss is None else model.validation_loss


def remove_model(folder: Path) -> None:
    """Remove the folder of a model, so that no reader finds a part of it."""
    aside = staging(folder.with_name(f"{folder.name}-old"))
    folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def staging(folder: Path) -> Path:
    """Return a folder of this process beside the folder of a model; the next run removes it."""
    return folder.with_name(f"{folder.name}.{os.getpid()}.tmp")


def kept_bytes(
    cells: Iterable[Cell], keeping: Keeping, parameters: Mapping[str, tuple[int, int]]
) -> int:
    """Return about how many bytes the kept models of a sweep take.

    Args:
        cells: of the sweep.
        keeping: the rule.
        parameters: by the id of a cell, trainable and all parameters.
    """
    sizes: dict[str, int] = {}
    for cell in cells:
        if cell.id in parameters and keeping.keeps(cell):
            trained, every = parameters[cell.id]
            key = cell.id if keeping.rule == "all" else KeptModel.group_of(cell)
            sizes[key] = _FLOAT * (every if cell.method == FULL else trained)
    return sum(sizes.values())


def checkpoint_bytes(trained: Iterable[int], workers: int) -> int:
    """Return about how many bytes the checkpoints of a run take at one time, at most.

    Args:
        trained: trainable parameters of the cells that write checkpoints.
        workers: cells at a time.
    """
    largest = sorted(trained, reverse=True)[:workers]
    return _FLOAT * _IN_CHECKPOINT * sum(largest)
