"""Further evaluations of a trained model, and how a cell or an evaluation ended."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from harness.core.result.parts import Part
from harness.core.values import Amount, Count, Real, Words

Status = Literal["ok", "oom", "diverged", "timeout", "error"]
OK: Status = "ok"
FAILURES: tuple[Status, ...] = ("oom", "diverged", "timeout", "error")
"""The ways in which a cell can fail; each is a result."""


class Failure(NamedTuple):
    """How a cell failed: its status, the name of the error, and one line for the reader."""

    status: Status
    kind: str
    message: str


POSITION_PARTS = 4
"""Equal parts of a text by which the position of the evidence is reported."""

EvaluationKind = Literal["lm_eval", "length", "position", "forgetting"]


class Evaluation(Part):
    """One metric of one further evaluation of the cell's model.

    `kind`: a task of lm-eval, the cell's own test at another length, the part of its own test whose
    evidence is at a position, or unrelated text. `length` and `position` (tokens) are set where
    they differ from those of training. `value` is None unless `status` is `ok`.
    """

    kind: EvaluationKind = "lm_eval"
    task: Annotated[str, BeforeValidator(lambda v: _name(v))]
    metric: Words = ""
    value: Real = None
    low: Real = None
    high: Real = None
    stderr: Amount = None
    examples: Count = None
    higher_is_better: Annotated[bool, BeforeValidator(lambda v: v is not False)] = True
    length: Count = None
    position: Count = None
    scores: list[Real] = Field(default=[])
    """The score of each text, in the order of the task, for `length` and `forgetting`."""
    status: Status
    message: Words = ""
    version: Words = ""
    seconds: Amount = None

    @model_validator(mode="after")
    def _without_value(self) -> Evaluation:
        nothing = (None, -1) if self.kind == "lm_eval" else (None,)
        if self.status == OK and self.value in nothing:  # lm-eval returns -1 without a value
            self.status, self.message = "error", self.message or "nothing was measured"
        if self.status != OK:
            self.value = self.stderr = None
        return self


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("names no task")
    return value
