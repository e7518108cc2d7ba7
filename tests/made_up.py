"""What is said of a task that a test makes up."""

from __future__ import annotations

from typing import Any

from tasks import Family, TaskMetadata

LABELLED: tuple[Family, ...] = ("classification", "pair", "multilabel")


def metadata(family: Family = "classification", **more: Any) -> TaskMetadata:
    """Metadata of a family, with three labels where it has any."""
    given = {
        "name": "made_up",
        "title": "made up",
        "description": "made up",
        "family": family,
        "labels": ("a", "b", "c") if family in LABELLED else (),
        "source": "generated",
        "revision": "1",
        "licence": "none",
        "citation": "none",
        "natural_length": 10,
        "lengths": (16,),
    }
    return TaskMetadata(**given | more)
