"""The outcome of a cell: one typed model, written and read by the same classes."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from harness.core.cell import PROTOCOL_VERSION, Cell
from harness.core.format1 import upgrade
from harness.core.metrics import METRICS, common_metric
from harness.core.timing import Timing
from harness.core.values import LARGEST_SCORE, Amount, Count, Real, Share, Text, Words, number

FORMAT = 2
"""Version of the result file. Readers accept every version up to this one."""

Status = Literal["ok", "oom", "diverged", "timeout", "error"]
OK: Status = "ok"
FAILURES: tuple[Status, ...] = ("oom", "diverged", "timeout", "error")
"""The ways in which a cell can fail; each is a result."""

LIVE_PARTS = (
    "weights", "gradients", "optimizer", "saved_base", "saved_adapter", "saved_logits",
    "saved_attention", "transient",
)  # fmt: skip
"""Parts of the live memory of a training step: the fields `live_<part>_bytes` of `Cost`."""

MOST_TEXTS = 5_000
"""The most test texts for which values by text are computed: the time is quadratic in them."""

ACCURACY = "accuracy"
LOSS = "loss"


class _Part(BaseModel):
    """A section of a result. Unknown keys are ignored, so that later versions can be read."""

    model_config = ConfigDict(extra="ignore")


class ModelInfo(_Part):
    """The adapted model. `links` counts sites that receive a state from the site before."""

    sites: Count = None
    links: Count = None
    lowest_layer: Count = None
    """Index of the lowest block with trained parameters: the backward pass stops there."""
    trainable_params: Count = None
    total_params: Count = None
    attention: Text = None
    """The kernel that a forward pass reaches."""
    dropout: Text = None
    lm_loss: Text = None
    """How the loss of a language model was computed: `chunked` or `full`."""
    weights: Text = None
    """How the backbone's weights are stored; training starts from their float32 values."""
    dtype: Text = None
    device: Text = None
    shared_blocks: Count = None
    """Blocks whose output the cell read from the store of its run. Then it has no cost."""


class DataInfo(_Part):
    """The texts of a cell. `truncated` and `reach` are shares of texts, `longest` is in tokens."""

    truncated: Share = None
    """Share of the training texts that were cut at the cell's length."""
    tokens_median: Amount = None
    reach: Share = None
    """Share of the test texts that fill the cell's length."""
    longest: Count = None
    whole_texts: Annotated[bool, BeforeValidator(lambda v: v is True)] = False
    """Whether the task declares that its texts are whole and may be shorter than the length."""
    task_revision: Text = None


def _with_loss(parts: Any) -> Any:
    """Ranges of positions without a loss are left out."""
    if not isinstance(parts, list):
        return parts
    if len(parts) > 64:
        raise ValueError("has more than 64 ranges")
    return [p for p in parts if not isinstance(p, dict) or number(p.get("loss")) is not None]


class PositionLoss(_Part):
    """Mean loss (nats per token) at the positions `start` <= p < `end` of the test texts."""

    start: int
    end: int
    loss: float
    tokens: Count = None


class Scores(_Part):
    """Scores of the trained model on the test texts, with 95 % intervals over texts."""

    metric: Text = None
    score: Real = None
    score_low: Real = None
    score_high: Real = None
    test_examples: Count = None
    accuracy: Share = None
    accuracy_low: Share = None
    accuracy_high: Share = None
    secondary: dict[str, Real] = {}
    """Further metrics of the same answers, by name."""
    perplexity: Amount = None
    all_tokens_loss: Amount = None
    """The mean loss over all tokens that were read, where the score is of their last tokens."""
    majority: Share = None
    """The accuracy of the best constant answer on the test texts."""
    validation_score: Real = None
    validation_accuracy: Share = None
    validation_loss: Real = None
    by_position: Annotated[list[PositionLoss], BeforeValidator(_with_loss)] = []

    @property
    def is_loss(self) -> bool:
        """Whether the score is a loss in nats per token."""
        return self.metric == LOSS

    @model_validator(mode="after")
    def _check(self) -> Scores:
        metric = common_metric([self.metric] if self.metric else [])
        for name in ("score", "score_low", "score_high", "validation_score"):
            value = getattr(self, name)
            if value is not None and not metric.allows(value):
                raise ValueError(f"{name} {value:g} is outside the range of {metric.label}")
        reached = 0
        for part in self.by_position:
            if not reached <= part.start < part.end <= 2**40:
                raise ValueError("by_position has ranges that do not follow each other")
            if part.loss < 0:
                raise ValueError("by_position has a negative loss")
            reached = part.end
        if self.is_loss and self.perplexity is None and self.score is not None:
            self.perplexity = math.exp(self.score) if self.score < 700 else None
        return self


