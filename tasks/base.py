"""What a task is: validated metadata, and one method that yields its examples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from harness.core.cell import NO_CURRICULUM
from harness.core.errors import printable as printable

if TYPE_CHECKING:
    from tasks.types.base import TaskType


class TaskError(Exception):
    """A task that cannot be used: what is missing and how to get it, one line in each argument."""

    def __str__(self) -> str:
        """All lines."""
        return "; ".join(map(str, self.args))


class Download(NamedTuple):
    """Files of a repository on the hub: all of them, or those that the patterns name."""

    repository: str
    revision: str | None = None
    include: tuple[str, ...] = ()

    def command(self) -> str:
        """The command that gets them."""
        command = f"hf download --repo-type dataset {self.repository}"
        if self.revision:
            command += f" --revision {self.revision}"
        return command + "".join(f" --include '{pattern}'" for pattern in self.include)


class MissingData(TaskError):
    """Data that is not on this machine.

    Attributes:
        task: the task's name.
        what: what is missing, in a few words.
        remedy: how it is got, in words that follow a colon.
        download: the files, if the hub has them.
    """

    def __init__(self, task: str, what: str, remedy: str, download: Download | None = None) -> None:
        super().__init__(f"{task}: the data is not on this machine ({what}): {remedy}")
        self.task, self.what, self.remedy, self.download = task, what, remedy, download

    def __reduce__(self) -> tuple[Any, ...]:
        """For a process that hands it on."""
        return type(self), (self.task, self.what, self.remedy, self.download)


Family = str
"""The name of a task type (`tasks.types`)."""


class Example(NamedTuple):
    """One example. Which fields are filled depends on the task type (`tasks/types/`).

    Attributes:
        id: unique within its split, the same at every run.
        text: the text, which is cut to the length.
        label: an index into the metadata's labels (classification, pair) or into `choices`.
        second: pair, regression: the other text, cut like the first; choice, generation: the
            question, never cut.
        labels: multilabel: indices into the metadata's labels, rising; may be empty.
        choices: choice: the answers to choose from, never cut.
        answers: generation: the right answers; the first is trained on.
        value: regression: the number to predict.
        position: the share of the text, without a question at its end, before the first piece of
            evidence that the answer needs, 0 to 1; None if it is not known. It is not trained on.
    """

    id: str
    text: str
    label: int = -1
    second: str = ""
    labels: tuple[int, ...] = ()
    choices: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    value: float | None = None
    position: float | None = None


class Splits(NamedTuple):
    """Train, validation and test; no text, nor a near-duplicate of it, stands in two of them."""

    train: Sequence[Example]
    validation: Sequence[Example]
    test: Sequence[Example]


class TaskMetadata(BaseModel):
    """What is known of a task before its data is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    description: str
    family: Family = "classification"
    """The task type."""
    labels: tuple[str, ...] = ()
    """Names of the classes, for task types that have them."""
    chosen_metric: str | None = Field(default=None, alias="metric")
    """The metric, given as `metric=`; None for the default of the task type."""
    value_range: tuple[float, float] | None = None
    """regression: the lowest and the highest value."""
    answer_tokens: Annotated[int, Field(gt=0)] = 32
    """generation: tokens of an answer, at most; a text leaves room for them."""
    source: str
    """Where the data comes from, in words."""
    revision: str
    """What pins the data: a checksum, a version, or the version of a generator."""
    licence: str
    citation: str
    natural_length: Annotated[int, Field(gt=0)]
    """Median length in tokens before anything is cut (WordPiece)."""
    lengths: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=1)]
    """Lengths in tokens at which the task makes sense."""
    min_length: Annotated[int, Field(gt=0)] = 8
    balanced: bool = True
    """Whether the most frequent label has at most 1.5 times the examples of the rarest."""
    needs_network: bool = False
    published_splits: bool = False
    """Whether the publishers made train and test: shared texts are then reported, not removed."""
    schema_only: bool = False
    """Whether the tests of this project read data with the same columns, but not the real data."""
    whole_texts: bool = False
    """Whether texts shorter than the length, read whole, are the task's normal use: a benchmark of
    short texts or of images of fixed sizes, where a length is a maximum. A sweep may then ask for
    lengths that no text has; results say how long the longest text is."""
    slack: Annotated[int, Field(ge=0)] = 0
    """Tokens by which a generated text may fall short of a length that it fills, because the
    generator counts words, or leaves room for special tokens that a tokenizer does not add. Such
    texts count as reaching the length."""

    @property
    def task_type(self) -> TaskType:
        """The object behind `family`."""
        from tasks.types import task_type

        return task_type(self.family)

    @property
    def metric(self) -> str:
        """The name of the metric that the task is evaluated by (`harness.core.metrics`)."""
        return self.chosen_metric or self.task_type.metrics[0]

    @model_validator(mode="before")
    @classmethod
    def _older_name(cls, data: Any) -> Any:
        """`judged_by` is the name of `metric` in plug-ins of earlier versions."""
        if isinstance(data, dict) and "judged_by" in data:
            return {"metric" if k == "judged_by" else k: v for k, v in data.items()}
        return data

    @field_validator("family")
    @classmethod
    def _known_type(cls, family: str) -> str:
        from tasks.types import task_type

        return task_type(family).name

    @field_validator("title", "description", "source", "revision", "licence", "citation")
    @classmethod
    def _a_line(cls, text: str) -> str:
        if not text.strip() or not text.isprintable():
            raise ValueError("one line is needed, not empty")
        return text

    @model_validator(mode="after")
    def _lengths_rise(self) -> TaskMetadata:
        if list(self.lengths) != sorted(set(self.lengths)):
            raise ValueError("lengths: each is to be greater than the one before")
        if self.lengths[0] < self.min_length:
            raise ValueError(f"lengths: {self.lengths[0]} is less than min_length")
        return self

    @field_validator("labels")
    @classmethod
    def _distinct(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(labels)) < len(labels):
            raise ValueError("two labels have the same name")
        return labels

    @model_validator(mode="after")
    def _fits_the_type(self) -> TaskMetadata:
        if fault := self.task_type.metadata_fault(self):
            raise ValueError(fault)
        if self.metric not in self.task_type.metrics:
            raise ValueError(
                f"metric: '{self.metric}' is not one of {self.family}: "
                f"{', '.join(self.task_type.metrics)}"
            )
        return self


