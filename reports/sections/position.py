"""Losses by position within the text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from harness.core.methods import ZERO_SHOT
from harness.core.result import PositionLoss
from reports.axes import details_of, legend, marked, with_failures
from reports.blocks import Block, Entry, Table, joined, score_text, section
from reports.figures.describe import Axis, Chart, Curve, Panel, around, ends
from reports.frame import Result
from reports.groups import Group, reach_caption
from reports.page import Report
from reports.seeds import arms, comparable_cells, failures, places
from reports.stats import baseline_of
from reports.style import (
    COLUMN,
    arm_styles,
    baseline_key,
    baseline_lines,
    baseline_look,
    picture,
)


@section(order=30, anchor="position", title="Loss by position", figures=["loss-position"])
def loss_by_position(report: Report) -> list[Block]:
    """Mean test loss by position at the longest length."""
    blocks: list[Block] = []
    for group in report.training:
        longest, curves = position_curves(group)
        if not curves:
            continue
        what = group.metric.named("Test")
        ranges = sorted({(one.start, one.end) for curve in curves.values() for one in curve})
        rows: list[list[Entry]] = []
        for arm, curve in curves.items():
            known = {(one.start, one.end): one.loss for one in curve}
            rows.append([arm, *(score_text(known.get(place)) for place in ranges)])
        heads = [f"{a}–{b - 1}" for a, b in ranges]
        cells = [r for r in group.cells if r["length"] == longest]
        caption = joined(
            f"{what} by position in texts of {longest} tokens, mean over the tokens at these "
            f"positions and over common seeds. Later tokens may also be easier than earlier ones.",
            "Crosses: failed cells." if failures(cells) else "",
            group.curriculum_note,
            reach_caption({n: r for n, r in group.reach.items() if n == longest}),
            by=" ",
        )
        found = places(group.cells, _has_positions)
        notes = {a: at[longest].note for a, at in found.items() if longest in at}
        values = [
            f"{row[0]}{f' ({notes[str(row[0])]})' if notes[str(row[0])] else ''}: "
            + ", ".join(f"{v} at {h}" for v, h in zip(row[1:], heads, strict=True) if v)
            for row in rows
        ]
        alt = f"{what} by position. {'; '.join(values)}."
        blocks += [
            picture("loss-position", group, position_figure(group), caption, alt),
            Table(
                group.about(f"{what} by position"), ["Arm", *heads], rows, frozenset(heads),
                folded=True,
            ),
        ]  # fmt: skip
    return blocks


def position_curves(group: Group) -> tuple[int, dict[str, list[PositionLoss]]]:
    """The longest length with losses by position, and the mean losses of each arm there."""
    cells = comparable_cells(group.cells, _has_positions)
    longest = max((int(r["length"]) for r in cells), default=0)
    cells = [r for r in cells if r["length"] == longest]
    found: dict[str, list[PositionLoss]] = {}
    for arm in arms(cells):
        losses: dict[tuple[int, int], list[float]] = {}
        for one in (one for r in cells if r["arm"] == arm for one in r["by_position"]):
            losses.setdefault((one.start, one.end), []).append(one.loss)
        found[arm] = [
            PositionLoss(start=a, end=b, loss=fmean(losses[a, b])) for a, b in sorted(losses)
        ]
    return longest, found


def _has_positions(result: Result) -> bool:
    return result.ok and bool(result["by_position"])


def middle(one: PositionLoss) -> float:
    """The place of a range on a logarithmic axis; a range from 0 starts at half its end."""
    return math.sqrt(max(one.start, one.end / 2) * one.end)


def position_figure(group: Group) -> Chart:
    """Mean test loss by position, one line for each arm, at the longest length."""
    results = group.results
    longest, curves = position_curves(group)
    styles, looks = arm_styles(results), baseline_lines(results)
    details = details_of(r for r in results if r["length"] == longest)
    bases = [arm for arm in curves if baseline_of(arm, results) == ZERO_SHOT]
    lines = []
    for arm in [a for a in styles if a in curves]:
        parts = curves[arm]
        look = baseline_look(looks[arm], len(parts)) if arm in bases else styles[arm]
        labels = tuple(
            f"{arm}\npositions {p.start} to {p.end - 1}\n{score_text(p.loss)}\n"
            + details(arm, longest)
            for p in parts
        )
        x, y = tuple(middle(p) for p in parts), tuple(p.loss for p in parts)
        lines.append(Curve(arm, look, x, y, labels=labels))
    panel = Panel(
        _position_axis(sorted({(p.start, p.end) for curve in curves.values() for p in curve})),
        Axis(group.metric.named("Test"), limits=around(ends(lines))),
        curves=tuple(lines),
        empty="" if curves else "no loss by position was measured",
    )
    if curves:
        cells = [r for r in group.cells if r["length"] == longest]
        (panel,) = with_failures([panel], [cells])
    found = places(group.cells, _has_positions)
    own = [
        marked(styles[arm], [found[arm][longest].note])
        for arm in styles
        if arm in curves and arm not in bases
    ]
    keys = legend(own, [baseline_key(arm, ZERO_SHOT, looks[arm]) for arm in bases])
    return Chart(((panel,),), COLUMN * 1.25, 2.75, keys)


def _position_axis(ranges: Sequence[tuple[int, int]]) -> Axis:
    """A logarithmic axis with a tick for each range of positions."""
    ticks = {middle(PositionLoss(start=a, end=b, loss=0.0)): f"{a}–{b - 1}" for a, b in ranges}
    limits = (min(ticks, default=1.0) / 2**0.4, max(ticks, default=2.0) * 2**0.4)
    named = tuple(ticks.items())
    return Axis("Position in the text (tokens)", "log2", limits, named, slanted=len(ticks) > 4)
