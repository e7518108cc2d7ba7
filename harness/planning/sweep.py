"""The sweep file: its keys, their types and ranges, and how it is read.

Whether a task, a backbone or a PEFT method exists is checked in `plan.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from harness.core.card import Rule
from harness.core.cell import NO_CURRICULUM
from harness.core.comparisons import Comparisons
from harness.core.errors import BadInput, nearest
from harness.core.methods import HEAD, JOINED, TARGETS
from harness.planning.forms import comma_in
from harness.planning.levers import LeverEntries, LeverEntry
from harness.planning.validation import explain
from harness.planning.yaml_files import number_in, parse_yaml, read_yaml
from tasks.files import DataEntry

MECHANISM = "mechanism"
CONTROLS = (HEAD, MECHANISM)
"""Values of the key `controls`."""

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


def _distinct(value: list[Any]) -> list[Any]:
    for item in value:
        if value.count(item) > 1:
            raise ValueError(f"duplicate value: {item}")
    return value


def _distinct_tasks(value: list[str | DataEntry]) -> list[str | DataEntry]:
    _distinct([task_name(entry) for entry in value])
    return value


def task_name(entry: str | DataEntry) -> str:
    """Return the name of an entry under `tasks`."""
    return entry if isinstance(entry, str) else entry.name


TaskEntry = Annotated[
    Annotated[str, Tag("a name")] | Annotated[DataEntry, Tag("a file")],
    Discriminator(lambda given: "a file" if isinstance(given, dict | DataEntry) else "a name"),
]
"""The name of a task, or the definition of one that reads files of the user."""


def _controls(value: list[str]) -> list[str]:
    for name in value:
        if name not in CONTROLS:
            raise ValueError(f"unknown control '{name}'.{nearest(name, CONTROLS)}")
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Transfer = dict[Literal["tuned"], Literal["transfer"]]
"""`lr: {tuned: transfer}`: the rates of a study, also of one with other settings."""


SCORED = 128
"""Tokens of each text that language modelling scores by default in sweeps with several lengths."""


class Context(_Strict):
    """Language modelling scores the last `targets` tokens before token `window` of each text.

    They are the same tokens at every length, with more or fewer tokens before them.
    """

    targets: Count = SCORED
    window: Length | None = None
    """None: the longest length of the sweep."""


class Forgetting(_Strict):
    """Unrelated text on which language models are evaluated before and after training."""

    task: str
    examples: Count = 16


class Train(_Strict):
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
    test_lengths: Annotated[list[Length], AfterValidator(_distinct)] | Literal["all"] = Field(
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


class Probe(_Strict):
    """Cost cells: a few steps after warm-up, on full-length batches of random tokens."""

    lengths: Annotated[list[Length], Field(min_length=1), AfterValidator(_distinct)]
    steps: Annotated[int, Field(ge=2, le=10_000, strict=True)] = 5
    """Rounds of each length, at least."""
    seconds: Annotated[Number, Field(ge=0)] | None = None
    """Time for further rounds of each length; None: 3 s for each of `steps`."""
    batch_size: Annotated[int, Field(ge=1, le=65536, strict=True)] = 1
    decode: Annotated[int, Field(ge=0, le=65536, strict=True)] = 0
    """Tokens decoded in each round, after a prefill; 0: none. Needs a language model."""


class Limits(_Strict):
    """Time and memory of a cell; a cell beyond them is ended and recorded as `timeout` or `oom`.

    They are not part of a cell's id.
    """

    cell_seconds: Annotated[Number, Field(gt=0)] = 3600
    cell_gib: Annotated[Number, Field(gt=0, le=1_048_576)] | None = None
    checkpoint_seconds: Annotated[Number, Field(ge=0)] = 600
    """Between two checkpoints of a cell in training; 0: none are written."""


class Declared(_Strict, Comparisons):
    """What the report compares: the reference, and the largest difference that does not matter."""

    margin: Annotated[Number, Field(gt=0, le=1e6)] = 0.02


class LmEval(_Strict):
    """Tasks of lm-eval (`tasks: [lm_eval:NAME]`): examples and seconds for each."""

    examples: Count = 50
    seconds: Annotated[Number, Field(gt=0)] = 600


_Item = TypeVar("_Item")
Swept = Annotated[list[_Item], Field(min_length=1)]


class Method(_Strict):
    """One entry under `methods`: lists are swept, `options` go to the PEFT configuration."""

    type: str
    density: Swept[Density] = Field(default_factory=list)
    placement: Swept[str] = Field(default_factory=list)
    rank: Swept[Annotated[int, Field(ge=1, le=65536, strict=True)]] = Field(default_factory=list)
    alpha: Annotated[Number, Field(gt=0)] | None = None
    target: Swept[str] = Field(default_factory=list)
    """Names of targets; module names that are one target are joined by `+`."""
    lr: Swept[LearningRate] = Field(default_factory=list)
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("density", "placement", "rank", "lr", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return value if isinstance(value, list) else [value]

    @field_validator("target", mode="before")
    @classmethod
    def _targets(cls, value: Any) -> Any:
        return _targets(value)

    @field_validator("lr", mode="before")
    @classmethod
    def _not_tuned(cls, value: Any) -> Any:
        if "tuned" in (value if isinstance(value, list) else [value]):
            raise ValueError("tuned is for all methods: write it under train.lr")
        return value

    @field_validator("options")
    @classmethod
    def _plain(cls, options: dict[str, Any]) -> dict[str, Any]:
        for key, value in options.items():
            try:  # they are part of a cell's id
                json.dumps(value, sort_keys=True, allow_nan=False)
            except (TypeError, ValueError):
                raise ValueError(f"{key}: expected numbers, texts, lists or mappings") from None
        return options


def _targets(value: Any) -> Any:
    """Return the targets of an entry: `mlp`, `[attention, mlp]`, `[q_proj, k_proj]` (one target),
    or a list of both forms with each list of modules in brackets.
    """
    items = value if isinstance(value, list) else [value]
    texts = [item for item in items if isinstance(item, str)]
    named = [item for item in texts if item in TARGETS or JOINED in item]
    if isinstance(value, list) and texts and len(texts) == len(items) and not named:
        return [JOINED.join(texts)]
    for item in texts:
        if item not in named:
            raise ValueError(
                f"unknown target '{item}'.{nearest(item, TARGETS)} Names of modules are written in "
                f"brackets of their own, such as [[{item}], mlp]"
            )
    return [JOINED.join(map(str, item)) if isinstance(item, list) else item for item in items]


class Shape(_Strict):
    """A backbone that is a configuration alone, for costs."""

    config: str
    """A file `config.json`, a folder with one, or a shipped name (`costs/configurations.py`)."""
    weights: Literal["random"]


def _form_of_backbone(value: Any) -> str:
    return "a shape" if isinstance(value, dict | Shape) else "a name"


class Sweep(_Strict):
    """A whole sweep file. Field names are the file's keys; unknown keys are refused."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    backbone: Annotated[
        Annotated[str, Tag("a name")] | Annotated[Shape, Tag("a shape")],
        Discriminator(_form_of_backbone),
    ]
    tasks: Annotated[list[TaskEntry], AfterValidator(_distinct_tasks)] = Field(default_factory=list)
    lengths: Annotated[list[Length], AfterValidator(_distinct)] = Field(default_factory=list)
    methods: Annotated[list[Method], Field(min_length=1)]
    controls: Annotated[list[str], AfterValidator(_controls), AfterValidator(_distinct)] = [HEAD]
    """Arms that are added to show what an adapter gains (`planning/controls.py`)."""
    levers: LeverEntries = [LeverEntry()]
    """Every arm runs with every entry."""
    match: Literal["sites", "parameters"] = "sites"
    """What arms share: rank and sites, or the number of parameters (`costs/matching.py`)."""
    seeds: Annotated[list[Seed], Field(min_length=1), AfterValidator(_distinct)] = [0]
    train: Train = Train()
    probe: Probe | None = None
    comparisons: Declared = Declared()
    lm_eval: LmEval = LmEval()
    limits: Limits = Limits()
    keep: Rule = "best"
    """Which trained models stay in the result folder; no part of a cell's id."""
    keep_full: bool = False
    """Whether models of full fine-tuning are among them."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @property
    def task_names(self) -> list[str]:
        """The names of the tasks."""
        return [task_name(entry) for entry in self.tasks]

    @property
    def data_entries(self) -> tuple[DataEntry, ...]:
        """The tasks that this file defines."""
        return tuple(entry for entry in self.tasks if isinstance(entry, DataEntry))

    @field_validator("methods", mode="before")
    @classmethod
    def _methods(cls, value: Any) -> Any:
        return [_method(entry) for entry in value] if isinstance(value, list) else value

    @model_validator(mode="after")
    def _something_to_do(self) -> Sweep:
        if bool(self.tasks) != bool(self.lengths):
            have, lack = ("tasks", "lengths") if self.tasks else ("lengths", "tasks")
            raise ValueError(f"{have} are given but no {lack}: training cells need both")
        if self.tasks and isinstance(self.backbone, Shape):
            raise ValueError(
                "backbone: a configuration with random weights has costs, but no scores that mean "
                "anything: remove tasks and lengths, and keep the probe"
            )
        if not self.tasks and self.probe is None:
            raise ValueError("nothing to run: give tasks and lengths, or a probe")
        for key in ("test_lengths", "forgetting"):
            if getattr(self.train, key) and not (self.tasks and self.train.test_examples):
                raise ValueError(f"train.{key} needs tasks and train.test_examples above 0")
        return self

    @model_validator(mode="after")
    def _fits_context(self) -> Sweep:
        context, others = self.train.context, self.train.test_lengths
        lengths = [*self.lengths, *(others if isinstance(others, list) else [])]
        if isinstance(context, Context) and lengths:
            if context.targets >= min(lengths):
                raise ValueError(
                    f"train.context.targets: {context.targets} scored tokens need a length of at "
                    f"least {context.targets + 1} (found {min(lengths)})"
                )
            if context.window is not None and context.window < max(lengths):
                raise ValueError(
                    f"train.context.window: {context.window} is shorter than the longest length, "
                    f"{max(lengths)}"
                )
        return self


def _method(entry: Any) -> Any:
    """Convert `full` or `lora: {…}` into the fields of `Method`; other keys are options."""
    if isinstance(entry, str):
        return {"type": entry}
    if not (isinstance(entry, dict) and len(entry) == 1):
        raise ValueError(
            f"each method is a name, or one name with its settings in braces (found {entry!r:.60})"
        )
    ((name, settings),) = entry.items()
    if not isinstance(name, str):
        raise ValueError(f"the name of a method is a text: put {name!r} in quotes")
    settings = {} if settings is None else settings
    if not isinstance(settings, dict):
        raise ValueError(f"the settings of '{name}' must be keys and values")
    for key in settings:
        if not isinstance(key, str):
            if meant := comma_in(settings):
                raise ValueError(f"{name}.{meant}")
            raise ValueError(f"{name}: a key is a text: put {key!r} in quotes")
    own = set(Method.model_fields) - {"type", "options"}
    options = {k: v for k, v in settings.items() if k not in own}
    return {"type": name, "options": options, **{k: settings[k] for k in settings if k in own}}


def load_sweep(path: Path, overrides: Sequence[str] = ()) -> Sweep:
    """Read and check a sweep file, with `key=value` overrides (dots separate nested keys).

    Paths of tasks in files become absolute: they are relative to the sweep file.

    Raises:
        BadInput: the file or an override is wrong; one line says where.
    """
    data = read_yaml(path)
    for override in overrides:
        _override(data, override)
    try:
        sweep = Sweep.model_validate(data)
    except ValidationError as error:
        raise explain(error, Sweep, str(path)) from None
    if not sweep.data_entries:
        return sweep
    tasks = [e if isinstance(e, str) else e.located(path.parent) for e in sweep.tasks]
    return sweep.model_copy(update={"tasks": tasks})


def _override(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    override = override if len(override) <= 80 else override[:79] + "…"
    if not equals or not all(part.strip() for part in key.split(".")):
        raise BadInput(f"--set {override}: expected key=value, for example train.examples=64")
    *parents, last = key.strip().split(".")
    for part in parents:
        inner = data.setdefault(part, {})
        if not isinstance(inner, dict):
            raise BadInput(f"--set {override}: {part} has no keys below it")
        data = inner
    data[last] = parse_yaml(text, f"--set {override}")


def same_cells(one: str, other: str) -> bool:
    """Whether two sweep files have the same cells and limits: they differ in what is kept at most.

    Raises:
        BadInput: a text is not YAML.
    """

    def asked(text: str) -> Any:
        data = parse_yaml(text, "sweep")
        if isinstance(data, dict):
            data = {k: v for k, v in data.items() if k not in ("keep", "keep_full")}
            limits = data.pop("limits", None)
            if isinstance(limits, dict):
                limits.pop("checkpoint_seconds", None)
            return data, limits or None
        return data

    return bool(asked(one) == asked(other))


def as_file(sweep: Sweep, folder: Path | None = None) -> dict[str, Any]:
    """Return a sweep in the form of its file: methods as one-key mappings, only given settings.

    Paths are relative to `folder`, where the file will be, if it is given.
    """
    data = sweep.model_dump(exclude_unset=True)
    methods: list[Any] = []
    for method in sweep.methods:
        settings = method.model_dump(exclude_unset=True, exclude={"type", "options"})
        settings |= method.options
        methods.append({method.type: settings} if settings else method.type)
    if sweep.tasks:
        data["tasks"] = [e if isinstance(e, str) else e.as_given(folder) for e in sweep.tasks]
    return {**data, "methods": methods}
