"""The content of a result file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field, model_validator

from harness.core.cell import PROTOCOL_VERSION, Cell
from harness.core.format1 import upgrade
from harness.core.result.evaluation import OK, Evaluation, Failure, Status
from harness.core.result.parts import (
    Cost,
    CurvePoint,
    DataInfo,
    Environment,
    ErrorInfo,
    ModelInfo,
    Part,
    Seconds,
)
from harness.core.result.scores import Predictions, Scores
from harness.core.timing import Timing
from harness.core.values import Count

FORMAT = 2
"""Version of the result file. Readers accept every version up to this one."""


class CellResult(Part):
    """The content of `cells/<id>.json`."""

    format: int = FORMAT
    protocol: Count = PROTOCOL_VERSION
    id: str
    kind: Literal["train", "probe"]
    status: Status = "error"
    arm: str
    cell: Cell
    model: ModelInfo | None = None
    data: DataInfo | None = None
    scores: Scores | None = None
    curve: list[CurvePoint] = Field(default=[])
    cost: Cost | None = None
    timing: Timing | None = None
    seconds: Seconds = Seconds()
    predictions: Predictions | None = None
    evaluations: list[Evaluation] = Field(default=[])
    environment: Environment = Environment()
    error: ErrorInfo | None = None

    @model_validator(mode="before")
    @classmethod
    def _upgraded(cls, data: Any) -> Any:
        return upgrade(data, FORMAT) if isinstance(data, dict) else data

    @property
    def ok(self) -> bool:
        """Whether the cell ended without a failure."""
        return self.status == OK

    @property
    def statuses(self) -> set[str]:
        """The status of the cell and those of its evaluations."""
        return {self.status, *(one.status for one in self.evaluations)}

    @classmethod
    def begun(cls, cell: Cell, machine: dict[str, Any] | None = None) -> CellResult:
        """Return the result of a cell that is about to run; its status is `error` until it ends."""
        started = datetime.now(UTC).isoformat(timespec="seconds")
        environment = Environment.model_validate({"started": started, **(machine or {})})
        return cls.model_construct(
            id=cell.id, kind=cell.kind, arm=cell.arm, cell=cell, status="error",
            seconds=Seconds(), environment=environment, curve=[], evaluations=[],
        )  # fmt: skip

    @classmethod
    def failed(
        cls, cell: Cell, machine: dict[str, Any] | None, failure: Failure, seconds: float
    ) -> CellResult:
        """Return the result of a cell whose process ended without one. Logs are named by id."""
        result = cls.begun(cell, machine)
        result.status = failure.status
        result.error = ErrorInfo(
            type=failure.kind, message=failure.message, log=f"logs/{cell.id}.log"
        )
        result.seconds = Seconds(wall=seconds)
        return result