class CurvePoint(_Part):
    """One validation during training."""

    step: Count = None
    examples: Count = None
    train_loss: Real = None
    validation_loss: Real = None
    validation_score: Real = None
    validation_accuracy: Real = None


class Cost(_Part):
    """Tokens per second and peaks of memory in bytes.

    `_low` and `_high` are quartiles over steps, of a probe over rounds.
    """

    base_bytes: Count = None
    train_tokens_per_s: Amount = None
    train_tokens_per_s_low: Amount = None
    train_tokens_per_s_high: Amount = None
    eval_tokens_per_s: Amount = None
    eval_tokens_per_s_low: Amount = None
    eval_tokens_per_s_high: Amount = None
    prefill_tokens_per_s: Amount = None
    prefill_tokens_per_s_low: Amount = None
    prefill_tokens_per_s_high: Amount = None
    decode_tokens_per_s: Amount = None
    decode_tokens_per_s_low: Amount = None
    decode_tokens_per_s_high: Amount = None
    prefill_merged_tokens_per_s: Amount = None
    prefill_merged_tokens_per_s_low: Amount = None
    prefill_merged_tokens_per_s_high: Amount = None
    decode_merged_tokens_per_s: Amount = None
    decode_merged_tokens_per_s_low: Amount = None
    decode_merged_tokens_per_s_high: Amount = None
    kv_cache_bytes: Count = None
    """After the prefill: the keys and values of `length` tokens in every layer."""
    merge_note: Text = None
    """Why the adapter cannot be merged into the weights."""
    train_peak_bytes: Count = None
    eval_peak_bytes: Count = None
    train_live_peak_bytes: Count = None
    """Peak of live tensors in an untimed training step; the `live_` fields are its parts."""
    eval_live_peak_bytes: Count = None
    live_weights_bytes: Count = None
    live_gradients_bytes: Count = None
    live_optimizer_bytes: Count = None
    live_saved_base_bytes: Count = None
    live_saved_adapter_bytes: Count = None
    live_saved_logits_bytes: Count = None
    live_saved_attention_bytes: Count = None
    live_transient_bytes: Count = None
    train_resident_bytes: Count = None
    """Resident peak of the same step above `base_bytes`, with a fixed mmap threshold."""
    eval_resident_bytes: Count = None
    memory_note: Text = None
    """Why a peak was not measured."""


class Seconds(_Part):
    """Wall-clock seconds of each phase, and of the whole cell."""

    load: Amount = None
    data: Amount = None
    train: Amount = None
    eval: Amount = None
    probe: Amount = None
    wall: Amount = None


