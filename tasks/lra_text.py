"""Text of the Long Range Arena: film reviews as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tasks import imdb
from tasks.base import Example, TaskMetadata
from tasks.hub import _HubTask, hub_metadata
from tasks.release import byte_words

BYTES = 4096


class LraText(_HubTask):
    """IMDb, a word a byte. The arena validates on the test set; here validation is cut from train.

    The texts are the published ones, with their `<br />`, as the arena reads them.
    """

    repository, revision, configuration = imdb.REPOSITORY, imdb.REVISION, "plain_text"
    parts = ("train", "", "test")
    columns = ("text", "label")
    metadata: ClassVar[TaskMetadata] = hub_metadata(
        name="lra_text",
        title="Text (Long Range Arena): IMDb as bytes",
        description="Whether a film review is positive, a token a byte.",
        labels=("negative", "positive"),
        repository=imdb.REPOSITORY,
        commit=imdb.REVISION,
        licence="not stated by its publishers",
        citation="Tay et al., Long Range Arena, ICLR 2021; Maas et al., ACL 2011",
        natural_length=980,
        lengths=(1024, 2048, 4098),
        balanced=True,
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """The first 4096 bytes."""
        return Example(name, byte_words(row["text"], BYTES), self.label(row["label"]))
