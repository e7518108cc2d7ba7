"""The texts of a cell: read, cut to its length, encoded and described."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.core.cell import Cell
from harness.core.result import DataInfo
from harness.models.backbones import Backbone
from harness.models.tokens import load_tokenizer, word_counter
from harness.planning.data_pins import check_unchanged
from harness.planning.reach import describe_reach
from harness.training.batches import Encoded, encode
from tasks import OwnTasks, TaskMetadata, load_task
from tasks.types.base import Window

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def read_data(
    cell: Cell, backbone: Backbone, own_tasks: OwnTasks | None, keep_text: bool = False
) -> tuple[PreTrainedTokenizerBase, TaskMetadata, list[Encoded]]:
    """Return the tokenizer, the metadata of the task, and its three splits, cut and encoded."""
    assert cell.task is not None
    tokenizer = load_tokenizer(backbone)
    task = load_task(cell.task, own_tasks, word_counter(backbone))
    sizes = (cell.examples, cell.validation_examples, cell.test_examples)
    splits = task.splits_under(cell.length, cell.seed, cell.curriculum)
    check_unchanged(cell, task.metadata, splits)
    window = _window(cell)
    parts = zip(splits, sizes, (None, window, window), strict=True)  # training reads the front
    encoded = [
        encode(part, tokenizer, cell.length, task.metadata, n, keep_text, scored)
        for part, n, scored in parts
    ]
    return tokenizer, task.metadata, encoded


def read_test(cell: Cell, backbone: Backbone, own_tasks: OwnTasks | None) -> Encoded:
    """Return the test texts of a cell at its length, as a cell of that length reads them."""
    assert cell.task is not None
    task = load_task(cell.task, own_tasks, word_counter(backbone))
    test = task.splits(cell.length, cell.seed).test
    return encode(
        test, load_tokenizer(backbone), cell.length, task.metadata, cell.test_examples,
        window=_window(cell),
    )  # fmt: skip


def _window(cell: Cell) -> Window | None:
    """The scored tokens of validation and test texts, where not all are scored."""
    return Window(cell.window, cell.target_tokens or 1) if cell.window else None


def unrelated_texts(cell: Cell, backbone: Backbone, own_tasks: OwnTasks | None) -> Encoded:
    """Return the texts on which forgetting is measured."""
    assert cell.forgetting is not None
    examples = cell.forgetting_examples
    update = {"task": cell.forgetting, "test_examples": examples, "window": None}
    return read_test(cell.model_copy(update=update), backbone, own_tasks)


def describe_data(cell: Cell, training: Encoded, test: Encoded) -> DataInfo:
    """Return what a result says of the texts."""
    return DataInfo(
        truncated=training.truncated / len(training),
        tokens_median=float(np.median(training.ids.sizes())),
        **describe_reach(test, cell.length),
        task_revision=cell.revisions.get("task"),
    )
