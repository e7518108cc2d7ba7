"""What a report is made of. The page's template draws these; nothing here knows any HTML."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True)
class Link:
    """A table cell that leads somewhere, relative to the page."""

    text: str
    href: str


Entry = str | Link


@dataclass(frozen=True)
class Text:
    """A paragraph. `tone`: plain, note (small), warning, or heading (of a part of a section)."""

    block: ClassVar[str] = "text"
    text: str
    tone: str = "plain"


@dataclass(frozen=True)
class Picture:
    """A figure: its file name, its PNG, what it shows in words, and its caption."""

    block: ClassVar[str] = "picture"
    name: str
    png: bytes
    alt: str
    caption: str

    @property
    def data_uri(self) -> str:
        """The PNG inside the page."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels of the page: 300 dpi shown at a comfortable size."""
        width, height = struct.unpack(">II", self.png[16:24])
        return round(width * 0.46), round(height * 0.46)


@dataclass(frozen=True)
class Table:
    """A table; `numeric` names the headings whose entries stand right. `folded`: closed at first.

    A first entry heads its row. An entry of `marks` that equals a status gets that status's look.
    """

    block: ClassVar[str] = "table"
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    numeric: frozenset[str] = frozenset()
    folded: bool = False


@dataclass(frozen=True)
class Listing:
    """A file's text as it is."""

    block: ClassVar[str] = "listing"
    caption: str
    text: str


Block = Text | Picture | Table | Listing


@dataclass
class Section:
    """A heading, an anchor and what stands below it."""

    anchor: str
    title: str
    blocks: list[Block] = field(default_factory=list)
