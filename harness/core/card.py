"""Cards of a run folder, read and checked.

`cards/<task>.json` has statistics of a task's data, `kept/<id>/kept.json` describes a kept model.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

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

from harness.core.cell import Cell
from harness.core.folder import CARDS, KEPT, reason_of
from harness.core.metrics import common_metric
from harness.core.values import Count, Real, Share, clean, number

KEPT_FILE = "kept.json"

_BYTES, _CARDS, _LABELS, _MODELS = 2**20, 200, 2_000, 10_000

Rule = Literal["best", "all", "none"]
"""Which trained models a run keeps: the best of each arm, task and length, all, or none."""

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


class KeptModel(BaseModel):
    """A trained model of a run folder: what it is, how good it is, and how it is loaded.

    Attributes:
        id: of its cell, and the name of its folder.
        form: `adapter`: of the whole model, in PEFT's format; `encoder`: an adapter of the encoder,
            with the classifier in a file of its own; `head`: a classifier alone; `full`: all
            weights in the hub's format.
        rule: why it is kept.
        family: the task type.
        outputs: of the classifier; None without one.
        bytes: of its files.
    """

    model_config = ConfigDict(extra="ignore")

    format: Literal[1] = 1
    id: Annotated[StrictStr, Field(pattern=r"^[\w-]+$")]
    form: Literal["adapter", "encoder", "head", "full"]
    rule: Literal["best", "all"]
    cell: Cell
    family: _Words = ""
    outputs: Count = None
    metric: _Words = ""
    score: Real = None
    score_low: Real = None
    score_high: Real = None
    validation_loss: Real = None
    bytes: Count = None

    @property
    def group(self) -> str:
        """Equal for all models of which the rule `best` keeps one."""
        return self.group_of(self.cell)

    @staticmethod
    def group_of(cell: Cell) -> str:
        """The same for cells that differ in seed and learning rate at most."""
        others = {"seed", "lr", "lr_source", "head_lr"}
        fields = cell.model_dump(mode="json", exclude=others)
        # The digest of the examples that a cell reads depends on the seed.
        fields["revisions"] = [cell.revisions.get(name) for name in ("task", "backbone")]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    def lines(self, folder: str) -> list[str]:
        """Return the lines of Python that load the model from its folder."""
        place = json.dumps(folder, ensure_ascii=False)
        if self.form == "adapter":
            return [
                "from peft import PeftModel",
                "from harness.kept.load import base_model",
                f"model = PeftModel.from_pretrained(base_model({place}), {place})",
            ]
        return [
            "from harness.kept.load import trained_model",
            f"model = trained_model({place})",
        ]


def read_kept(
    run_dir: Path, ids: Iterable[str] | None = None
) -> tuple[list[KeptModel], list[tuple[str, str]]]:
    """The kept models of a run folder; and (name, reason) of folders that cannot be used.

    `ids`: of these cells only.
    """
    found: list[KeptModel] = []
    broken: list[tuple[str, str]] = []
    place = run_dir / KEPT
    folders = place.iterdir() if ids is None and place.is_dir() else (place / i for i in ids or ())
    # The name of a folder that is being written or removed has a dot.
    named = sorted(f for f in folders if re.fullmatch(r"[\w-]+", f.name) and f.is_dir())
    for folder in named[:_MODELS]:
        try:
            model = read_kept_model(folder)
            if model.id != folder.name:
                raise ValueError(f"it is the model of the cell {model.id}")
            found.append(model)
        except ValueError as error:
            broken.append((clean(folder.name), str(error)))
    return found, broken


def read_kept_model(folder: Path) -> KeptModel:
    """Read what a folder says of its model.

    Raises:
        ValueError: it has no kept model, or says something else than its name.
    """
    path = folder / KEPT_FILE
    try:
        if path.stat().st_size > _BYTES:
            raise ValueError(f"more than {_BYTES // 2**20} MiB")
        model = KeptModel.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, OSError, RecursionError) as error:
        raise ValueError(f"{clean(path)}: {reason_of(error)}") from None
    return model
