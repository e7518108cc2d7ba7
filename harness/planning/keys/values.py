"""Numbers, lengths and lists as sweep files have them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from harness.planning.yaml_files import number_in

MIN_LENGTH = 8
MAX_LENGTH = 1_048_576


def _number(value: Any) -> Any:
    """Refuse what pydantic alone would accept: `true` as 1, the texts `1_000` and `infinity`."""
    if isinstance(value, str):
        value = number_in(value)  # one in quotes
    if value is None or isinstance(value, bool):
        raise ValueError("expected a number such as 1000, 0.5 or 1e-3")
    return value


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Length = Annotated[int, Field(ge=MIN_LENGTH, le=MAX_LENGTH, strict=True)]
Density = Annotated[Number, Field(gt=0, le=1)]
LearningRate = Annotated[Number, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**31, strict=True)]
Count = Annotated[int, Field(ge=1, le=100_000_000, strict=True)]


def distinct(value: list[Any]) -> list[Any]:
    """Refuse a list with an item twice."""
    for item in value:
        if value.count(item) > 1:
            raise ValueError(f"duplicate value: {item}")
    return value


class Strict(BaseModel):
    """A part of a sweep file. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
