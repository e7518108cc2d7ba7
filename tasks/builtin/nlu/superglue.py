"""SuperGLUE: BoolQ, COPA, MultiRC, WiC and WSC, from the hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tasks.base import Example, TaskMetadata
from tasks.lib.hub import _HubTask, hub_metadata

REPOSITORY = "aps/super_glue"
REVISION = "3de24cf8022e94f4ee4b9d55a6f539891524d646"


def _metadata(name: str, title: str, **fields: Any) -> TaskMetadata:
    return hub_metadata(
        **{
            "name": f"superglue_{name}",
            "title": f"SuperGLUE {title}",
            "family": "pair",
            "labels": ("false", "true"),
            "repository": REPOSITORY,
            "commit": REVISION,
            "licence": "each task's own; see its publishers",
            "citation": "Wang et al., SuperGLUE, NeurIPS 2019",
            "lengths": (64, 128),
            "whole_texts": True,
            "test": "validation",
            **fields,
        }
    )


class _SuperGlue(_HubTask):
    """Test labels are not published: validation is used as test, and train is divided."""

    repository, revision = REPOSITORY, REVISION
    pinned_by = "version"
    parts = ("train", "", "validation")
    synonyms: ClassVar[Mapping[str, str]] = {"no": "false", "yes": "true"}


class BoolQ(_SuperGlue):
    """A question with the answer yes or no, on a passage."""

    configuration, columns = "boolq", ("passage", "question", "label")
    metadata: ClassVar[TaskMetadata] = _metadata(
        "boolq",
        "BoolQ",
        description="Whether the answer to a question on a passage is yes.",
        natural_length=140,
        lengths=(128, 256, 512),
        balanced=False,
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """The passage first, the question second."""
        return Example(name, row["passage"], self.label(row["label"]), second=row["question"])


class Copa(_SuperGlue):
    """The more plausible cause or effect, of two."""

    configuration, columns = "copa", ("premise", "question", "choice1", "choice2", "label")
    label_names, synonyms = ("choice1", "choice2"), {}
    metadata: ClassVar[TaskMetadata] = _metadata(
        "copa",
        "COPA",
        family="choice",
        labels=(),
        description="The more plausible cause or effect of a premise, of two.",
        natural_length=22,
        min_length=64,
        balanced=True,
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """The question is "cause" or "effect"."""
        if row["question"] not in ("cause", "effect"):
            raise ValueError("neither a cause nor an effect")
        asked = "What was the cause?" if row["question"] == "cause" else "What happened then?"
        choices = (row["choice1"], row["choice2"])
        return Example(name, row["premise"], row["label"], second=asked, choices=choices)


class MultiRC(_SuperGlue):
    """Is an answer to a question on a paragraph correct? Each answer is one example."""

    configuration, columns = "multirc", ("paragraph", "question", "answer", "label")
    metadata: ClassVar[TaskMetadata] = _metadata(
        "multirc",
        "MultiRC",
        description="Whether an answer to a question on a paragraph is correct.",
        natural_length=340,
        lengths=(128, 256, 512),
        balanced=True,
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """The paragraph first, the question with the answer second."""
        second = f"{row['question']} {row['answer']}"
        return Example(name, row["paragraph"], self.label(row["label"]), second=second)


class Wic(_SuperGlue):
    """Does a word mean the same in two sentences?"""

    configuration, columns = "wic", ("sentence1", "sentence2", "word", "label")
    metadata: ClassVar[TaskMetadata] = _metadata(
        "wic",
        "WiC",
        description="Whether a word has the same sense in two sentences.",
        natural_length=24,
        balanced=True,
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """The word precedes the first sentence."""
        first = f"{row['word']}: {row['sentence1']}"
        return Example(name, first, self.label(row["label"]), second=row["sentence2"])


class Wsc(_SuperGlue):
    """Does a pronoun refer to a name?"""

    configuration, columns = "wsc", ("text", "span1_text", "span2_text", "label")
    metadata: ClassVar[TaskMetadata] = _metadata(
        "wsc",
        "WSC",
        description="Whether a pronoun in a text refers to a given name.",
        natural_length=32,
        balanced=True,
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """The second text contains the name and the pronoun."""
        second = f"{row['span2_text']}: {row['span1_text']}"
        return Example(name, row["text"], self.label(row["label"]), second=second)