TokenCounter = Callable[[Sequence[str]], Sequence[int]]
"""Words -> the number of tokens of each, where it follows a space."""


class Task(ABC):
    """A source of examples. Subclasses set `metadata` and return `splits`."""

    metadata: ClassVar[TaskMetadata]

    curricula: ClassVar[Mapping[str, str]] = {}
    """Curricula that the task offers beside `none`: name -> a sentence that describes it."""

    pinned_by: ClassVar[Literal["content", "version"]] = "content"
    """`version`: `version()` changes whenever the data changes, as a checksum, a commit or the
    version of a generator does. The declaration holds for classes of the module that makes it,
    because a subclass elsewhere may read other data."""

    token_counter: TokenCounter | None = None
    """Counts tokens as the model that reads the texts (`load_task` sets it); None: as BERT.
    Tasks that fill a length exactly need it."""

    @property
    def count(self) -> TokenCounter | None:
        """The former name of `token_counter`."""
        return self.token_counter

    def prepare(self) -> None:  # noqa: B027  # a generated task has nothing to check
        """Check that the source is complete, and fill the cache. Downloads nothing.

        Raises:
            TaskError: something is missing or damaged.
        """

    def data_warnings(self) -> Sequence[str]:
        """Return what the user should know about the data, one line each; plans and cards show it.

        It is called after `prepare`.
        """
        return ()

    def version(self) -> str:
        """The version that the task declares for its data: by default the metadata's revision."""
        return self.metadata.revision

    def version_pins_content(self) -> bool:
        """Whether `version()` changes with the data, as the task's own module declares."""
        declared = next(cls for cls in type(self).__mro__ if "pinned_by" in vars(cls))
        own = declared.__module__ == type(self).__module__
        return own and declared.pinned_by == "version"  # type: ignore[attr-defined]

    def data_version(self) -> str:
        """The version of the data. It is part of every cell's id, so new data makes new cells.

        It is `version()`, and a digest of the examples (`lib/content.py` has its bounds) unless the
        task declares `pinned_by = "version"`. Cells of tasks without that declaration also record a
        digest of exactly the examples that they read.
        """
        if self.version_pins_content():
            return self.version()
        from tasks.lib.content import content_digest

        return f"{self.version()},content:{content_digest(self)}"

    def pinned(self) -> str:
        """The former name of `data_version`."""
        return self.data_version()

    @abstractmethod
    def splits(self, length: int, seed: int) -> Splits:
        """Examples for texts of up to `length` tokens.

        The seed decides the order of train (and, for generated tasks, the training texts).
        Validation and test are the same for every seed, in a fixed shuffled order, so that seeds
        and methods are compared on the same texts. Callers take the first n examples of each split
        and cut texts to `length` tokens themselves.
        """

    def training(
        self, length: int, seed: int, curriculum: str = NO_CURRICULUM
    ) -> Sequence[Example]:
        """The training split under a curriculum. Tasks with `curricula` override this.

        Raises:
            TaskError: the task does not offer the curriculum.
        """
        self.check_curriculum(curriculum)
        return self.splits(length, seed).train

    def check_curriculum(self, curriculum: str) -> None:
        """Check that the task offers a curriculum.

        Raises:
            TaskError: it does not.
        """
        offered = [NO_CURRICULUM, *self.curricula]
        if curriculum not in offered:
            raise TaskError(
                f"{self.metadata.name}: no curriculum '{curriculum}'; available: "
                f"{', '.join(offered)}"
            )

    def splits_under(self, length: int, seed: int, curriculum: str) -> Splits:
        """`splits` with the training split under a curriculum.

        Raises:
            TaskError: the task does not offer the curriculum.
        """
        splits = self.splits(length, seed)
        if curriculum == NO_CURRICULUM:
            return splits
        return splits._replace(train=self.training(length, seed, curriculum))
