"""The outcome of a cell: one typed model, written and read by the same classes."""

from __future__ import annotations

from harness.core.result.cell_result import FORMAT, CellResult
from harness.core.result.evaluation import (
    FAILURES,
    OK,
    POSITION_PARTS,
    Evaluation,
    EvaluationKind,
    Failure,
    Status,
)
from harness.core.result.parts import (
    LIVE_PARTS,
    Cost,
    CurvePoint,
    DataInfo,
    Environment,
    ErrorInfo,
    ModelInfo,
    Seconds,
)
from harness.core.result.scores import ACCURACY, LOSS, MOST_TEXTS, PositionLoss, Predictions, Scores

__all__ = [
    "ACCURACY", "FAILURES", "FORMAT", "LIVE_PARTS", "LOSS", "MOST_TEXTS", "OK", "POSITION_PARTS",
    "CellResult", "Cost", "CurvePoint", "DataInfo", "Environment", "ErrorInfo", "Evaluation",
    "EvaluationKind", "Failure", "ModelInfo", "PositionLoss", "Predictions", "Scores", "Seconds",
    "Status",
]  # fmt: skip
