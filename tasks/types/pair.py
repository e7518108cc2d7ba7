"""One of several labels for two texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.types.classification import Classification

if TYPE_CHECKING:
    from tasks.base import Example


class Pair(Classification):
    """As classification, of `text` and `second`; the end of the longer one is cut."""

    name = "pair"
    fields = ("second",)

    def texts(self, example: Example) -> tuple[str, ...]:
        """Both: a passage may come with another second text."""
        return (example.text, example.second)

    def two_texts(self, example: Example) -> bool:
        """Always."""
        return True
