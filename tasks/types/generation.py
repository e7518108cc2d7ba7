"""A text to write: the answer to a question about a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness.core.metrics import METRICS
from tasks.lib.baseline import nearest_texts
from tasks.lib.encoding import (
    Row,
    check_room,
    end_of_text,
    first_token,
    front,
    plain_tokens,
)
from tasks.types.base import Answered, Batch, Size, Target, TaskType, shown

if TYPE_CHECKING:
    from tasks.base import Example, TaskMetadata


class Generation(TaskType):
    """`second` is the question; `answers` are right, and the first is trained on."""

    name = "generation"
    answers, metric = "text", "rouge_l"
    secondary = ("rouge_l", "exact_match")
    fields = ("second", "answers")
    has_labels = False
    uses_lm_head = True
    decodes = True
    card_baselines = ("commonest answer", "TF-IDF, nearest")

    def findings(self, example: Example) -> Iterator[str]:
        if not example.answers or not all(answer.strip() for answer in example.answers):
            yield "an example without an answer, or with an empty one"

    def answer_text(self, metadata: TaskMetadata, example: Example) -> str:
        return shown(example.answers[0]) if example.answers else ""

    def target(self, example: Example) -> Target:
        return tuple(map(str, example.answers))

    def others(self, example: Example) -> list[str]:
        return [example.second]

    def prompt_ends(self, example: Example) -> list[str]:
        """What stands between the text and the answer."""
        return [f"\n\n{example.second}\nAnswer:" if example.second else "\n\nAnswer:"]

    def reserved(self, metadata: TaskMetadata) -> int:
        """The longest answer: training and test texts are cut alike, and an answer fits."""
        return metadata.answer_tokens

    def encode(
        self, examples: Sequence[Example], tokenizer: Any, length: int, metadata: TaskMetadata
    ) -> list[Row]:
        """The text, the question, the first answer and the end of text; only the text is cut."""
        begin = first_token(tokenizer)
        rows = []
        for example in examples:
            asked = plain_tokens(tokenizer, self.prompt_ends(example)[0])["input_ids"]
            room = length - len(begin) - len(asked) - metadata.answer_tokens
            check_room(length - room, length - 1, length, metadata.name)
            ids, end = front(tokenizer, example.text, room)
            answer = f" {example.answers[0]}" if example.answers else ""
            answer_ids = plain_tokens(tokenizer, answer)["input_ids"]
            closed = [*answer_ids[: metadata.answer_tokens - 1], end_of_text(tokenizer)]
            prompt = [*begin, *ids, *asked]
            texts = (example.text[:end], example.second)
            cut = end < len(example.text)
            rows.append(Row([*prompt, *closed], None, texts, cut, len(prompt)))
        return rows

    def predict(self, batch: Batch, metadata: TaskMetadata) -> list[Target]:
        """The texts that the model writes."""
        return list(batch.generate(metadata.answer_tokens))

    def baseline(
        self, train: Answered, texts: Sequence[str], metadata: TaskMetadata
    ) -> list[Target]:
        """The first right answer of the training text with the most similar words."""
        firsts = [target[0] if target else "" for target in train.targets]
        return [firsts[k] for k in nearest_texts(train.texts, texts)]

    def constant_score(self, targets: Sequence[Target], metadata: TaskMetadata) -> float | None:
        """None: texts are not drawn from a set."""
        return None

    def card_scores(
        self, train: Answered, test: Answered, tokens: Size, metadata: TaskMetadata
    ) -> tuple[float, float]:
        """The most frequent answer of the training texts, and `baseline`."""
        common = Counter(train.targets).most_common(1)[0][0]
        predicted = self.baseline(train, test.texts, metadata)
        metric = METRICS[metadata.metric]
        constant = [common[0] if common else ""] * len(test.targets)
        return metric.score(constant, test.targets), metric.score(predicted, test.targets)

    def export_config(self, metadata: TaskMetadata) -> dict[str, Any]:
        """Greedy generation up to the end of a line."""
        # An answer begins with the space behind "Answer:".
        trimmed = [{"function": "remove_whitespace"}, {"function": "take_first"}]
        return {
            "output_type": "generate_until",
            "doc_to_target": "answers",
            "generation_kwargs": {
                "until": ["\n"],
                "do_sample": False,
                "max_gen_toks": metadata.answer_tokens,
            },
            "filter_list": [{"name": "none", "filter": trimmed}],
            "metric_list": [
                {
                    "metric": "exact_match",
                    "aggregation": "mean",
                    "higher_is_better": True,
                    "ignore_case": True,
                    "ignore_punctuation": True,
                }
            ],
        }

    def export_row(
        self, metadata: TaskMetadata, example: Example, rows: Sequence[Row]
    ) -> dict[str, Any]:
        prompt = rows[0].texts[0] + self.prompt_ends(example)[0]
        return {"prompt": prompt, "answers": [str(answer) for answer in example.answers]}
