"""GLUE: nine tasks on sentences, from the hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tasks.base import Example, TaskMetadata
from tasks.lib.hub import _HubTask, hub_metadata

REPOSITORY = "nyu-mll/glue"
REVISION = "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"


def _metadata(name: str, title: str, **fields: Any) -> TaskMetadata:
    return hub_metadata(
        **{
            "name": f"glue_{name}",
            "title": f"GLUE {title}",
            "family": "pair",
            "repository": REPOSITORY,
            "commit": REVISION,
            "licence": "each task's own; see its publishers",
            "citation": "Wang et al., GLUE, ICLR 2019",
            "lengths": (64, 128),
            "whole_texts": True,
            "test": "validation",
            **fields,
        }
    )


class _Glue(_HubTask):
    """The test labels are not published: the validation split is the test, and train is cut."""

    repository, revision = REPOSITORY, REVISION
    pinned_by = "version"
    parts = ("train", "", "validation")

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """One sentence, or two."""
        texts = [row[column] for column in self.columns[:-1]]
        return Example(name, texts[0], self.label(row["label"]), second="".join(texts[1:]))


class Cola(_Glue):
    """Is the sentence acceptable English?"""

    configuration, columns = "cola", ("sentence", "label")
    metadata: ClassVar[TaskMetadata] = _metadata(
        "cola",
        "CoLA",
        family="classification",
        metric="matthews",
        description="Whether a sentence is acceptable English.",
        labels=("unacceptable", "acceptable"),
        natural_length=10,
        balanced=False,
    )


class Sst2(_Glue):
    """Is the phrase positive?"""

    configuration, columns = "sst2", ("sentence", "label")
    metadata: ClassVar[TaskMetadata] = _metadata(
        "sst2",
        "SST-2",
        family="classification",
        description="Whether a phrase of a film review is positive.",
        labels=("negative", "positive"),
        natural_length=10,
        balanced=True,
    )


class Stsb(_Glue):
    """How similar are two sentences, from 0 to 5?"""

    configuration, columns = "stsb", ("sentence1", "sentence2", "label")
    metadata: ClassVar[TaskMetadata] = _metadata(
        "stsb",
        "STS-B",
        family="regression",
        description="How similar two sentences are, from 0 (unrelated) to 5 (equivalent).",
        value_range=(0.0, 5.0),
        natural_length=30,
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """Two sentences and their similarity."""
        return Example(name, row["sentence1"], second=row["sentence2"], value=row["label"])


class Mrpc(_Glue):
    """Do two sentences say the same?"""

    configuration, columns = "mrpc", ("sentence1", "sentence2", "label")
    metadata: ClassVar[TaskMetadata] = _metadata(
        "mrpc",
        "MRPC",
        description="Whether two sentences from the news say the same.",
        labels=("not_equivalent", "equivalent"),
        natural_length=53,
        balanced=False,
    )


class Qqp(_Glue):
    """Do two questions ask the same?"""

    configuration, columns = "qqp", ("question1", "question2", "label")
    metadata: ClassVar[TaskMetadata] = _metadata(
        "qqp",
        "QQP",
        description="Whether two questions ask the same.",
        labels=("not_duplicate", "duplicate"),
        natural_length=28,
        balanced=False,
    )


class Mnli(_Glue):
    """Does the first sentence imply the second? Tested on the matched genres."""

    configuration, columns = "mnli", ("premise", "hypothesis", "label")
    parts = ("train", "", "validation_matched")
    metadata: ClassVar[TaskMetadata] = _metadata(
        "mnli",
        "MNLI (matched)",
        test="validation_matched",
        description="Whether a sentence implies another, contradicts it, or neither.",
        labels=("entailment", "neutral", "contradiction"),
        natural_length=37,
        balanced=True,
    )


class Qnli(_Glue):
    """Does the sentence hold the answer to the question?"""

    configuration, columns = "qnli", ("question", "sentence", "label")
    metadata: ClassVar[TaskMetadata] = _metadata(
        "qnli",
        "QNLI",
        description="Whether a sentence holds the answer to a question.",
        labels=("entailment", "not_entailment"),
        natural_length=46,
        balanced=True,
    )


class Rte(_Glue):
    """Does the first text imply the second?"""

    configuration, columns = "rte", ("sentence1", "sentence2", "label")
    metadata: ClassVar[TaskMetadata] = _metadata(
        "rte",
        "RTE",
        description="Whether a text implies a sentence.",
        labels=("entailment", "not_entailment"),
        natural_length=57,
        balanced=True,
    )


class Wnli(_Glue):
    """Is the sentence with the pronoun replaced implied?"""

    configuration, columns = "wnli", ("sentence1", "sentence2", "label")
    metadata: ClassVar[TaskMetadata] = _metadata(
        "wnli",
        "WNLI",
        description="Whether a sentence implies itself with a pronoun replaced.",
        labels=("not_entailment", "entailment"),
        natural_length=37,
        balanced=True,
    )