class Predictions(_Part):
    """Answers to the test examples, in one order: ids, targets, answers, scores per example."""

    ids: list[Any] = []
    labels: list[Any] | None = None
    predicted: list[Any] | None = None
    scores: list[Any] | None = None

    def correct(self) -> dict[str, bool]:
        """Return for each example id whether the answer equals the label."""
        labels, predicted = self.labels or [], self.predicted or []
        pairs = zip(self.ids, labels, predicted, strict=False)
        found = {str(i): label == answer for i, label, answer in pairs}
        same = len(found) == len(self.ids) == len(labels) == len(predicted)
        return found if same else {}

    def example_scores(self) -> dict[str, float]:
        """Return the score of each example by its id; empty unless every example has a number."""
        if len(self.ids) != len(self.scores or []):
            return {}
        pairs = zip(self.ids, self.scores or [], strict=True)
        found = {
            str(i): value
            for i, score in pairs
            if (value := number(score)) is not None and 0 <= value <= LARGEST_SCORE
        }
        return found if len(found) == len(self.ids) else {}

    def text_values(self, metric: str | None) -> dict[str, float]:
        """Return a value for each example id whose mean is the score; empty if that is unknown.

        Without scores of examples, they follow from labels and answers (`Metric.text_values`).
        """
        if metric == ACCURACY:
            return {name: float(right) for name, right in self.correct().items()}
        found, known = self.example_scores(), METRICS.get(metric or "")
        if found or known is None or not self.labels or not self.predicted:
            return found
        names = [str(i) for i in self.ids]
        pairs = [[_hashable(v) for v in values] for values in (self.predicted, self.labels)]
        try:
            if "class" in known.answers:  # the numbers of classes may be anything
                codes = {v: code for code, v in enumerate(sorted({*pairs[0], *pairs[1]}))}
                pairs = [[codes[v] for v in values] for values in pairs]
            same = len(set(names)) == len(pairs[0]) == len(pairs[1]) <= MOST_TEXTS
            values = known.text_values(*pairs) if same and len(names) > 1 else []
        except (TypeError, ValueError, OverflowError):
            return {}
        known_all = bool(values) and all(map(math.isfinite, values))
        return dict(zip(names, values, strict=True)) if known_all else {}


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Environment(BaseModel):
    """The machine and the versions that a cell ran with. Further keys are kept."""

    model_config = ConfigDict(extra="allow")

    started: Text = None
    python: Text = None
    torch: Text = None
    transformers: Text = None
    peft: Text = None
    platform: Text = None
    cpu: Text = None
    gpu: Text = None
    commit: Text = None
    cores: Count = None
    memory_gib: Amount = None
    host: Text = None
    threads: Count = None


class ErrorInfo(_Part):
    """Why a cell failed: the type of the exception, one line, and the log beside the results."""

    type: Text = None
    message: Text = None
    log: Text = None


POSITION_PARTS = 4
"""Equal parts of a text by which the position of the evidence is reported."""

EvaluationKind = Literal["lm_eval", "length", "position", "forgetting"]


class Evaluation(_Part):
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
    scores: list[Real] = []
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


class Failure(NamedTuple):
    """How a cell failed: its status, the name of the error, and one line for the reader."""

    status: Status
    kind: str
    message: str


class CellResult(_Part):
    """The content of `cells/<id>.json`."""

    format: int = FORMAT
    protocol: Count = PROTOCOL_VERSION
    id: str
    kind: Literal["train", "probe"]
    status: Status = "error"
    arm: str
    cell: Cell
    model: ModelInfo | None = None
    data: DataInfo | None = None
    scores: Scores | None = None
    curve: list[CurvePoint] = []
    cost: Cost | None = None
    timing: Timing | None = None
    seconds: Seconds = Seconds()
    predictions: Predictions | None = None
    evaluations: list[Evaluation] = []
    environment: Environment = Environment()
    error: ErrorInfo | None = None

    @model_validator(mode="before")
    @classmethod
    def _upgraded(cls, data: Any) -> Any:
        return upgrade(data, FORMAT) if isinstance(data, dict) else data

    @property
    def ok(self) -> bool:
        """Whether the cell ended without a failure."""
        return self.status == OK

    @property
    def statuses(self) -> set[str]:
        """The status of the cell and those of its evaluations."""
        return {self.status, *(one.status for one in self.evaluations)}

    @classmethod
    def begun(cls, cell: Cell, machine: dict[str, Any] | None = None) -> CellResult:
        """Return the result of a cell that is about to run; its status is `error` until it ends."""
        started = datetime.now(UTC).isoformat(timespec="seconds")
        environment = Environment.model_validate({"started": started, **(machine or {})})
        return cls.model_construct(
            id=cell.id, kind=cell.kind, arm=cell.arm, cell=cell, status="error",
            seconds=Seconds(), environment=environment, curve=[], evaluations=[],
        )  # fmt: skip

    @classmethod
    def failed(
        cls, cell: Cell, machine: dict[str, Any] | None, failure: Failure, seconds: float
    ) -> CellResult:
        """Return the result of a cell whose process ended without one. Logs are named by id."""
        result = cls.begun(cell, machine)
        result.status = failure.status
        result.error = ErrorInfo(
            type=failure.kind, message=failure.message, log=f"logs/{cell.id}.log"
        )
        result.seconds = Seconds(wall=seconds)
        return result


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("names no task")
    return value
