"""The table of arms: score by length and cost of training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from harness.core.methods import SSMLORA
from harness.core.result import LOSS
from reports.blocks import (
    Table,
    joined,
    listed,
    memory,
    parameters,
    rate,
    score_text,
    span,
)
from reports.frame import Result, arm_order
from reports.groups import Group, costs_of, with_reach
from reports.page import Report
from reports.sections.evaluations import evaluation_table
from reports.sections.throughput import interval_text, ratios_of, reference_arm, timed_cells
from reports.seeds import (
    Finished,
    arms,
    common_by_length,
    comparable_cells,
    failures,
    places,
    planned_seeds,
    scored,
)
from reports.stats import Point, cost_cells, cost_points, longest_common, peak_column

_SIZES: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("trainable_params", "Trainable", parameters),
    ("sites", "Sites", "{:.0f}".format),
    ("links", "Links", "{:.0f}".format),
)


@dataclass(frozen=True)
class ArmTable:
    """One row for each arm: sizes, score by length, cost of training. Entries are plain text."""

    title: str
    caption: str
    head: list[str]
    rows: list[list[str]]


def arm_tables(report: Report, intervals: bool = True, probes: bool = False) -> list[ArmTable]:
    """A table for each task and backbone; probes without training have a table of their own.

    Costs are at one length for all arms: the longest that most of them have.

    Args:
        report: what to show.
        intervals: beside scores, and ratios of step times with theirs.
        probes: costs are those of probes only. Training cells share processors, and the peak of
            their processes does not compare arms.
    """
    training, costs = report.training, report.costs
    pairs: list[tuple[Group, Group | None]] = [(g, costs_of(g, costs)) for g in training]
    used = {cost.key for _, cost in pairs if cost}
    pairs += [(replace(c, results=[]), c) for c in costs if c.key not in used]
    if not pairs:  # a run that lm-eval alone evaluated
        return [ArmTable(*evaluation_table(group)) for group in report.evaluations]
    if probes:
        pairs = [(g, c if c and cost_cells(c.results)[0]["kind"] == "probe" else None)
                 for g, c in pairs]  # fmt: skip
    return [_arm_table(group, cost, intervals) for group, cost in pairs]


def markdown(table: ArmTable | Table) -> str:
    """A table with its caption in Markdown."""

    def escaped(text: str) -> str:
        for sign in "\\`*_[]|~":
            text = text.replace(sign, "\\" + sign)
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    lines = [[*table.head], ["---", *["---:"] * (len(table.head) - 1)]]
    lines += [[escaped(str(entry)) for entry in row] for row in table.rows]
    caption = escaped(table.caption.rstrip("."))
    return "\n".join([f"{caption}.", "", *("| " + " | ".join(line) + " |" for line in lines)])


def _arm_table(group: Group, cost: Group | None, intervals: bool) -> ArmTable:
    trained = group.trained
    costly = cost_cells(cost.results) if cost else []
    names = ("tokens_per_s", peak_column(costly))
    rates, peaks = (cost_points(costly, f"train_{n}") for n in names)
    at = longest_common(rates or peaks)
    ratio, ratios = _ratios(cost, at) if cost and intervals else ("", {})
    what, scores = _scores(group, intervals)
    lengths = sorted({int(r["length"]) for r in trained}) if scores or failures(trained) else []
    last, perplexities = _perplexities(group)
    rows = []
    for arm in arms(sorted([*trained, *costly], key=arm_order)):
        own = [r for r in trained if r["arm"] == arm]
        costs = [r for r in costly if r["arm"] == arm]
        row = [arm, *(_range(own or costs, *column) for column in _SIZES)]
        for length in lengths:
            value, note = scores.get((arm, length), ("", ""))
            here = [r for r in own if r["length"] == length]
            # The note on diverged seeds counts them already.
            failed = [r for r in here if not (note and r["status"] == "diverged")]
            row.append(joined(value, note, statuses(failed)))
        row += [perplexities.get(arm, "")] if perplexities else []
        for series, text in ((rates, rate), (peaks, memory)) if at is not None else ():
            value_at = next((p.value for p in series.get(arm, []) if p.length == at), None)
            failed = [r for r in costs if r["length"] == at]
            row.append(statuses(failed) if value_at is None else text(value_at))
        row += [ratios.get(arm, "")] if ratios else []
        rows.append(row)
    heads = [with_reach(n, group.reach, " tokens") for n in lengths]
    head = ["Arm", *(name for _, name, _ in _SIZES), *heads]
    head += [f"Perplexity at {last}"] if perplexities else []
    head += [] if at is None else [f"Train tokens/s at {at}", f"Train peak at {at}"]
    head += [ratio] if ratios else []
    source = ""
    if cost and at is not None:
        probed = costly[0]["kind"] == "probe"
        source = "probes" if probed else "the training runs"
        source += f" of {listed(cost.runs)}" if set(cost.runs) != set(group.runs) else ""
        source += "" if probed else "; probes compare arms"
        source = f"cost of training at {at} tokens (from {source})"
    shown = joined(what if scores else "", source, by=" and ") or "nothing was measured"
    return ArmTable(group.title, f"{_subject(trained or costly)}: {shown}", head, rows)


def _ratios(cost: Group, at: int | None) -> tuple[str, dict[str, str]]:
    """Head and entries of a column: step times relative to the reference arm at a length."""
    cells = timed_cells(cost)
    if not cells:
        return "", {}
    reference = reference_arm(cells)
    shown = {
        arm: interval_text(p)
        for arm, points in ratios_of(cells, reference, "train").items()
        for p in points
        if p.length == at
    }
    return f"Step time / {reference} at {at}", shown if len(shown) > 1 else {}


def _subject(cells: Sequence[Result]) -> str:
    names = [dict.fromkeys(str(r[c]) for r in cells if r[c]) for c in ("task", "backbone")]
    return ", ".join(listed(list(found)) for found in names if found) or "No task"


_Shown = dict[tuple[str, int], tuple[str, str]]
"""By arm and length: a value and a note on its seeds."""


def _scores(group: Group, intervals: bool) -> tuple[str, _Shown]:
    """What is measured, and each arm's value at each length; validation scores without a test."""
    points, cells = group.points, group.trained
    if not points and not any(scored(r) for r in cells):
        what = f"{group.metric.named('validation')} by length (no test text was read)"
        return what, _validation(cells)
    every = [p for series in points.values() for p in series]
    seeds = max((len(p.seeds) for p in every), default=1)
    about = ["95 % intervals"] if intervals else []
    about += [f"means of up to {seeds} seeds"] if seeds > 1 else []
    two = any(len(p.seeds) == 2 for p in every)
    about += ["in brackets both seeds"] if intervals and two else []
    about += common_seed_notes(cells)
    what = f"{group.metric.named('test')} by length" + (f" ({'; '.join(about)})" if about else "")
    shown = _not_compared(cells, scored, "score")
    shown |= {
        (arm, p.length): (_score(p, intervals), p.note)
        for arm, series in points.items()
        for p in series
    }
    return what, shown


