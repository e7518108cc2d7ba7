"""NarrativeQA: questions on summaries of books and films; answers are generated. From the hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tasks.base import Example, TaskMetadata
from tasks.lib.hub import _HubTask, hub_metadata

REPOSITORY = "deepmind/narrativeqa"


class NarrativeQa(_HubTask):
    """The setting with summaries: the text is the Wikipedia plot; both answers are correct.

    A story is in one split only. The setting with whole books and scripts is not used, because only
    their beginning would be read at the lengths of this project.
    """

    repository = REPOSITORY
    columns = ("document.summary.text", "question.text", "answers.*.text")
    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = hub_metadata(
        name="narrativeqa",
        title="NarrativeQA, from summaries",
        description="Answer to a question on a story's summary, generated.",
        family="generation",
        metric="rouge_l",
        answer_tokens=32,
        repository=REPOSITORY,
        commit=None,
        licence="Apache-2.0 (questions and answers); summaries from Wikipedia, CC BY-SA",
        citation="Kocisky et al., The NarrativeQA Reading Comprehension Challenge, TACL 2018",
        natural_length=750,
        lengths=(256, 512, 1024, 2048),
        min_length=128,
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """The summary can be cut to the length; the question is not cut."""
        answers = tuple(answer["text"] for answer in row["answers"])
        if not answers or not all(answer.strip() for answer in answers):
            raise ValueError("no answer")
        return Example(
            name,
            row["document"]["summary"]["text"],
            second=row["question"]["text"],
            answers=answers,
        )
