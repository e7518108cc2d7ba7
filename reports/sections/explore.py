"""The figure that the reader puts together: any two measures of all arms, by mean or by seed."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from reports.blocks import MIB, Block, Explorer, Text, joined, listed, section
from reports.figures.describe import Key
from reports.figures.interactive import entry_of, style_of
from reports.frame import Result
from reports.groups import Group, costs_of
from reports.page import Report
from reports.seeds import scored
from reports.stats import cost_cells, cost_points, peak_column
from reports.style import arm_styles

_MEASURES: dict[str, tuple[str, str, bool]] = {
    "length": ("Length", "tokens", True),
    "score": ("Score", "", True),
    "trainable_params": ("Trainable parameters", "", False),
    "flops": ("FLOPs of a training step", "", False),
    "memory": ("Peak memory of training", "MiB", False),
    "rate": ("Training throughput", "tokens/s", True),
    "eval_rate": ("Evaluation throughput", "tokens/s", True),
    "wall_s": ("Wall-clock time of a cell", "s", False),
}
"""By key: label, unit, whether more is better. A score has the label of its metric."""


@section(order=16, anchor="explore", title="Explore")
def explore(report: Report) -> list[Block]:
    """Controls and data of the figure; without scripts, where to find the numbers."""
    pairs = _pairs(report)
    frame = measures(pairs)
    if frame.empty:
        return []
    text = (
        "Choose two measures. Points of a mean are over the seeds that all arms have, as in the "
        "other figures; costs are medians of probes, else of training cells. A point is on the "
        "Pareto front if no other point is at least as good in both measures and better in one."
    )
    return [Text(text, "note"), Explorer(_data(pairs, frame))]


Pair = tuple[Group, list[Result]]
"""A group of scores, and the cells that its costs are from."""


def _pairs(report: Report) -> list[Pair]:
    training = [(group, costs_of(group, report.costs)) for group in report.training]
    used = {costs.key for _, costs in training if costs}
    pairs = [(group, cost_cells(costs.results) if costs else []) for group, costs in training]
    alone = [group for group in report.costs if group.key not in used]
    return [*pairs, *((group, cost_cells(group.results)) for group in alone)]


def measures(pairs: Sequence[Pair]) -> pd.DataFrame:
    """One row for each mean and for each cell with a value: the data of the figure.

    `seed` is NA for a mean; `seeds` lists what a mean is over.
    """
    rows = []
    for number, (group, costly) in enumerate(pairs):
        costs = _costs(costly)
        trained = [r for r in group.trained if scored(r)]
        points = {(arm, p.length): p for arm, own in group.points.items() for p in own}
        cells: dict[tuple[str, int], list[Result]] = {}
        for r in [*trained, *costly]:
            cells.setdefault((str(r["arm"]), int(r["length"])), []).append(r)
        for (arm, length), own in cells.items():
            shared = {"group": number, "arm": arm, "length": length, **_sizes(own)}
            shared |= costs.get((arm, length), {})
            point = points.get((arm, length))
            if point or not trained:
                bar = point is not None and not point.without_interval
                rows.append({
                    **shared, "seed": None, "note": point.note if point else "",
                    "seeds": listed([str(s) for s in sorted({r.seed for r in own if scored(r)})]),
                    "score": point.value if point else None,
                    "low": point.low if point and bar else None,
                    "high": point.high if point and bar else None,
                })  # fmt: skip
            for r in own:
                if scored(r) or not trained:
                    one = {"seed": r.seed, "note": "", "seeds": "", "score": r["score"],
                           "low": r["score_low"], "high": r["score_high"]}  # fmt: skip
                    rows.append({**shared, **one})
    frame = pd.DataFrame(rows)
    return frame if frame.empty else frame.reindex(columns=[*dict.fromkeys([*frame, *_MEASURES])])


def _costs(cells: Sequence[Result]) -> dict[tuple[str, int], dict[str, float]]:
    if not cells:
        return {}
    columns = {
        "flops": ("train_flops", 1.0),
        "memory": (f"train_{peak_column(cells)}", MIB),
        "rate": ("train_tokens_per_s", 1.0),
        "eval_rate": ("eval_tokens_per_s", 1.0),
    }
    found: dict[tuple[str, int], dict[str, float]] = {}
    for name, (column, unit) in columns.items():
        for arm, points in cost_points(cells, column).items():
            for point in points:
                found.setdefault((arm, point.length), {})[name] = point.value / unit
    return found


def _sizes(cells: Sequence[Result]) -> dict[str, float | None]:
    sizes = [int(r["trainable_params"]) for r in cells if r["trainable_params"]]
    walls = [float(r["wall_s"]) for r in cells if r["wall_s"] is not None and r["kind"] == "train"]
    return {
        "trainable_params": max(sizes, default=None),
        "wall_s": fmean(walls) if walls else None,
    }


def _data(pairs: Sequence[Pair], frame: pd.DataFrame) -> dict[str, Any]:
    arms: dict[str, dict[str, Any]] = {}
    for group, costly in pairs:
        for arm, style in arm_styles([*group.results, *costly]).items():
            key = Key(arm, arm, style)
            arms.setdefault(arm, {"name": arm, "style": style_of(style), "entry": entry_of(key)})
    places = {arm: place for place, arm in enumerate(arms)}
    columns = frame.astype(object).where(frame.notna(), None)
    columns["arm"] = [places[arm] for arm in columns["arm"]]
    return {
        "groups": [
            {
                "title": group.title
                or joined(group.key.task, group.key.backbone, by=" · ")
                or "probes",
                "score": group.metric.named("Test"),
                "higher": group.metric.higher_is_better,
            }
            for group, _ in pairs
        ],
        "measures": {
            key: {"label": label, "unit": unit, "higher": higher}
            for key, (label, unit, higher) in _MEASURES.items()
        },
        "arms": list(arms.values()),
        "columns": {name: columns[name].tolist() for name in columns},
    }