def common_seed_notes(cells: Sequence[Result], finished: Finished = scored) -> list[str]:
    """The lengths at which means are not over all planned seeds."""
    planned, found = planned_seeds(cells), common_by_length(places(cells, finished))
    return [
        f"at {length} tokens over seeds {listed([str(s) for s in sorted(seeds)])}"
        for length, seeds in found.items()
        if seeds and seeds != planned
    ]


def _score(point: Point, intervals: bool) -> str:
    text = score_text(point.value)
    if intervals and not point.without_interval:
        text += f" ({score_text(point.low)} to {score_text(point.high)})"
    if intervals and len(point.seeds) == 2:
        text += f" [{', '.join(score_text(seed) for seed in point.seeds)}]"
    return text


def validated(result: Result) -> bool:
    """Whether a cell has a validation score."""
    return result.ok and result["validation_score"] is not None


def _validation(cells: Sequence[Result]) -> _Shown:
    """Mean validation scores by arm and length, over common seeds."""
    found: dict[tuple[str, int], list[float]] = {}
    for r in comparable_cells(cells, validated):
        found.setdefault((str(r["arm"]), int(r["length"])), []).append(r["validation_score"])
    all_places = places(cells, validated)
    notes = {(arm, n): place.note for arm, at in all_places.items() for n, place in at.items()}
    return _not_compared(cells, validated, "validation_score") | {
        place: (score_text(fmean(values)), notes[place]) for place, values in found.items()
    }


def _not_compared(cells: Sequence[Result], finished: Finished, column: str) -> _Shown:
    """Values of arms that lack seeds of the other arms: their own mean and its seeds."""
    found = places(cells, finished)
    seeds = common_by_length(found)
    shown: _Shown = {}
    for arm, lengths in found.items():
        for n, p in lengths.items():
            if not p.comparable(seeds[n]) and (p.finished or not p.run):
                own = [r[column] for cells in p.finished.values() for r in cells]
                names = listed([str(seed) for seed in sorted(p.finished)])
                value = f"{score_text(fmean(own))} (seeds {names}, not compared)" if own else ""
                shown[arm, n] = (value, p.note)
    return shown


def _perplexities(group: Group) -> tuple[int | None, dict[str, str]]:
    """The longest length that most arms have a loss at, and each arm's perplexity there."""
    points = group.points if group.metric.name == LOSS else {}
    last = longest_common(points)
    shown = {
        arm: f"{p.value:.4g}"
        for arm, series in _perplexity(points).items()
        for p in series
        if p.length == last
    }
    return last, shown


def _perplexity(points: dict[str, list[Point]]) -> dict[str, list[Point]]:
    import math

    return {
        arm: [replace(p, value=math.exp(min(p.value, 700.0))) for p in series]
        for arm, series in points.items()
    }


def _range(cells: Sequence[Result], column: str, _: str, text: Callable[[float], str]) -> str:
    """The smallest and the largest value of a column; only SSMLoRA has links."""
    values = sorted(
        {
            float(r[column])
            for r in cells
            if r[column] is not None and (column != "links" or r["method"] == SSMLORA)
        }
    )
    return span([text(v) for v in values])


def statuses(cells: Sequence[Result]) -> str:
    """The failures of one place: `oom`, `diverged ×3`."""
    statuses = Counter(str(r["status"]) for r in failures(cells))
    return listed([s + (f" ×{n}" if n > 1 else "") for s, n in statuses.items()])
