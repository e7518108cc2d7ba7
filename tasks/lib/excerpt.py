"""One example of a task, for its card: how its text begins and ends, and its answer."""

from __future__ import annotations

from tasks.base import WRITING, Example, TaskMetadata, printable
from tasks.findings import targets

SHOWN = 120
"""Characters of a text's beginning and of its end."""


def excerpt(metadata: TaskMetadata, example: Example) -> dict[str, str]:
    """Describe an example by printable texts of bounded length.

    `text` and `second` are whole, or their beginning and end; `answer` is "" where text is read.
    """
    found = {"text": _shown(example.text), "second": _shown(example.second)}
    return {
        **{key: text for key, text in found.items() if text},
        "answer": _answer(metadata, example),
    }


def _answer(metadata: TaskMetadata, example: Example) -> str:
    if metadata.family in WRITING:
        return _shown(example.answers[0]) if example.answers else ""
    if metadata.family == "choice":
        return _shown(example.choices[example.label])
    return ", ".join(metadata.labels[label] for label in targets(metadata, example)) or "(none)"


def _shown(text: str) -> str:
    """A text as one printable line; of a long one the beginning and the end."""
    parts = [text] if len(text) <= 2 * SHOWN else [text[:SHOWN], text[-SHOWN:]]
    return " … ".join(printable(" ".join(part.split())) for part in parts)
