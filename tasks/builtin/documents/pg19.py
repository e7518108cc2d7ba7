"""PG-19: whole books from before 1919, for language modelling. From the hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tasks.base import Example, TaskMetadata
from tasks.lib.hub import _HubTask, hub_metadata

REPOSITORY = "emozilla/pg19"


class Pg19(_HubTask):
    """A copy in Parquet, because the publishers' repository needs a loading script."""

    repository = REPOSITORY
    columns = ("text",)
    pinned_by = "version"
    metadata: ClassVar[TaskMetadata] = hub_metadata(
        name="pg19",
        title="PG-19, books",
        description="Loss of the next token in books of Project Gutenberg from before 1919.",
        family="language_modelling",
        repository=REPOSITORY,
        commit=None,
        licence="Apache-2.0 (the collection); the books are in the public domain",
        citation="Rae et al., Compressive Transformers, ICLR 2020",
        natural_length=90_000,
        lengths=(512, 1024, 2048, 4096, 8192, 16384),
    )

    def example(self, name: str, row: Mapping[str, Any]) -> Example:
        """A book; its beginning is read."""
        return Example(name, row["text"])
