"""A cell: one kind, method, length and seed. The unit of isolation, of resume, of scale."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

RECIPE = 5
"""Raised whenever the code changes what a cell's outcome would be: it is part of every id."""

BASELINE = "tfidf"
"""The method of the cells that show what a linear model on words gets from the same texts."""

BASE = "base"
"""The method of the cells that show what the backbone does untrained."""

LM_EVAL = "lm_eval"
"""The task of the cells that only run tasks of lm-eval, on the untrained backbone."""

_NAMES = {"full": "Full", "lora": "LoRA", "ssmlora": "SSMLoRA", BASELINE: "TF-IDF", BASE: "Base"}

_LATER = ("writes", "evaluations", "evaluation_examples")
"""Fields that came after the first results: at their defaults they are no part of an id."""


class Cell(BaseModel):
    """Everything that decides one outcome. Fields that do not apply are None.

    `lr` is a number here, whatever the sweep says; `revisions` holds the checksum or version of the
    data and of the weights, so that other data is another cell.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["train", "probe"]
    task: str | None
    backbone: str
    method: str
    density: float | None = None
    placement: str | None = None
    rank: int | None = None
    alpha: float | None = None
    target: str | None = None
    options: dict[str, Any] = {}
    length: int
    seed: int
    lr: float | None = None
    lr_source: Literal["sweep", "tuned", "default"] | None = None
    """Where `lr` comes from: the sweep file, a study, or the default of the method."""
    batch_size: int
    examples: int | None = None
    validation_examples: int | None = None
    test_examples: int | None = None
    epochs: int | None = None
    validations: int | None = None
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    dropout: float = 0.0
    steps: int | None = None
    dtype: Literal["float32", "bfloat16"]
    device: Literal["cpu", "cuda"]
    revisions: dict[str, str] = {}
    writes: bool = False
    """Whether the model predicts tokens (language modelling, generation) and has no classifier."""
    evaluations: tuple[str, ...] = ()
    """Tasks of lm-eval that the cell's model is evaluated on."""
    evaluation_examples: int | None = None
    evaluation_seconds: float | None = None

    @property  # not cached: `model_copy` would carry it to a cell that it is wrong for
    def id(self) -> str:
        """12 hexadecimal digits of the SHA-256 of RECIPE and the fields that decide the outcome."""
        fields = self.model_dump(exclude={"evaluation_seconds", "lr_source"})
        for name in _LATER:
            if fields[name] == type(self).model_fields[name].default:
                del fields[name]
        text = json.dumps([RECIPE, fields], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def arm(self) -> str:
        """The label of the curve this cell belongs to, for example `SSMLoRA 1/2`."""
        label = _NAMES.get(self.method, self.method)
        if self.density is not None:
            near = Fraction(self.density).limit_denominator(64)
            label += f" {near}" if abs(near - self.density) < 1e-3 else f" {self.density:g}"
        if self.placement not in (None, "alternate"):
            label += f" {self.placement}"
        if self.rank is not None and self.rank != 8:
            label += f" r{self.rank}"
        if not self._usual_alpha:
            label += f" alpha={self.alpha:g}"
        for key, value in sorted(self.options.items()):
            label += f" {key}={value}"
        return label

    @property
    def arm_key(self) -> dict[str, Any]:
        """What a tuned learning rate belongs to: the arm, whatever the length and the seed."""
        fields = ("backbone", "task", "method", "density", "placement", "rank", "options")
        key = {name: getattr(self, name) for name in fields}
        if self.target not in (None, "attention"):
            key["target"] = self.target
        return key if self._usual_alpha else {**key, "alpha": self.alpha}

    @property
    def _usual_alpha(self) -> bool:
        return self.alpha is None or (self.rank is not None and self.alpha == 2 * self.rank)

    @property
    def title(self) -> str:
        """One line for progress displays and logs."""
        what = self.task if self.kind == "train" else "probe"
        return f"{what} · {self.arm} · {self.length} tokens · seed {self.seed}"

    @property
    def work(self) -> float:
        """A rough weight for order and time left: tokens passed, a training step as three passes.

        Attention's quadratic part is left out; only ratios between cells matter here.
        """
        if self.method == BASELINE:
            return 2000.0
        if self.method == BASE:
            return self.length * ((self.test_examples or 0) + (self.evaluation_examples or 0)) + 1.0
        step = 3.6 if self.method == "full" else 3.0
        if self.kind == "probe":
            return self.length * self.batch_size * ((self.steps or 0) + 1) * (step + 1)
        trained = (self.examples or 0) * (self.epochs or 0) * step
        read = (self.validation_examples or 0) * (self.validations or 0) + (self.test_examples or 0)
        return self.length * (trained + read) + 20_000
