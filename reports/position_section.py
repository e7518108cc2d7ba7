"""Loss by position: the figure, its caption and its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from reports.blocks import Entry, Section, Table
from reports.captions import seed_notes
from reports.drawn import picture
from reports.files import BASE
from reports.groups import Group
from reports.metrics import metric_of
from reports.position_figures import loss_by_position, position_curves, position_notes
from reports.reach import reach_sentence
from reports.stats import failures, one_rate_an_arm
from reports.text import share


def by_position(groups: Sequence[Group]) -> list[Section]:
    """Mean test loss against position at the longest length; nothing without such losses."""
    section = Section("position", "Loss by position")
    for group in groups:
        longest, curves = position_curves(group.results)
        if not curves:
            continue
        cells = [r for r in one_rate_an_arm(group.results) if r["length"] == longest]
        parts = [
            f"{metric_of(group.results).named('Test')} against position, in texts of {longest} "
            "tokens: each point is the mean over all tokens at the positions named below it, which "
            "are predicted from the tokens before them. Where a line still falls, more context "
            "still helps.",
        ]
        if told := reach_sentence(cells):
            parts.append(told)
        if len({r["seed"] for r in cells}) > 1:
            parts.append("Lines are means over seeds.")
            parts += seed_notes(cells, lambda r: r.ok and bool(r.by_position))
        if any(r["method"] == BASE and r["arm"] in curves for r in cells):
            parts.append("The grey line of dashes and dots is the backbone as it is, untrained.")
        failed = [r for r in failures(cells) if r["arm"] not in curves]
        if failures(cells):
            parts.append("Crosses name the arms that failed at that length, and how.")
        bins = sorted({(one.start, one.end) for curve in curves.values() for one in curve})
        rows: list[list[Entry]] = []
        for arm, curve in curves.items():
            known = {(one.start, one.end): one.loss for one in curve}
            rows.append([arm, *(share(known.get(place)) for place in bins)])
        notes = position_notes(group.results, longest)
        marks = {arm: f" ({note})" if note else "" for arm, note in notes.items()}
        told = "; ".join(
            f"{row[0]}{marks[str(row[0])]}: "
            + ", ".join(
                f"{value} at {a} to {b - 1}"
                for value, (a, b) in zip(row[1:], bins, strict=True)
                if value
            )
            for row in rows
        )
        names = "; ".join(dict.fromkeys(f"{r['arm']} ({r['status']})" for r in failed))
        alt = f"Mean loss by position. {told}." + (f" Failed: {names}." if names else "")
        heads = [f"{a}–{b - 1}" for a, b in bins]
        where = f" ({group.title})" if group.title else ""
        section.blocks += [
            picture("loss-position", group, loss_by_position, " ".join(parts), alt),
            Table(
                f"Numbers of the figure: loss in nats per token by position{where}",
                ["Arm", *heads], rows, frozenset(heads), folded=True,
            ),
        ]  # fmt: skip
    return [section] if section.blocks else []
