"""The comparisons that a sweep declares: with which arm, and which differences do not matter."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.core.methods import LORA


class Comparisons(BaseModel):
    """The key `comparisons` of a sweep file.

    Attributes:
        reference: a method or the label of an arm. Every arm is compared with the arm of this
            method that has the same sites and rank, else with its arm of density 1.
        margin: the largest difference that does not matter, in units of the metric.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reference: Annotated[str, Field(min_length=1, max_length=200)] = LORA
    margin: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = 0.02

    @classmethod
    def read(cls, sweep: dict[str, Any]) -> Comparisons:
        """Return the comparisons of a stored sweep file; the defaults if it has no valid ones."""
        try:
            return cls.model_validate(sweep.get("comparisons", {}))
        except ValidationError:
            return cls()
