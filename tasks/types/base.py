"""What a task type defines: everything that depends on the form of examples and answers.

The defaults are those of types with a classification head. To add a type, add a file to this
folder with a subclass of `TaskType`. Methods may import torch; modules may not.
"""

from __future__ import annotations

from abc import ABC
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from harness.core.errors import printable
from harness.core.metrics import METRICS
from tasks.lib.baseline import tfidf_baseline
from tasks.lib.encoding import IGNORED, Row, encode_texts

if TYPE_CHECKING:
    import torch

    from tasks.base import Example, TaskMetadata

Target = Any
"""What is right for an example, and an answer to it, in a form that JSON can hold."""

Size = Callable[[str], int]
"""The number of tokens of a text."""


class Padded(NamedTuple):
    """A padded batch: ids and mask of shape (rows, tokens), the first token with a loss by row,
    and targets by example."""

    ids: torch.Tensor
    mask: torch.Tensor
    starts: Sequence[int]
    targets: Sequence[Target]


class Window(NamedTuple):
    """Scored tokens that are the same at every length: the last `targets` before token `end`."""

    end: int
    targets: int


class Answered(NamedTuple):
    """Examples for a baseline: the texts of rows, those of an example in sequence, and targets by
    example."""

    texts: Sequence[str]
    targets: Sequence[Target]


