"""The sweep file: all its keys, and how it is read, changed and written.

Parts of it are in `keys/`. Whether a task, a backbone or a PEFT method exists is checked in
`plan.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from harness.core.card import Rule
from harness.core.errors import BadInput, nearest
from harness.core.methods import HEAD
from harness.planning.keys.method import Method, method_fields
from harness.planning.keys.run import Declared, Limits, LmEval, Probe, Shape, form_of_backbone
from harness.planning.keys.train import Context, Train
from harness.planning.keys.values import Length, Seed, Strict, distinct
from harness.planning.levers import LeverEntries, LeverEntry
from harness.planning.validation import explain
from harness.planning.yaml_files import parse_yaml, read_yaml
from tasks.files import DataEntry

MECHANISM = "mechanism"
CONTROLS = (HEAD, MECHANISM)
"""Values of the key `controls`."""


def _distinct_tasks(value: list[str | DataEntry]) -> list[str | DataEntry]:
    distinct([task_name(entry) for entry in value])
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


class Sweep(Strict):
    """A whole sweep file. Field names are the file's keys; unknown keys are refused."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    backbone: Annotated[
        Annotated[str, Tag("a name")] | Annotated[Shape, Tag("a shape")],
        Discriminator(form_of_backbone),
    ]
    tasks: Annotated[list[TaskEntry], AfterValidator(_distinct_tasks)] = Field(default_factory=list)
    lengths: Annotated[list[Length], AfterValidator(distinct)] = Field(default_factory=list)
    methods: Annotated[list[Method], Field(min_length=1)]
    controls: Annotated[list[str], AfterValidator(_controls), AfterValidator(distinct)] = Field(
        default=[HEAD]
    )
    """Arms that are added to show what an adapter gains (`planning/controls.py`)."""
    levers: LeverEntries = Field(default=[LeverEntry()])
    """Every arm runs with every entry."""
    match: Literal["sites", "parameters"] = "sites"
    """What arms share: rank and sites, or the number of parameters (`costs/matching.py`)."""
    seeds: Annotated[list[Seed], Field(min_length=1), AfterValidator(distinct)] = Field(default=[0])
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
        return [method_fields(entry) for entry in value] if isinstance(value, list) else value

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
