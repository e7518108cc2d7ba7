"""The longest context that fits, or the live bytes at a length, for each arm with its levers."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from harness.core.cell import Cell
from harness.core.errors import BadInput, one_line
from harness.core.fits import Fit
from harness.models.backbones import Backbone

_FEW, _MORE = 2, 4
"""Blocks of two shallow models. Live bytes are nearly linear in the number of blocks, so these
estimate the bytes of a deep model; every answer comes from the whole model."""

_DEEP = 8
"""Models with more blocks than this are estimated from shallow ones."""


@dataclass(frozen=True)
class Question:
    """What is asked about a cell.

    Attributes:
        arm: the label of the cell without its levers.
        lever: the label of its levers.
        cell: its length does not count.
        limit: bytes that fit.
        length: where live bytes are computed; None: the longest length that fits is searched.
    """

    arm: str
    lever: str
    cell: Cell
    limit: int
    length: int | None = None


def answers(questions: Sequence[Question], backbone: Backbone, processes: int) -> Iterator[Fit]:
    """Yield the answer to each question, in their order."""
    ask: Callable[[Question], Fit] = partial(answer, backbone=backbone)
    if processes == 1 or len(questions) == 1:
        yield from map(ask, questions)
        return
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["harness.costs.dry_run", "harness.training.peft_wrap"])
    with ProcessPoolExecutor(min(processes, len(questions)), mp_context=server) as pool:
        yield from pool.map(ask, questions)


def answer(question: Question, backbone: Backbone) -> Fit:
    """Answer a question by dry runs."""
    from harness.costs.dry_run import Memory, train_memory
    from harness.costs.search import LONGEST, SHORTEST, longest
    from harness.models.load import load_skeleton
    from harness.models.position_tables import positions_of

    base: dict[str, Any] = {"method": question.arm, "lever": question.lever}

    @cache
    def memory(length: int, blocks: int | None = None) -> Memory:
        cell = question.cell.model_copy(update={"length": length})
        return train_memory(cell, backbone, blocks)

    def exact(length: int) -> int:
        return memory(length).peak_bytes

    def estimate(length: int) -> int:
        few, more = (memory(length, blocks).peak_bytes for blocks in (_FEW, _MORE))
        return few + (depth - _FEW) * (more - few) // (_MORE - _FEW)

    try:
        skeleton = load_skeleton(backbone, SHORTEST)
        depth = getattr(skeleton.config, "num_hidden_layers", 0)
        length = question.length or longest(
            exact, estimate if depth > _DEEP else None, question.limit
        )
        found = memory(length or SHORTEST)
    except (BadInput, ValueError, RuntimeError, NotImplementedError) as error:
        return Fit(**base, reason=one_line(error))
    positions, learned = positions_of(skeleton.encoder)
    return Fit(
        **base,
        length=length,
        fits=length is not None and found.peak_bytes <= question.limit,
        longest=length != LONGEST,
        live_peak_bytes=found.peak_bytes,
        parts=found.parts,
        positions=positions,
        learned_positions=learned,
    )
