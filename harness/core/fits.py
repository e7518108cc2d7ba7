"""What `bench-long fit` finds: the longest context that fits into a memory, and its table."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.core.errors import BadInput
from harness.core.result import LIVE_PARTS

_NAMES = {"saved_base": "saved: backbone"}
_GIB = 2**30

NOTE = (
    "Computed by dry runs with the kernels of a CPU. On an H200, measured peaks were up to 137 MiB "
    "larger. The reserve is for this, and for what tensors do not show: the context of the device, "
    "gaps of its allocator."
)


class Memory(BaseModel):
    """A memory, and the part of it that tensors cannot have."""

    model_config = ConfigDict(frozen=True)

    name: str
    bytes: int
    reserve_bytes: int

    @property
    def limit(self) -> int:
        """What live tensors may take."""
        return self.bytes - self.reserve_bytes


class Fit(BaseModel):
    """The answer for an arm with its levers in a memory."""

    model_config = ConfigDict(frozen=True)

    method: str
    """The arm without its levers, for example `LoRA 1/2`."""
    lever: str
    memory: str
    length: int | None = None
    """The longest context that fits, or the length that was asked for. None: not even the shortest
    fits, or there is no answer."""
    fits: bool = False
    more: bool = False
    """Whether longer contexts may fit: the search has ended at its longest length."""
    positions: int | None = None
    """Positions that the model was made for."""
    learned_positions: bool = False
    """Whether they are a learned table, which is repeated beyond its end."""
    live_peak_bytes: int | None = None
    """At `length`, or at the shortest length if that does not fit."""
    parts: dict[str, int] = {}
    reason: str | None = None
    """Why there is no answer."""

    @property
    def beyond(self) -> bool:
        """Whether `length` exceeds the positions that the model was made for."""
        return bool(self.length and self.positions and self.length > self.positions)

    @property
    def largest(self) -> str:
        """The largest part of the live bytes and its share; empty without an answer."""
        if not self.parts or not self.live_peak_bytes:
            return ""
        part = max(self.parts, key=lambda name: self.parts[name])
        return f"{part_name(part)} {self.parts[part] / self.live_peak_bytes:.0%}"

    @property
    def text(self) -> str:
        """The length as tables show it."""
        if self.reason is not None:
            return "no answer"
        if self.length is None:
            return "none"
        return f"{'≥ ' if self.more else ''}{self.length:,}{'*' if self.beyond else ''}"


class Fits(BaseModel):
    """A table of `bench-long fit`."""

    model_config = ConfigDict(frozen=True)

    model: str
    revision: str
    memories: list[Memory]
    task_type: str
    batch_size: int
    dtype: str
    lengths: list[int] = []
    """The lengths that were asked for; empty: the longest one was searched."""
    environment: dict[str, str | None] = {}
    rows: list[Fit]

    @property
    def lines(self) -> list[list[Fit]]:
        """The answers of each method, lever and length, in the order of the memories."""
        found: dict[tuple[str, str, int | None], list[Fit]] = {}
        for row in self.rows:
            length = row.length if self.lengths else None
            found.setdefault((row.method, row.lever, length), []).append(row)
        return [*found.values()]

    def table(self) -> list[list[str]]:
        """Return the head and a row for each method and lever, and for each length asked for."""
        names = [memory.name for memory in self.memories]
        if not self.lengths:
            return [
                ["Method", "Lever", *names, f"Largest part, {names[-1]}"],
                *(
                    [line[0].method, line[0].lever, *(fit.text for fit in line), line[-1].largest]
                    for line in self.lines
                ),
            ]
        head = ["Method", "Lever", "Tokens", "GiB", *map(part_name, LIVE_PARTS), *names]
        rows = [
            [
                line[0].method,
                line[0].lever,
                line[0].text,
                _gib(line[0].live_peak_bytes),
                *(_gib(line[0].parts.get(part)) for part in LIVE_PARTS),
                *("" if fit.reason else "yes" if fit.fits else "no" for fit in line),
            ]
            for line in self.lines
        ]
        # An arm without an answer has none at any length: one row says so.
        return [head, *map(list, dict.fromkeys(map(tuple, rows)))]

    def notes(self) -> list[str]:
        """Return what a reader of the table has to know, one sentence or two a line."""
        limits = ", ".join(f"{m.name}: {_gib(m.limit)} GiB" for m in self.memories)
        texts = "text" if self.batch_size == 1 else "texts"
        lines = [
            f"Predicted: training steps of {self.task_type}, {self.batch_size} {texts} a batch, "
            f"computed in {self.dtype}; limit of live tensors after the reserve: {limits}."
        ]
        beyond = next((row for row in self.rows if row.beyond), None)
        if beyond and beyond.learned_positions:
            lines.append(f"* The model's table of {beyond.positions:,} positions is repeated.")
        elif beyond:
            lines.append(
                f"* Beyond the {beyond.positions:,} positions that the model was made for."
            )
        reasons: dict[str, list[str]] = {}
        for row in self.rows:
            if row.reason is not None:
                reasons.setdefault(row.reason, []).append(f"{row.method}, {row.lever}")
        for why, arms in reasons.items():
            lines.append(f"No answer for {'; '.join(dict.fromkeys(arms))}: {why}")
        return [*lines, NOTE]

    def markdown(self) -> str:
        """Return the table and its notes for a document."""
        head, *rows = self.table()
        marks = ["---", "---", *("---:" for _ in head[2:])]
        lines = [f"| {' | '.join(row)} |" for row in (head, marks, *rows)]
        source = ", ".join(
            f"{name} {version}" for name, version in self.environment.items() if version
        )
        notes = [note.replace("*", "\\*") for note in self.notes()]
        return "\n".join([*lines, "", *(f"- {note}" for note in notes), f"- {source}.", ""])

    def csv(self) -> str:
        """Return one line for each answer."""
        text = io.StringIO()
        fields = [name for name in Fit.model_fields if name != "parts"]
        parts = [f"live_{part}_bytes" for part in LIVE_PARTS]
        writer = csv.writer(text)
        writer.writerow([*fields, *parts])
        for row in self.rows:
            values = row.model_dump()
            writer.writerow(
                [values[name] for name in fields] + [row.parts.get(part) for part in LIVE_PARTS]
            )
        return text.getvalue()


def part_name(part: str) -> str:
    """A part of live memory as tables name it."""
    return _NAMES.get(part, part.replace("saved_", "saved: "))


def _gib(size: int | None) -> str:
    return "" if size is None else f"{size / _GIB:.2f}"


def read_fits(path: Path) -> Fits:
    """Read a file that `bench-long fit --to` has written.

    Raises:
        BadInput: it is no such file.
    """
    try:
        return Fits.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"{path}: not a table of bench-long fit: {reason}") from None
