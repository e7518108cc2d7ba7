"""Task cards, `cards/<task>.json`: statistics of a task's data, read and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    field_validator,
    model_validator,
)

from harness.core.folder import CARDS, reason_of
from harness.core.metrics import common_metric
from harness.core.values import Count, Real, Share, clean, number

_BYTES, _CARDS, _LABELS = 2**20, 200, 2_000

_Words = Annotated[StrictStr, AfterValidator(clean), BeforeValidator(lambda v: v or "")]


def _counts(values: Any) -> dict[str, int]:
    """Counts by name; at most `_LABELS`."""
    values = {} if values is None else values
    if not isinstance(values, dict) or len(values) > _LABELS:
        raise ValueError(f"is not an object of at most {_LABELS} counts")
    found = {}
    for key, value in values.items():
        count = number(value)
        if count is None or not 0 <= count < 2**53:
            raise ValueError("has a value that is not a count")
        found[clean(key)] = int(count)
    return found


Counts = Annotated[dict[str, int], BeforeValidator(_counts)]


class CardRow(BaseModel):
    """A task at a length: the share of test texts that are cut, and two baselines in its metric.

    `train_texts`: training texts of the second baseline.
    """

    length: Annotated[int, Field(ge=1, lt=2**53)]
    truncated: Share = None
    majority: Real = None
    tfidf: Real = None
    train_texts: Count = None


class TaskCard(BaseModel):
    """Statistics of a task's data. Counts are by split; `labels` by split, then by label."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[StrictStr, AfterValidator(clean), Field(min_length=1)]
    title: _Words = ""
    description: _Words = ""
    family: _Words = ""
    metric: _Words = ""
    source: _Words = ""
    revision: _Words = ""
    licence: _Words = ""
    citation: _Words = ""
    backbone: _Words = ""
    """The backbone whose tokens lengths are in."""
    example: dict[StrictStr, _Words] = {}
    examples: Counts = {}
    counted: Counts = {}
    """Examples whose labels were counted; all if absent."""
    labels: Annotated[dict[str, Counts], Field(max_length=10)] = {}
    tokens: Counts = {}
    rows: Annotated[list[CardRow], Field(min_length=1, max_length=64)]
    baselines: tuple[_Words, _Words] = ("majority", "TF-IDF")
    shared: Counts = {}
    """`shared` of `tested` test texts are (nearly) among the first `trained` training texts."""
    findings: Annotated[list[_Words], Field(max_length=50)] = []
    whole_texts: Annotated[bool, BeforeValidator(lambda v: v is True)] = False

    @field_validator("example", "labels", "findings", "baselines", mode="before")
    @classmethod
    def _default(cls, value: Any, info: Any) -> Any:
        return cls.model_fields[info.field_name].default if value is None else value

    @model_validator(mode="after")
    def _check(self) -> TaskCard:
        if not self.name.strip():
            raise ValueError("name is empty")
        metric = common_metric([self.metric] if self.metric else [])
        for row in self.rows:
            for value in (row.majority, row.tfidf):
                if value is not None and not metric.allows(value):
                    raise ValueError(f"{value:g} is outside the range of {metric.label}")
        self.rows = sorted(self.rows, key=lambda row: row.length)
        self.counted = self.examples | self.counted
        return self


def read_cards(run_dir: Path) -> tuple[list[TaskCard], list[tuple[str, str]]]:
    """The cards of a run folder, by name; and (file name, reason) of cards that cannot be used."""
    found: list[TaskCard] = []
    broken: list[tuple[str, str]] = []
    for path in sorted((run_dir / CARDS).glob("*.json"))[:_CARDS]:
        try:
            if path.stat().st_size > _BYTES:
                raise ValueError(f"more than {_BYTES // 2**20} MiB")
            data = json.loads(path.read_text(encoding="utf-8"))
            found.append(TaskCard.model_validate(data))
        except (ValueError, OSError, RecursionError) as error:
            broken.append((clean(path.name), reason_of(error)))
    return sorted(found, key=lambda card: card.name), broken
