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
        return (example.text, example.second)  # a passage may have several questions

    def two_texts(self, example: Example) -> bool:
        return True
