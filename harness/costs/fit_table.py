"""The longest context that fits, or the live bytes at a length, for each arm with its levers."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from harness.core.cell import Cell
from harness.core.errors import one_line
from harness.core.fits import Fit, Memory
from harness.core.methods import FULL
from harness.costs.pool import workers
from harness.models.backbones import Backbone
from harness.training.peft_methods import ADAPTION_PROMPT

_FEW = 2
"""Blocks of the first of two shallow models; the second has twice as many. At a density below 1
both have twice as many: a quarter of the sites are then those of a quarter of the blocks. Live
bytes are nearly linear in the number of blocks, so these models estimate the bytes of a deep one.
Every answer comes from a dry run of the whole model."""

_DEEP = 8
"""Models with more blocks than this are estimated from shallow ones."""


@dataclass(frozen=True)
class Question:
    """What is asked about a cell.

    Attributes:
        arm: the label of the cell without its levers.
        lever: the label of its levers.
        cell: its length does not count.
        memories: what has to hold it.
        length: where live bytes are computed; None: the longest length that fits is searched.
    """

    arm: str
    lever: str
    cell: Cell
    memories: Sequence[Memory]
    length: int | None = None


def answers(
    questions: Sequence[Question], backbone: Backbone, processes: int
) -> Iterator[list[Fit]]:
    """Yield the answers to each question, one for each memory, in the order of the questions."""
    ask: Callable[[Question], list[Fit]] = partial(answer, backbone=backbone)
    if processes == 1 or len(questions) == 1:
        import harness.costs.dry_run  # noqa: F401

        gc.freeze()  # each dry run begins with a collection
        yield from map(ask, questions)
        return
    with workers(min(processes, len(questions))) as pool:
        yield from pool.map(ask, questions)


def answer(question: Question, backbone: Backbone) -> list[Fit]:
    """Answer a question by dry runs."""
    from harness.costs import dry_run
    from harness.costs.search import LONGEST, SHORTEST, longest
    from harness.models.load import load_skeleton
    from harness.models.position_tables import positions_of

    base: dict[str, Any] = {"method": question.arm, "lever": question.lever}

    @cache
    def memory(length: int, blocks: int | None = None) -> dry_run.Memory:
        cell = question.cell.model_copy(update={"length": length})
        return dry_run.train_memory(cell, backbone, blocks)

    def exact(length: int) -> int:
        return memory(length).peak_bytes

    def estimate(length: int) -> int:
        blocks = _FEW if question.cell.density in (None, 1) else 2 * _FEW
        few, more = memory(length, blocks).peak_bytes, memory(length, 2 * blocks).peak_bytes
        return few + (depth - blocks) * (more - few) // blocks

    try:
        if question.cell.method == FULL and question.cell.levers.weights != "float32":
            raise ValueError("full fine-tuning trains the weights, which are float32 then")
        skeleton = load_skeleton(backbone, SHORTEST)
        depth = getattr(skeleton.config, "num_hidden_layers", 0)
        base["positions"], base["learned_positions"] = positions_of(skeleton.encoder)
        found = []
        for space in question.memories:
            few_blocks = question.cell.method != ADAPTION_PROMPT  # it counts blocks from the top
            guess = estimate if depth > _DEEP and few_blocks else None
            length = question.length or longest(exact, guess, space.limit)
            at = memory(length or SHORTEST)
            found.append(
                Fit(
                    **base,
                    memory=space.name,
                    length=length,
                    fits=length is not None and at.peak_bytes <= space.limit,
                    more=question.length is None and length == LONGEST,
                    live_peak_bytes=at.peak_bytes,
                    parts=at.parts,
                )
            )
        return found
    except Exception as error:  # of PEFT's or the model's code on fake tensors
        reason = one_line(error)
        base["length"] = question.length
        return [Fit(**base, memory=space.name, reason=reason) for space in question.memories]
