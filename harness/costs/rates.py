"""The time of a step from its work: a sum of four kinds of work, each with its own rate.

Of a GPU that is known from its data sheet only, it is that sum for the GPU, or the time in which
the host launches the operators, whichever is longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.optimize import nnls

from harness.costs.devices import Device
from harness.costs.shapes import Work

LAUNCH = 5e-6
"""Seconds in which the host launches an operator of a training step, measured beside one H200
(docs/log/2026-11-29-first-gpu-slice.md). Those of a forward pass alone take twice as long."""

Clock = Literal["wall", "cpu"]


class Point(BaseModel):
    """A measured step: its work, and its seconds of the wall clock and of the processor."""

    model_config = ConfigDict(frozen=True)

    work: Work
    wall: float
    cpu: float


class Calibration(BaseModel):
    """The measured steps of a machine."""

    model_config = ConfigDict(frozen=True)

    points: list[Point]


@dataclass(frozen=True)
class Rates:
    """Seconds for a unit of each kind of work, and the relative error of the times.

    Attributes:
        seconds: for a unit of each kind of work.
        error: relative error of the times; None where the rates are not measured.
        launch: seconds of the host for an operator, while the device does earlier ones.
    """

    seconds: tuple[float, ...]
    error: float | None = None
    launch: float = 0.0

    def time(self, work: Work) -> float:
        """Return the seconds of a step."""
        return max(float(np.dot(_amounts(work), self.seconds)), self.launch * work.operators)


def fitted(points: Sequence[Point], clock: Clock = "wall") -> Rates:
    """Fit rates to measured steps, so that the sum of squared relative errors is smallest.

    The error is that of points left out of the fit, one at a time: nine of ten are within it.
    """
    work = np.array([_amounts(p.work) for p in points])
    seconds = np.array([getattr(p, clock) for p in points])
    rows = work / seconds[:, None]

    def solved(used: np.ndarray) -> np.ndarray:
        scale = rows[used].max(axis=0)
        scale[scale == 0] = 1
        values, _ = nnls(rows[used] / scale, np.ones(int(used.sum())))
        return np.asarray(values / scale)

    error = None
    if len(points) > work.shape[1]:
        others = ~np.eye(len(points), dtype=bool)
        errors = [abs(rows[i] @ solved(used) - 1) for i, used in enumerate(others)]
        error = float(np.quantile(errors, 0.9))
    return Rates(tuple(solved(np.ones(len(points), dtype=bool)).tolist()), error)


def roofline(device: Device, dtype: str) -> Rates | None:
    """Return the rates of a device's data sheet; None for a size of memory alone.

    Products are slower than the data sheet has it, and operators find a part of their bytes in
    caches. On one H200 the two errors were about equal.
    """
    peak, moved = device.flops_per_s.get(dtype), device.bytes_per_s
    if not peak or not moved:
        return None
    return Rates((1 / peak, 1 / peak, 1 / moved, 0.0), launch=LAUNCH)


def _amounts(work: Work) -> list[float]:
    return [work.matmul_flops, work.attention_flops, work.moved_bytes, work.operators]
