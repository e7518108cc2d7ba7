"""The longest context that fits into a memory: what `bench-long fit` finds, and its file."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.core.errors import BadInput


class Fit(BaseModel):
    """The answer for an arm with its levers."""

    model_config = ConfigDict(frozen=True)

    method: str
    """The arm without its levers, for example `LoRA 1/2`."""
    lever: str
    length: int | None = None
    """The longest context that fits, or the length that was asked for. None: not even the shortest
    fits, or there is no answer."""
    longest: bool = True
    """Whether the search ended because of memory, not at its longest length."""
    fits: bool = False
    positions: int | None = None
    """Positions that the model was made for."""
    learned_positions: bool = False
    """Whether its positions are a learned table, which is repeated beyond its end."""
    live_peak_bytes: int | None = None
    """At `length`, or at the shortest length if that does not fit."""
    parts: dict[str, int] = {}
    reason: str | None = None
    """Why there is no answer."""

    @property
    def beyond_positions(self) -> bool:
        """Whether `length` exceeds the positions that the model was made for."""
        return None not in (self.length, self.positions) and self.length > self.positions  # type: ignore[operator]

    @property
    def largest_part(self) -> str | None:
        """The part of the live bytes that is the largest."""
        return max(self.parts, key=lambda part: self.parts[part]) if self.parts else None


class Fits(BaseModel):
    """A table of `bench-long fit`."""

    model_config = ConfigDict(frozen=True)

    model: str
    revision: str
    memory: str
    memory_bytes: int
    reserve_bytes: int
    task_type: str
    batch_size: int
    dtype: str
    length: int | None = None
    """The length that was asked for; None: the longest one is searched."""
    versions: dict[str, str] = {}
    rows: list[Fit]

    @property
    def limit_bytes(self) -> int:
        """What live tensors may take."""
        return self.memory_bytes - self.reserve_bytes


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
