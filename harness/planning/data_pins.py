"""Digests of a cell's examples: computed when a sweep is planned, checked when it runs."""

from __future__ import annotations

from harness.core.cell import Cell
from tasks import Splits, Task, TaskMetadata
from tasks.lib.content import read_digest

EXAMPLES = "examples"
"""The key of the digest in a cell's `revisions`."""


class DataPins:
    """Adds the digest of their examples to the cells of a task whose version does not fix them.

    Each length and seed has its own digest, so new lengths do not change the ids of earlier cells.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._needed = not task.version_pins_content()
        self._known: dict[tuple[int, int, str, tuple[int | None, ...]], str] = {}

    def added_to(self, cell: Cell) -> Cell:
        """Return the cell with the digest among its revisions."""
        if not self._needed:
            return cell
        key = (cell.length, cell.seed, cell.curriculum, _sizes(cell))
        if key not in self._known:
            splits = self._task.splits_under(cell.length, cell.seed, cell.curriculum)
            self._known[key] = read_digest(self._task.metadata, splits, _sizes(cell))
        return cell.model_copy(update={"revisions": {**cell.revisions, EXAMPLES: self._known[key]}})


def check_unchanged(cell: Cell, metadata: TaskMetadata, splits: Splits) -> None:
    """Check that a cell reads the examples that it was planned with.

    Raises:
        ValueError: they are different.
    """
    planned = cell.revisions.get(EXAMPLES)
    if planned is not None and read_digest(metadata, splits, _sizes(cell)) != planned:
        raise ValueError(
            f"the examples of '{metadata.name}' at {cell.length} tokens, seed {cell.seed}, "
            f"differ from those at planning: the data changed since then, or splits() returns "
            f"different examples at each call. Run the sweep again"
        )


def _sizes(cell: Cell) -> tuple[int | None, ...]:
    return cell.examples, cell.validation_examples, cell.test_examples
