"""The keys `probe`, `limits`, `comparisons`, `lm_eval`, and a backbone that is a configuration."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from harness.core.comparisons import Comparisons
from harness.planning.keys.values import Count, Length, Number, Strict, distinct


class Probe(Strict):
    """Cost cells: a few steps after warm-up, on full-length batches of random tokens."""

    lengths: Annotated[list[Length], Field(min_length=1), AfterValidator(distinct)]
    steps: Annotated[int, Field(ge=2, le=10_000, strict=True)] = 5
    """Rounds of each length, at least."""
    seconds: Annotated[Number, Field(ge=0)] | None = None
    """Time for further rounds of each length; None: 3 s for each of `steps`."""
    batch_size: Annotated[int, Field(ge=1, le=65536, strict=True)] = 1
    decode: Annotated[int, Field(ge=0, le=65536, strict=True)] = 0
    """Tokens decoded in each round, after a prefill; 0: none. Needs a language model."""


class Limits(Strict):
    """Time and memory of a cell; a cell beyond them is ended and recorded as `timeout` or `oom`.

    They are not part of a cell's id.
    """

    cell_seconds: Annotated[Number, Field(gt=0)] = 3600
    cell_gib: Annotated[Number, Field(gt=0, le=1_048_576)] | None = None
    checkpoint_seconds: Annotated[Number, Field(ge=0)] = 600
    """Between two checkpoints of a cell in training; 0: none are written."""


class Declared(Strict, Comparisons):
    """What the report compares: the reference, and the largest difference that does not matter."""

    margin: Annotated[Number, Field(gt=0, le=1e6)] = 0.02


class LmEval(Strict):
    """Tasks of lm-eval (`tasks: [lm_eval:NAME]`): examples and seconds for each."""

    examples: Count = 50
    seconds: Annotated[Number, Field(gt=0)] = 600


class Shape(Strict):
    """A backbone that is a configuration alone, for costs."""

    config: str
    """A file `config.json`, a folder with one, or a shipped name (`costs/configurations.py`)."""
    weights: Literal["random"]


def form_of_backbone(value: Any) -> str:
    """Return the tag of a value of `backbone`."""
    return "a shape" if isinstance(value, dict | Shape) else "a name"
