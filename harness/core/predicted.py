"""What the cells of a run were predicted to cost: `predictions.json` of a run folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.core.values import Amount, Count, Text

PREDICTED = "predictions.json"


class Predicted(BaseModel):
    """The predicted cost of a cell. Values are None where they were not predicted."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    train_live_peak_bytes: Count = None
    eval_live_peak_bytes: Count = None
    parts: dict[str, Count] = {}
    """Live bytes at the peak of the training step, by part (`LIVE_PARTS`)."""
    resident_bytes: Count = None
    """Estimated resident peak of the process, with the interpreter and libraries."""
    train_flops: Count = None
    eval_flops: Count = None
    trainable_params: Count = None
    head_params: Count = None
    """Of the classifier; `trainable_params` includes them."""
    total_params: Count = None
    train_step_s: Amount = None
    eval_step_s: Amount = None
    """Seconds of a training step and of a forward pass on a full-length batch."""
    cell_s: Amount = None
    """Seconds of the whole cell."""
    result_bytes: Count = None
    """Size of its files, roughly."""
    reason: Text = None
    """Why nothing was predicted."""


class PredictedRun(BaseModel):
    """The content of `predictions.json`."""

    model_config = ConfigDict(extra="ignore")

    versions: dict[str, Text] = {}
    device: Text = None
    """A device other than this machine."""
    time_error: Amount = None
    """Relative error of times in the calibration: nine of ten points are within it."""
    cells: dict[str, Predicted] = {}
    """By the id of the cell."""

    def updated(self, newer: PredictedRun) -> PredictedRun:
        """Return newer predictions, with those of this file for other cells."""
        cells = self.cells | newer.cells
        return newer.model_copy(update={"cells": dict(sorted(cells.items()))})

    def only(self, ids: Iterable[str]) -> PredictedRun:
        """Return the predictions of some cells."""
        cells = {i: self.cells[i] for i in sorted(ids) if i in self.cells}
        return self.model_copy(update={"cells": cells})

    @property
    def text(self) -> str:
        """The content of the file."""
        return self.model_dump_json(indent=1, exclude_none=True) + "\n"


def read_predicted(path: Path) -> PredictedRun:
    """Read a file of predictions; an empty one where there is none or it cannot be used."""
    try:
        return PredictedRun.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return PredictedRun()
