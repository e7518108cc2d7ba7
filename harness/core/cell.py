"""A cell: one kind, method, length and seed. The unit of isolation, of resuming, of scale."""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from harness.core.levers import TRAINING, Levers
from harness.core.methods import (
    ATTENTION,
    FULL,
    HEAD,
    PLACEMENTS,
    RANK,
    TFIDF,
    ZERO_SHOT,
    method_info,
)

PROTOCOL_VERSION = 6
"""Part of every id. Raise it whenever the code changes the outcome of a cell."""

LM_EVAL = "lm_eval"
"""The task of cells that only run tasks of lm-eval on the untrained backbone."""

NO_CURRICULUM = "none"

_ID_NAMES = {"uses_lm_head": "writes"}
"""Fields that are hashed under their first name, so that ids of earlier results stay valid."""

_OPTIONAL = (
    "writes", "evaluations", "evaluation_examples", "curriculum", "head_lr", "test_lengths",
    "forgetting", "forgetting_examples",
    "window", "target_tokens", "lm_loss", "decode",
)  # fmt: skip
"""Fields that were added later. At their defaults they are not part of the id."""

_NO_FIELDS: set[str] = set()
"""Shared by all cells; pydantic copies it before it adds to it."""


_Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""Result files may come from anyone, and tables hold 64 bits."""


class Cell(BaseModel):
    """All settings that decide an outcome. Settings that do not apply are None.

    `lr` is a number, whatever the sweep file says. `revisions` holds the checksum or version of
    data and weights, so that changed data makes another cell.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    kind: Literal["train", "probe"]
    task: str | None
    backbone: str
    method: str
    density: Annotated[float, Field(strict=True, gt=0, le=1)] | None = None
    placement: str | None = None
    rank: Annotated[int, Field(strict=True, ge=1, lt=2**63)] | None = None
    alpha: float | None = None
    target: str | None = None
    """The candidate layers: a name, or module names joined by `+`."""
    options: dict[str, Any] = {}
    length: Annotated[int, Field(strict=True, ge=1, le=2**40)]
    """In tokens."""
    seed: _Int64
    lr: float | None = None
    lr_source: Literal["sweep", "tuned", "transferred", "default"] | None = None
    """Where `lr` comes from: the sweep file, a study with the settings of this cell, a study with
    other settings, or the default of the method."""
    head_lr: float | None = None
    """Learning rate of the classifier, the same in all arms. None without a classifier, and in
    results of protocol version 5 and lower, which used `lr`. With method `head` it equals `lr`."""
    batch_size: _Int64
    examples: _Int64 | None = None
    validation_examples: _Int64 | None = None
    test_examples: _Int64 | None = None
    epochs: _Int64 | None = None
    validations: _Int64 | None = None
    curriculum: str = NO_CURRICULUM
    """How training texts are made easier than test texts; `none` leaves them alike."""
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    dropout: float = 0.0
    steps: _Int64 | None = None
    dtype: Literal["float32", "bfloat16"]
    device: Literal["cpu", "cuda"]
    revisions: dict[str, str] = {}
    uses_lm_head: bool = Field(
        default=False, validation_alias=AliasChoices("uses_lm_head", "writes")
    )
    """Whether the model predicts tokens (language modelling, generation) without a classifier."""
    window: _Int64 | None = None
    """Language modelling: the token of each validation and test text at which the scored tokens
    end. None: all tokens of the front of each text are scored."""
    target_tokens: _Int64 | None = None
    """Scored tokens of each text."""
    lm_loss: Literal["chunked", "full"] | None = None
    """How the loss of a language model is computed; None (earlier versions): full."""
    evaluations: tuple[str, ...] = ()
    """Tasks of lm-eval that the cell's model is evaluated on."""
    evaluation_examples: _Int64 | None = None
    evaluation_seconds: float | None = None
    probe_seconds: float | None = None
    decode: _Int64 = 0
    """Tokens that a probe decodes in each round; 0: it measures neither prefill nor decoding."""
    test_lengths: tuple[_Int64, ...] = ()
    """Other lengths at which the trained model is tested."""
    forgetting: str | None = None
    """A language-modelling task whose texts are unrelated to those of training."""
    forgetting_examples: _Int64 | None = None

    levers: Levers = Levers()

    def model_post_init(self, _: Any) -> None:
        """Forget which fields were given: that set takes twice the memory of their values."""
        object.__setattr__(self, "__pydantic_fields_set__", _NO_FIELDS)

    @property  # not cached: `model_copy` would carry it to a cell that has another id
    def id(self) -> str:
        """12 hexadecimal digits of the SHA-256 of all settings that decide the outcome."""
        others = {"evaluation_seconds", "probe_seconds", "lr_source", "levers"}
        fields = self.model_dump(exclude=others)
        if self.levers.settings:
            fields["levers"] = self.levers.settings
        for name, field in type(self).model_fields.items():
            if name in fields:
                first = _ID_NAMES.get(name, name)
                fields[first] = fields.pop(name)
                if first in _OPTIONAL and fields[first] == field.default:
                    del fields[first]
        text = json.dumps([PROTOCOL_VERSION, fields], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def arm(self) -> str:
        """The label of the curve that this cell belongs to, for example `SSMLoRA 1/2`."""
        return f"{self.arm_without_levers} {self.lever_label}".rstrip()

    @property
    def arm_without_levers(self) -> str:
        """The label of the method and its adapter."""
        label = method_info(self.method).label
        if self.density is not None:
            label += f" {density_label(self.density)}"
        if self.placement not in (None, PLACEMENTS[0]):
            label += f" {self.placement}"
        if self.target not in (None, ATTENTION):
            label += f" {self.target}"
        if self.rank is not None and self.rank != RANK:
            label += f" r{self.rank}"
        if not self._default_alpha:
            label += f" alpha={self.alpha:g}"
        for key, value in sorted(self.options.items()):
            label += f" {key}={value}"
        return label

    @property
    def lever_label(self) -> str:
        """The label of the levers that are not at their default; empty without one."""
        loss = "full logits" if self.lm_loss == "full" else ""
        return " + ".join(part for part in (loss, self.levers.label) if part)

    @property
    def virtual_tokens(self) -> int:
        """Tokens that a prompt method adds to the `length` tokens of every text."""
        tokens = self.options.get("num_virtual_tokens") or 0
        return int(tokens) or len(self.options.get("cpt_token_ids") or ())

    @property
    def positions(self) -> int:
        """Positions that the model needs: virtual tokens, the text and decoded tokens."""
        return self.virtual_tokens + self.length + self.decode

    @property
    def compute_dtype(self) -> str:
        """The number format of a forward pass; other weights than float32 need bfloat16."""
        return self.dtype if self.levers.weights == "float32" else "bfloat16"

    @property
    def arm_key(self) -> dict[str, Any]:
        """The settings that share one tuned learning rate, whatever the length and the seed."""
        fields = ("backbone", "task", "method", "density", "placement", "rank", "options")
        key = {name: getattr(self, name) for name in fields}
        if self.target not in (None, ATTENTION):
            key["target"] = self.target
        if self.curriculum != NO_CURRICULUM:
            key["curriculum"] = self.curriculum
        if levers := {k: v for k, v in self.levers.settings.items() if k in TRAINING}:
            key["levers"] = levers
        return key if self._default_alpha else {**key, "alpha": self.alpha}

    @property
    def _default_alpha(self) -> bool:
        return self.alpha is None or (self.rank is not None and self.alpha == 2 * self.rank)

    @property
    def title(self) -> str:
        """One line for progress displays and logs."""
        what = self.task if self.kind == "train" else "probe"
        return f"{what} · {self.arm} · {self.length} tokens · seed {self.seed}"

    @property
    def estimated_cost(self) -> float:
        """A relative cost that orders cells and estimates the time left.

        Tokens times passes; a training step costs three passes. The quadratic part of attention is
        left out, because only ratios between cells matter.
        """
        if self.method == TFIDF:
            return 2000.0
        unrelated = self.forgetting_examples or 0
        used = 5 if self.decode else 0  # prefill and decoding, once more with merged weights
        if self.method == ZERO_SHOT and self.kind == "probe":
            return self.length * self.batch_size * ((self.steps or 0) + 1) * used
        if self.method == ZERO_SHOT:
            read = (self.test_examples or 0) + (self.evaluation_examples or 0) + unrelated
            return self.length * read + 1.0
        step = {FULL: 3.6, HEAD: 1.0}.get(self.method, 3.0)
        if self.kind == "probe":
            return self.length * self.batch_size * ((self.steps or 0) + 1) * (step + 1 + used)
        trained = (self.examples or 0) * (self.epochs or 0) * step
        read = (self.validation_examples or 0) * (self.validations or 0) + (self.test_examples or 0)
        other_lengths = sum(self.test_lengths) * (self.test_examples or 0)
        return self.length * (trained + read + unrelated) + other_lengths + 20_000


def density_label(density: float) -> str:
    """Return a density as labels show it: `1/2`, or the number where no small fraction fits."""
    near = Fraction(density).limit_denominator(64)
    return str(near) if abs(near - density) < 1e-3 else f"{density:g}"
