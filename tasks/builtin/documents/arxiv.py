"""arXiv papers, classified by field. From the hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tasks.base import Example, TaskMetadata
from tasks.lib.hub import _HubTask, hub_metadata

REPOSITORY = "ccdv/arxiv-classification"
FIELDS = (
    "math.AC",
    "cs.CV",
    "cs.AI",
    "cs.SY",
    "math.GR",
    "cs.CE",
    "cs.PL",
    "cs.IT",
    "cs.DS",
    "cs.NE",
    "math.ST",
)


class Arxiv(_HubTask):
    """Papers of eleven fields, in the version without the name of the field in the text."""

    repository, configuration = REPOSITORY, "no_ref"
    columns = ("text", "label")
    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = hub_metadata(
        name="arxiv",
        title="arXiv papers, eleven fields",
        description="Field of a paper from its whole text; mentions of the field are removed.",
        labels=FIELDS,
        repository=REPOSITORY,
        commit=None,
        licence="each paper by its authors",
        citation="He et al., Long Document Classification From Local Word Glimpses, 2019",
        natural_length=12_000,
        lengths=(512, 1024, 2048, 4096, 8192),
        balanced=False,
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """The text, unchanged."""
        return Example(name, row["text"], self.label(row["label"]))
