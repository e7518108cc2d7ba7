"""Training texts that tell the same again and again, taken apart."""

from __future__ import annotations

import re


def tellings(text: str, question: str = r"\?") -> tuple[int, str]:
    """How often a text tells something, and what: all that stands before a question, and it.

    Before the first telling stands the beginning of another or something else, or nothing.
    """
    ends = [found.end() for found in re.finditer(question, text)]
    one = text[ends[-2] + 1 :] if len(ends) > 1 else text
    assert text.endswith(" ".join([one] * len(ends)))
    return len(ends), one
