"""The time of a step from its work: a sum of four kinds of work, each with its own rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.optimize import nnls

from harness.costs.devices import Device
from harness.costs.shapes import Work

UTILISATION = 0.5
"""Share of its data sheet's rates that a device is assumed to reach. Not measured."""

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

    `error` is None where the rates are not measured.
    """

    seconds: tuple[float, ...]
    error: float | None = None

    def time(self, work: Work) -> float:
        """Return the seconds of a step."""
        return float(np.dot(_amounts(work), self.seconds))


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
    """Return the rates of a device's data sheet; None for a size of memory alone."""
    peak, moved = device.flops_per_s.get(dtype), device.bytes_per_s
    if not peak or not moved:
        return None
    product = 1 / (UTILISATION * peak)
    return Rates((product, product, 1 / (UTILISATION * moved), 0.0))


def _amounts(work: Work) -> list[float]:
    return [work.matmul_flops, work.attention_flops, work.moved_bytes, work.operators]
