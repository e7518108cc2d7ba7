"""The keys `train`, and what belongs to it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from harness.core.cell import NO_CURRICULUM
from harness.planning.keys.values import Count, LearningRate, Length, Number, Strict, distinct
from harness.planning.yaml_files import number_in

Transfer = dict[Literal["tuned"], Literal["transfer"]]
"""`lr: {tuned: transfer}`: the rates of a study, also of one with other settings."""


SCORED = 128
"""Tokens of each text that language modelling scores by default in sweeps with several lengths."""


class Context(Strict):
    """Language modelling scores the last `targets` tokens before token `window` of each text.

    They are the same tokens at every length, with more or fewer tokens before them.
    """

    targets: Count = SCORED
    window: Length | None = None
    """None: the longest length of the sweep."""


class Forgetting(Strict):
    """Unrelated text on which language models are evaluated before and after training."""

    task: str
    examples: Count = 16


class Train(Strict):
    """Settings of every training cell. All arms share them, except for the learning rate."""

    examples: Count | Literal["all"] = 512
    validation_examples: Count | Literal["all"] = 200
    test_examples: Annotated[int, Field(ge=0, strict=True)] | Literal["all"] = 500
    curriculum: str = NO_CURRICULUM
    """How training texts are made easier than test texts, in tasks that offer it."""
    epochs: Annotated[int, Field(ge=1, le=1000, strict=True)] = 1
    batch_size: Annotated[int, Field(ge=1, le=65536, strict=True)] = 8
    lr: LearningRate | Literal["tuned"] | Transfer | None = None
    """None: the rate of a matching study, else the method's default (`planning/rates.py`)."""
    head_lr: LearningRate | None = None
    """Of the classifier, in all arms. None: the rate of a study's `head` arm, else a default."""
    warmup: Annotated[Number, Field(ge=0, lt=1)] = 0.1
    weight_decay: Annotated[Number, Field(ge=0)] = 0.01
    clip: Annotated[Number, Field(gt=0)] = 1.0
    dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    validations: Annotated[int, Field(ge=1, le=1000, strict=True)] = 4
    context: Context | Literal["none"] | None = None
    """None: `planning/windows.py` decides."""
    loss: Literal["chunked", "full"] = "chunked"
    """Of language models: the logits of some tokens at a time, or of all (the same loss)."""
    test_lengths: Annotated[list[Length], AfterValidator(distinct)] | Literal["all"] = Field(
        default_factory=list
    )
    """Lengths at which each trained model is tested beside its own; `all`: those of the sweep."""
    forgetting: Forgetting | None = None

    @field_validator("forgetting", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"task": value} if isinstance(value, str) else value

    @field_validator("lr", mode="before")
    @classmethod
    def _rate(cls, value: Any) -> Any:
        wrong = isinstance(value, str) and value != "tuned" and number_in(value) is None
        if wrong or (isinstance(value, dict) and value != {"tuned": "transfer"}):
            raise ValueError("expected a number, tuned, or {tuned: transfer}")
        return value
