"""IMDb film reviews, classified as positive or negative. From the hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tasks.base import Example, TaskMetadata
from tasks.lib.hub import _HubTask, hub_metadata

REPOSITORY = "stanfordnlp/imdb"
REVISION = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"

SYNONYMS = {"neg": "negative", "pos": "positive"}
"""Names of the labels on the hub."""


class Imdb(_HubTask):
    """25,000 training reviews, of which 2,000 are for validation, and 25,000 test reviews."""

    repository, revision, configuration = REPOSITORY, REVISION, "plain_text"
    parts = ("train", "", "test")
    columns = ("text", "label")
    synonyms = SYNONYMS
    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = hub_metadata(
        name="imdb",
        title="IMDb film reviews",
        description="Whether a film review is positive.",
        labels=("negative", "positive"),
        repository=REPOSITORY,
        commit=REVISION,
        licence="not stated by its publishers",
        citation="Maas et al., Learning Word Vectors for Sentiment Analysis, ACL 2011",
        natural_length=230,
        lengths=(64, 128, 256, 512, 1024),
        balanced=True,
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """The review, with spaces for its line breaks (`<br />`)."""
        return Example(name, row["text"].replace("<br />", " "), self.label(row["label"]))
