"""The change of the loss on unrelated text during training."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from harness.core.methods import BASELINES, ZERO_SHOT
from harness.core.result import Evaluation
from reports.blocks import (
    Block,
    Entry,
    Failed,
    Table,
    listed,
    score_text,
    section,
    signed,
)
from reports.frame import Result
from reports.groups import Group
from reports.page import Report
from reports.seeds import arms, comparable_cells, failures


@section(order=56, anchor="forgetting", title="Forgetting")
def forgetting(report: Report) -> list[Block]:
    """The change of the loss on unrelated text during training."""
    return [table for group in report.training for table in _forgetting_table(group)]


def _forgetting(result: Result) -> list[Evaluation]:
    return [one for one in result["further"] if one.kind == "forgetting"]


class Forgotten(NamedTuple):
    """The change of the loss on unrelated text during training, with its 95 % interval.

    The interval is over texts; seeds are averaged for each text. None: fewer than two texts.
    """

    before: float
    change: float
    half: float | None


def forgotten(group: Group) -> dict[str, dict[int, Forgotten | None]]:
    """By arm and length; None where training or the evaluation failed. Empty without any."""
    losses = {  # by arm, length and seed
        (str(r["arm"]), int(r["length"]), r.seed): one.scores
        for r in group.trained
        for one in _forgetting(r)
        if one.value is not None
    }
    trained = [r for r in group.trained if r["method"] not in BASELINES]
    kept = comparable_cells(trained, lambda r: (r["arm"], r["length"], r.seed) in losses)
    found: dict[str, dict[int, Forgotten | None]] = {}
    for base in [r for r in group.trained if r["method"] == ZERO_SHOT and _forgetting(r)]:
        length = int(base["length"])
        first = losses.get((str(base["arm"]), length, base.seed), [])
        for arm in arms(trained):
            own = [r for r in kept if (r["arm"], r["length"]) == (arm, length)]
            after = [losses[arm, length, r.seed] for r in own]
            found.setdefault(arm, {})[length] = _forgotten(first, after)
    return found


def _forgotten(
    before: Sequence[float | None], after: Sequence[Sequence[float | None]]
) -> Forgotten | None:
    every = [before, *after]
    if not after or not before or any(len(own) != len(before) or None in own for own in every):
        return None
    from scipy.stats import sem, t

    first, *rest = [[float(value or 0.0) for value in own] for own in every]
    changes = [fmean(seeds) - own for own, *seeds in zip(first, *rest, strict=True)]
    freedom = len(changes) - 1
    half = float(t.ppf(0.975, freedom) * sem(changes)) if freedom else None
    return Forgotten(fmean(first), fmean(changes), half)


def _forgetting_table(group: Group) -> list[Block]:
    found = forgotten(group)
    lengths = sorted({length for own in found.values() for length in own})
    if not lengths:
        return []
    rows: list[list[Entry]] = []
    for arm, own in found.items():
        row: list[Entry] = [arm]
        for length in lengths:
            one = own[length]
            here = [r for r in group.trained if (r["arm"], r["length"]) == (arm, length)]
            tried = [r.changed(status=e.status) for r in here for e in _forgetting(r)]
            failed = listed([*dict.fromkeys(str(r["status"]) for r in failures([*here, *tried]))])
            half = "" if one is None or one.half is None else f" ± {score_text(one.half)}"
            row.append(f"{signed(one.change)}{half}" if one else Failed(failed) if failed else "")
        rows.append(row)
    known = {n: one for own in found.values() for n, one in own.items() if one}
    names = {one.task for r in group.trained for one in _forgetting(r)}
    before = ", ".join(f"{score_text(one.before)} at {n}" for n, one in known.items())
    caption = (
        f"Forgetting: change of the loss on unrelated text ({', '.join(sorted(names))}) during "
        f"training, in nats per token; positive: forgotten. Mean over texts, paired with the "
        f"zero-shot backbone ({before}), and over common seeds; 95 % intervals over texts"
    )
    heads = [f"{n} tokens" for n in lengths]
    return [Table(group.about(caption), ["Arm", *heads], rows, frozenset(heads))]
