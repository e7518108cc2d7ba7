"""The parts of a report page, the registry of sections, and the formats of numbers."""

from __future__ import annotations

import base64
import math
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from reports.figures.describe import Chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from reports.page import Report

GIB, MIB = 2**30, 2**20


@dataclass(frozen=True)
class Link:
    """A table entry that links to a file, relative to the page."""

    text: str
    href: str


@dataclass(frozen=True)
class Failed:
    """A table entry that shows a failure."""

    text: str


Entry = str | Link | Failed


@dataclass(frozen=True)
class Text:
    """A paragraph. `tone`: plain, note (small), warning, or heading."""

    block: ClassVar[str] = "text"
    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Picture:
    """A figure: file name of its PNG, description, alternative text with its values, caption."""

    block: ClassVar[str] = "picture"
    name: str
    chart: Chart
    alt: str
    caption: str

    @cached_property
    def figure(self) -> Figure:
        """The figure for print."""
        from reports.figures.printed import drawn  # matplotlib takes seconds

        return drawn(self.chart)

    @cached_property
    def image(self) -> Image:
        """The figure in pixels, at print resolution."""
        from reports.figures.printed import as_image

        return as_image(self.figure)

    @cached_property
    def png(self) -> bytes:
        """The figure as a PNG at print resolution."""
        from reports.figures.printed import png_of

        return png_of(self.image)

    @property
    def stem(self) -> str:
        """The name without its end."""
        return self.name.removesuffix(".png")

    @property
    def data_uri(self) -> str:
        """A smaller PNG for embedding into the page."""
        from reports.figures.printed import still_of

        return "data:image/png;base64," + base64.b64encode(still_of(self.image)).decode("ascii")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page, in CSS pixels."""
        width, height = self.image.size
        return round(width * 0.46), round(height * 0.46)


@dataclass(frozen=True)
class Table:
    """A table. `numeric`: headings of right-aligned columns. `folded`: closed at first."""

    block: ClassVar[str] = "table"
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    numeric: frozenset[str] = frozenset()
    folded: bool = False


@dataclass(frozen=True)
class Listing:
    """The text of a file."""

    block: ClassVar[str] = "listing"
    caption: str
    text: str


@dataclass(frozen=True)
class CellTable:
    """A table that the page sorts and filters. `columns`: its data; `plain`: without scripts."""

    block: ClassVar[str] = "cells"
    columns: list[dict[str, Any]]
    plain: Table


@dataclass(frozen=True)
class Explorer:
    """A figure that the reader puts together from `data`."""

    block: ClassVar[str] = "explorer"
    data: dict[str, Any]


@dataclass(frozen=True)
class Statement:
    """A sentence and the links to its figures or tables."""

    text: str
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Answer:
    """A question and the statements that answer it."""

    block: ClassVar[str] = "answer"
    question: str
    statements: tuple[Statement, ...]


Block = Text | Picture | Table | Listing | CellTable | Explorer | Answer
Build = Callable[["Report"], list[Block]]


@dataclass(frozen=True)
class SectionType:
    """A kind of section: position on the page, anchor, title, figures, and what builds it.

    `figures` are the first words of the file names of its figures.
    """

    order: int
    anchor: str
    title: str
    figures: tuple[str, ...]
    build: Build


@dataclass
class Section:
    """A section of one page."""

    anchor: str
    title: str
    blocks: list[Block] = field(default_factory=list)


SECTIONS: dict[str, SectionType] = {}
"""All kinds of sections by anchor; filled when `reports.sections` imports its modules."""


def section(
    order: int, anchor: str, title: str, figures: Sequence[str] = ()
) -> Callable[[Build], Build]:
    """Register a function that returns the blocks of a section; without blocks it is left out."""

    def register(build: Build) -> Build:
        if anchor in SECTIONS:
            raise ValueError(f"the section '{anchor}' is registered twice")
        SECTIONS[anchor] = SectionType(order, anchor, title, tuple(figures), build)
        return build

    return register


def listed(words: Sequence[str], last: str = "and") -> str:
    """`a, b and c`."""
    words = list(words)
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def joined(*parts: str, by: str = "; ") -> str:
    """The parts that are not empty."""
    return by.join(part for part in parts if part)


def span(values: Sequence[str], by: str = " to ") -> str:
    """The first and the last of several texts: `3 to 8`, or `3`."""
    return by.join(dict.fromkeys([*values[:1], *values[-1:]]))


def score_text(value: float | None) -> str:
    """A score with three decimals; empty for None."""
    if value is None:
        return ""
    return f"{value:.3f}" if math.isfinite(value) else "none"


def signed(value: float) -> str:
    """A difference of scores with its sign."""
    return f"{value:+.3f}".replace("-", "−")


def percent(value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.1f} %"


def memory(value: float) -> str:
    """Bytes in MiB or GiB."""
    return f"{value / GIB:.2f} GiB" if value >= GIB else f"{value / MIB:.0f} MiB"


def exact_memory(value: float) -> str:
    """Bytes in MiB or GiB, with enough digits to show small differences between arms."""
    return f"{value / GIB:.3f} GiB" if value >= GIB else f"{value / MIB:.1f} MiB"


def parameters(value: float) -> str:
    """A number of parameters: 75 k, 22.7 M."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            digits = 1 if value < 100 * unit else 0
            return f"{value / unit:.{digits}f} {letter}"
    return f"{value:.0f}"


def rate(value: float) -> str:
    """Tokens per second with three or more digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def lr_text(lr: float) -> str:
    """A learning rate: `5e-4`, `0.1`."""
    text = f"{lr:.3g}"
    return text if lr >= 0.01 else f"{lr:.1e}".replace(".0e", "e").replace("e-0", "e-")


def duration(seconds: float) -> str:
    """Seconds as s, min or h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def shortened(text: str, longest: int) -> str:
    """The text, cut with an ellipsis if it is longer than `longest`."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def wrapped(text: str, width: int, lines: int = 3) -> str:
    """The text on at most `lines` lines, for titles of narrow panels."""
    found = textwrap.wrap(text, width)
    return "\n".join(found) if len(found) <= lines else "\n".join(found[:lines]) + "…"


def slug(text: str) -> str:
    """A part of a file name: at most 60 lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "x"