class Batch(Protocol):
    """Outputs of the model for a batch of examples.

    Attributes:
        labels: what `batch_labels` returned.
        starts: by row, the first token with a loss, where tokens are predicted.
    """

    labels: torch.Tensor
    starts: Sequence[int]

    @property
    def logits(self) -> torch.Tensor:
        """Of shape (examples, outputs), or (rows, tokens, vocabulary) of a language model."""

    def next_tokens(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss of every token after the first, of shape (rows, tokens - 1), and whether
        it had the highest logit."""

    def generate(self, most: int) -> list[str]:
        """Return up to `most` tokens of text for each prompt, decoded greedily."""


class TaskType(ABC):
    """A form of examples and answers, from their validation to their score."""

    name: ClassVar[str]
    answers: ClassVar[str]
    """The kind of its answers: class, choice, set, number, text or tokens."""
    metric: ClassVar[str]
    """The default metric; a task may choose any other that scores such answers."""
    secondary: ClassVar[tuple[str, ...]] = ()
    """Metrics that are reported beside it."""
    fields: ClassVar[tuple[str, ...]] = ()
    """Fields that an example may fill beside `id`, `text` and `label`."""
    uses_lm_head: ClassVar[bool] = False
    """Whether the model predicts tokens; else it gets a linear head of `head_size` outputs."""
    decodes: ClassVar[bool] = False
    """Whether the model writes its answers token by token."""
    has_windows: ClassVar[bool] = False
    """Whether `windowed` can make rows of a `Window`."""
    has_labels: ClassVar[bool] = True
    """Whether the metadata names labels, of which `label` of an example is an index."""
    has_baseline: ClassVar[bool] = True
    """Whether a sweep runs the TF-IDF baseline."""
    card_baselines: ClassVar[tuple[str, str]] = ("best constant", "TF-IDF")
    """Names of the two baselines of a card."""
    same_for_all: ClassVar[str] = ""
    """What `shape` must be equal in, in words."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that a task may be evaluated by; the first is the default."""
        others = (m.name for m in METRICS.values() if self.answers in m.answers)
        return tuple(dict.fromkeys((self.metric, *others)))

    # Validation.

    def metadata_fault(self, metadata: TaskMetadata) -> str:
        """Return what is wrong with the metadata; "" if nothing is."""
        if self.has_labels:
            return "labels: at least two are needed" if len(metadata.labels) < 2 else ""
        return f"labels: {self.name} has none" if metadata.labels else ""

    def fault(self, metadata: TaskMetadata, example: Example) -> str:
        """Return what makes an example invalid, as in "has a label out of range"; "" if nothing.

        Types of texts are checked by the caller (`tasks.contract`).
        """
        return label_fault([example.label], len(metadata.labels)) if self.has_labels else ""

    def shape(self, example: Example) -> Any:
        """Return what must be equal for all examples of a task."""
        return ()

    def valid_shape(self, shape: Any) -> bool:
        """Whether a task may have examples of this shape."""
        return True

    def findings(self, example: Example) -> Iterator[str]:
        """Yield what looks like a mistake in an example, as in "an empty second text"."""
        for place, text in enumerate(self.texts(example)[1:], 2):
            if not text.strip():
                yield f"an empty {'second' if place == 2 else f'{place}th'} text"

    # Data.

    def texts(self, example: Example) -> tuple[str, ...]:
        """Return the texts that make two examples duplicates: one, or two in either order."""
        return (example.text,)

    def content(self, example: Example) -> Hashable:
        """Return what is equal for two examples with the same texts."""
        texts = self.texts(example)
        return texts[0] if len(texts) == 1 else frozenset(texts)

    def labels(self, example: Example) -> tuple[int, ...]:
        """Return the labels of an example as indices into `label_names`."""
        return (int(example.label),) if self.has_labels else ()

    def label_names(self, metadata: TaskMetadata, example: Example) -> Sequence[str]:
        """Return the names of all labels; `example` is any example of the task."""
        return metadata.labels

    def counts(self, metadata: TaskMetadata, examples: Sequence[Example]) -> dict[str, int]:
        """Return how many examples have each label, for the card."""
        counts = Counter(label for example in examples for label in self.labels(example))
        names = self.label_names(metadata, examples[0]) if examples else ()
        return {name: counts[label] for label, name in enumerate(names)}

    def answer_text(self, metadata: TaskMetadata, example: Example) -> str:
        """Return the right answer of an example, for the card."""
        return ", ".join(metadata.labels[label] for label in self.labels(example))

    def target(self, example: Example) -> Target:
        """Return what is right; plain numbers, since plug-ins may use those of NumPy."""
        return int(example.label)

    # Encoding.

    def two_texts(self, example: Example) -> bool:
        """Whether the tokenizer gets a pair of texts."""
        return False

    def others(self, example: Example) -> list[str]:
        """Return for each row of an example the text that follows it; "" if there is none."""
        return [example.second] if self.two_texts(example) else [""]

    def prompt_ends(self, example: Example) -> list[str]:
        """Return the same with all words that the model gets to read."""
        return self.others(example)

    def keeps_others(self) -> bool:
        """Whether only the text is cut, and what follows it is kept whole."""
        return False

    def reserved(self, metadata: TaskMetadata) -> int:
        """Return the tokens that are kept free for an answer."""
        return 0

    def encode(
        self, examples: Sequence[Example], tokenizer: Any, length: int, metadata: TaskMetadata
    ) -> list[Row]:
        """Return rows of at most `length` tokens, as many for each example as `others`."""
        others = [self.others(example) for example in examples]
        texts = [e.text for e, rows in zip(examples, others, strict=True) for _ in rows]
        seconds = [other for rows in others for other in rows]
        two = self.two_texts(examples[0])
        return encode_texts(
            tokenizer, texts, seconds if two else None, length, metadata.name, self.keeps_others()
        )

    def windowed(self, row: Row, tokenizer: Any, length: int, window: Window) -> Row:
        """Return the last `length` tokens of a row of `window.end` tokens."""
        raise NotImplementedError(f"{self.name} has no windows")

    # Model.

    def head_size(self, metadata: TaskMetadata) -> int:
        """Return the number of outputs of the head for a row."""
        return len(metadata.labels)

    def batch_labels(self, batch: Padded, metadata: TaskMetadata) -> torch.Tensor:
        """Return what the loss compares with.

        Of shape (examples,) or (examples, labels); of a language model token ids of shape (rows,
        tokens), IGNORED where there is no loss.
        """
        import torch

        if not self.uses_lm_head:
            return torch.tensor(batch.targets)
        before = torch.arange(batch.ids.shape[1]) < torch.tensor(batch.starts)[:, None]
        return batch.ids.masked_fill(before | (batch.mask == 0), IGNORED)

    def loss(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean loss of a batch, and the logits of shape (examples, answers).

        Args:
            logits: of the head, of shape (rows, `head_size`), float32.
            labels: what `batch_labels` returned.
        """
        from torch.nn import functional as F

        return F.cross_entropy(logits, labels), logits

    def predict(self, batch: Batch, metadata: TaskMetadata) -> list[Target]:
        """Return the answer to each example of a batch."""
        best: list[Target] = batch.logits.argmax(-1).tolist()
        return best

    # Scores.

    def mean_loss(self, answers: Sequence[Target], mean: float) -> float:
        """Return the loss over all examples, given the mean of their batches' losses."""
        return mean

    def score(
        self, answers: Sequence[Target], targets: Sequence[Target], metadata: TaskMetadata
    ) -> dict[str, Any]:
        """Return the scores of a test with at least one example, as `harness.core.result.Scores`.

        The task's metric with its 95 % interval, the secondary metrics, and the score of the best
        constant answer.
        """
        metric = metadata.metric
        value, low, high = METRICS[metric].score_with_interval(answers, targets)
        scores = {
            "metric": metric,
            "score": value,
            "score_low": low,
            "score_high": high,
            "test_examples": len(targets),
            "majority": self.constant_score(targets, metadata),
        }
        if metric == "accuracy":
            scores |= {"accuracy": value, "accuracy_low": low, "accuracy_high": high}
        if self.secondary:
            each = {name: METRICS[name].score(answers, targets) for name in self.secondary}
            scores["secondary"] = each
        return scores

    def predictions(
        self, answers: Sequence[Target], targets: Sequence[Target], metadata: TaskMetadata
    ) -> dict[str, list[Any] | None]:
        """Return what is kept of each example, as `harness.core.result.Predictions`."""
        metric = METRICS[metadata.metric]
        scores = metric.example_scores(answers, targets) if metric.by_text else None
        return {"labels": list(targets), "predicted": list(answers), "scores": scores}

    # Baselines.

    def baseline(
        self, train: Answered, texts: Sequence[str], metadata: TaskMetadata
    ) -> list[Target]:
        """Return answers to rows of text by a linear model on TF-IDF features."""
        return list(tfidf_baseline(train.texts, train.targets, texts))

    def constant_score(self, targets: Sequence[Target], metadata: TaskMetadata) -> float | None:
        """Return the score of the best constant answer to these targets; None without one."""
        if not targets:
            return None
        best = Counter(targets).most_common(1)[0][0]
        return METRICS[metadata.metric].score([best] * len(targets), targets)

    def card_scores(
        self, train: Answered, test: Answered, tokens: Size, metadata: TaskMetadata
    ) -> tuple[float, float]:
        """Return the scores of `card_baselines` on the test texts."""
        predicted = self.baseline(train, test.texts, metadata)
        constant = self.constant_score(test.targets, metadata)
        return constant or 0.0, METRICS[metadata.metric].score(predicted, test.targets)

    # Export to lm-eval.

    def export_fault(self) -> str:
        """Return why lm-eval cannot have such a task; "" if it can."""
        return ""

    def export_config(self, metadata: TaskMetadata) -> dict[str, Any]:
        """Return the fields of an lm-eval task that depend on the type."""
        return {
            "output_type": "multiple_choice",
            "doc_to_target": "gold",
            "doc_to_choice": "choices",
            "metric_list": [
                {"metric": metric, "aggregation": "mean", "higher_is_better": True}
                for metric in ("acc", "acc_norm")
            ],
        }

    def export_row(
        self, metadata: TaskMetadata, example: Example, rows: Sequence[Row]
    ) -> dict[str, Any]:
        """Return the fields of an exported example, given its rows as the model reads them."""
        text, other = rows[0].texts
        return {
            "prompt": f"{text}\n\n{other}" if other else text,
            "choices": list(metadata.labels),
            "gold": int(example.label),
        }


def label_fault(labels: Sequence[Any], size: int) -> str:
    """Return which of these labels is not in 0 to size - 1; "" if all are."""
    if wrong := [label for label in labels if label not in range(size)]:
        return f"has a label out of range: {wrong[0]!r}, not one of 0 to {size - 1}"
    return ""


def shown(text: str, most: int = 120) -> str:
    """Return a text as one printable line; of a long one the beginning and the end."""
    parts = [text] if len(text) <= 2 * most else [text[:most], text[-most:]]
    return " … ".join(printable(" ".join(part.split())) for part in parts)
