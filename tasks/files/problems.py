"""Collects what is wrong with rows, so that all of it is reported at once."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.base import printable

LISTED = 5
"""Rows that are named for each kind of problem; the others are counted."""


class Problems:
    """Errors and warnings by kind; each kind becomes one line with its first rows."""

    def __init__(self) -> None:
        self._errors: dict[tuple[str, str, str], list[str]] = {}
        self._warnings: dict[tuple[str, str, str], list[str]] = {}

    def error(self, file: str, what: str, advice: str, *places: str) -> None:
        """Add an error; `what` and `advice` are the same for all rows of its kind."""
        self._errors.setdefault((file, what, advice), []).extend(places)

    def warn(self, file: str, what: str, advice: str, *places: str) -> None:
        """Add a warning."""
        self._warnings.setdefault((file, what, advice), []).extend(places)

    @property
    def errors(self) -> list[str]:
        """One line for each kind."""
        return [_line(*kind, places) for kind, places in self._errors.items()]

    @property
    def warnings(self) -> list[str]:
        """One line for each kind."""
        return [_line(*kind, places) for kind, places in self._warnings.items()]


def _line(file: str, what: str, advice: str, places: list[str]) -> str:
    where = f"{listed(places)}: " if places else ""
    start = f"{file}: " if file else ""
    return printable(f"{start}{where}{what}{': ' + advice if advice else ''}")


def listed(places: Sequence[str], most: int = LISTED) -> str:
    """Return the first of these places, and how many more there are."""
    more = f" and {len(places) - most:,} more" if len(places) > most else ""
    shown = [*places[:most]]
    words = [place.partition(" ") for place in shown]
    if len(shown) > 1 and len({first for first, _, _ in words}) == 1 and all(n for *_, n in words):
        return f"{words[0][0]}s {', '.join(number for *_, number in words)}{more}"
    return f"{', '.join(shown)}{more}"
