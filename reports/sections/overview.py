"""The first section: the answers, differences between arms, all arms, cells by outcome.

The terminal shows the same answers and, like `readme_table`, the same table of arms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import pandas as pd

from harness.core.inference import FEWEST_SEEDS
from harness.core.methods import SSMLORA
from harness.core.result import LOSS
from reports.blocks import (
    Block,
    Entry,
    Failed,
    Table,
    Text,
    duration,
    joined,
    listed,
    memory,
    parameters,
    percent,
    rate,
    score_text,
    section,
    span,
)
from reports.frame import Result, Run, arm_order, load_results
from reports.groups import Group, costs_of, with_reach
from reports.page import Report
from reports.sections import comparisons
from reports.sections.comparisons import comparison_tables, notes
from reports.sections.evaluations import evaluation_table
from reports.stats import (
    Finished,
    Point,
    arms,
    common_by_length,
    comparable_cells,
    cost_cells,
    cost_points,
    failures,
    longest_common,
    peak_column,
    places,
    planned_seeds,
    scored,
)

_SIZES: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("trainable_params", "Trainable", parameters),
    ("sites", "Sites", "{:.0f}".format),
    ("links", "Links", "{:.0f}".format),
)
_HOW_TO_READ = (
    "Entries: mean over the seeds that all arms have at a length; a status where a run failed; "
    "empty where nothing was run. “1 of 3 seeds”: the arm lacks seeds of the sweep. “1 of 3 "
    "diverged”: mean over the other seeds. Sites: modules with an adapter. Links: sites that "
    "receive the state of another site."
)


@dataclass(frozen=True)
class ArmTable:
    """One row for each arm: sizes, score by length, cost of training. Entries are plain text."""

    title: str
    caption: str
    head: list[str]
    rows: list[list[str]]


@section(order=10, anchor="overview", title="Overview")
def overview(report: Report) -> list[Block]:
    """The answers with their table, arms by length, outcomes of cells."""
    blocks: list[Block] = []
    for group in report.training:
        blocks += [Text(text) for text in _answers(report, group)]
        if group.points:
            blocks += comparison_tables(group, report.comparisons[group.key])
    blocks += notes(report.training)
    tables = arm_tables(report)
    for table in tables:
        where = f"{table.title}: " if table.title else ""
        numeric = frozenset(table.head[1:]) - {"Task", "Metric"}
        blocks.append(Table(where + table.caption, table.head, table.rows, numeric))
    if tables:
        blocks.append(Text(_HOW_TO_READ, "note"))
    for group in report.training:
        blocks += _data_notes(group)
    return [*blocks, _outcomes(report.runs)]


def answers(frame: pd.DataFrame | Path) -> list[str]:
    """For the console: the answers of the overview, one paragraph each."""
    report = Report(load_results(frame) if isinstance(frame, Path) else frame)
    return [text for group in report.training for text in _answers(report, group)]


def _answers(report: Report, group: Group) -> list[str]:
    """The answers of a group; none if no test text was read."""
    if not group.points:
        return []
    return comparisons.answers(group, report.comparisons[group.key], report.family)


def summary_table(frame: pd.DataFrame | Path) -> list[tuple[str, list[dict[str, str]]]]:
    """For the console: for each task and backbone a caption and one row for each arm.

    A row maps headings to texts: score by length (without intervals), then costs of training.
    """
    frame = load_results(frame) if isinstance(frame, Path) else frame
    sizes = {"Trainable", "Sites", "Links"}
    return [
        (
            table.caption,
            [
                {k: v for k, v in zip(table.head, row, strict=True) if k not in sizes}
                for row in table.rows
            ],
        )
        for table in arm_tables(Report(frame), intervals=False)
    ]


def readme_table(folder: Path) -> str:
    """The table of arms in Markdown, with intervals; one for each task and backbone."""
    tables = arm_tables(Report(load_results(folder)))
    return "\n\n".join(markdown(table) for table in tables) + "\n"


def arm_tables(report: Report, intervals: bool = True) -> list[ArmTable]:
    """A table for each task and backbone; probes without training have a table of their own.

    Costs are at one length for all arms: the longest that most of them have.
    """
    training, costs = report.training, report.costs
    pairs: list[tuple[Group, Group | None]] = [(g, costs_of(g, costs)) for g in training]
    used = {cost.key for _, cost in pairs if cost}
    pairs += [(replace(c, results=[]), c) for c in costs if c.key not in used]
    if not pairs:  # a run that lm-eval alone evaluated
        return [ArmTable(*evaluation_table(group)) for group in report.evaluations]
    return [_arm_table(group, cost, intervals) for group, cost in pairs]


def differences_table(folder: Path) -> str:
    """The declared differences between arms in Markdown; "" without any."""
    report = Report(load_results(folder))
    tables = [
        markdown(Table(one.caption, one.head, one.rows))
        for group in report.training
        if group.points
        for one in comparison_tables(group, report.comparisons[group.key])
        if isinstance(one, Table)
    ]
    return "".join(f"{table}\n\n" for table in tables)


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
            row.append(joined(value, note, _statuses(failed)))
        row += [perplexities.get(arm, "")] if perplexities else []
        for series, text in ((rates, rate), (peaks, memory)) if at is not None else ():
            value_at = next((p.value for p in series.get(arm, []) if p.length == at), None)
            failed = [r for r in costs if r["length"] == at]
            row.append(_statuses(failed) if value_at is None else text(value_at))
        rows.append(row)
    heads = [with_reach(n, group.reach, " tokens") for n in lengths]
    head = ["Arm", *(name for _, name, _ in _SIZES), *heads]
    head += [f"Perplexity at {last}"] if perplexities else []
    head += [] if at is None else [f"Train tokens/s at {at}", f"Train peak at {at}"]
    source = ""
    if cost and at is not None:
        source = "probes" if costly[0]["kind"] == "probe" else "the training runs"
        source += f" of {listed(cost.runs)}" if set(cost.runs) != set(group.runs) else ""
        source = f"cost of training at {at} tokens (from {source})"
    shown = joined(what if scores else "", source, by=" and ") or "nothing was measured"
    return ArmTable(group.title, f"{_subject(trained or costly)}: {shown}", head, rows)


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


def _validated(result: Result) -> bool:
    """Whether a cell has a validation score."""
    return result.ok and result["validation_score"] is not None


def _validation(cells: Sequence[Result]) -> _Shown:
    """Mean validation scores by arm and length, over common seeds."""
    found: dict[tuple[str, int], list[float]] = {}
    for r in comparable_cells(cells, _validated):
        found.setdefault((str(r["arm"]), int(r["length"])), []).append(r["validation_score"])
    all_places = places(cells, _validated)
    notes = {(arm, n): place.note for arm, at in all_places.items() for n, place in at.items()}
    return _not_compared(cells, _validated, "validation_score") | {
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


def _statuses(cells: Sequence[Result]) -> str:
    """The failures of one place: `oom`, `diverged ×3`."""
    statuses = Counter(str(r["status"]) for r in failures(cells))
    return listed([s + (f" ×{n}" if n > 1 else "") for s, n in statuses.items()])


def _outcomes(runs: Sequence[Run]) -> Table:
    """Cells by outcome and time, one row for each run; a cell of several runs counts in each."""
    rows: list[list[Entry]] = []
    for run in runs:
        results = [r for r in run.results if r["in_sweep"]]
        done = {r["id"] for r in run.results}
        failed = Counter(str(r["status"]) for r in failures(results))
        kinds = ", ".join(f"{n} {status}" for status, n in sorted(failed.items()))
        text = f"{failed.total()}" + (f" ({kinds})" if kinds else "")
        asked = [one for r in results for one in r["evaluations"]]
        valued = sum(one.value is not None for one in asked)
        share = run.manifest.overhead_share
        rows.append(
            [
                run.name,
                str(sum(r.ok for r in results)),
                Failed(text) if kinds else text,
                "unknown" if run.ids is None else str(sum(i not in done for i in run.ids)),
                f"{valued} of {len(asked)}" if asked else "",
                duration(run.manifest.wall_s) if run.manifest.runs else "",
                "" if share is None else percent(share),
            ]
        )
    head = ["Run", "Cells ok", "Failed", "Not run", "lm-eval values", "Wall time", "Overhead"]
    caption = "Cells by outcome. Overhead: workers' time without training, evaluation or probes"
    return Table(caption, head, rows, frozenset(head[1:]))


def _data_notes(group: Group) -> list[Block]:
    """What limits the conclusions from a group: texts, seeds, lengths, curriculum."""
    cells = group.trained
    tested = sorted({int(r["test_examples"]) for r in cells if r.ok and r["test_examples"]})
    seeds = planned_seeds(cells)
    parts = [
        f"n = {span([f'{n}' for n in tested])} test texts." if tested else "No test text was read."
    ]
    parts.append(f"Seeds: {len(seeds)}.")
    most = max((len(p.seeds) for series in group.points.values() for p in series), default=0)
    if 0 < most < FEWEST_SEEDS:
        parts.append("Intervals cover the choice of test texts; they leave out seed variance.")
    parts += [group.notes] if group.notes else []
    blocks: list[Block] = [Text(group.about(" ".join(parts)), "note")]
    finished = scored if any(scored(r) for r in cells) else _validated
    rows: list[list[Entry]] = incomplete_rows(cells, finished) if len(seeds) > 1 else []
    if rows:
        caption = group.about("Arms without all seeds; an arm is compared over common seeds only")
        head = ["Length", "Means over seeds", "Arm", "Has"]
        blocks.append(Table(caption, head, rows, frozenset({"Length"})))
    return blocks


def incomplete_rows(cells: Sequence[Result], finished: Finished = scored) -> list[list[Entry]]:
    """(length, seeds of the means, arm, what it has) for arms that lack seeds at a length."""
    found, rows = places(cells, finished), list[list[Entry]]()
    for length, seeds in common_by_length(found).items():
        for arm, at in found.items():
            place = at.get(length)
            unused = all(p.baseline and not p.finished for p in at.values())
            if unused or any(p.once for p in at.values()):
                continue
            if place is None or not (place.present or place.failed):
                state = "not run"
            elif place.incomplete or place.diverged:
                state = place.note or _statuses([r for r in cells if r["arm"] == arm])
            else:
                continue
            over = listed([str(seed) for seed in sorted(seeds)]) or "no common seed"
            rows.append([str(length), over, arm, state])
    return rows
