"""The one table of a run: an arm a row, score by length, sizes, and what training costs.

The report, the terminal and the README show the same table: it is made here once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from reports.blocks import Section, Table, Text
from reports.captions import common_seeds_text
from reports.evaluations import Found, evaluation_points
from reports.files import CHAINED, LOSS, Result, Run, arm_order
from reports.groups import Group, cost_groups, costs_of, evaluation_groups, training_groups
from reports.metrics import METRICS, metric_of
from reports.reach import noted, reach_notes
from reports.seeds import (
    Finished,
    common_by_length,
    comparable_cells,
    places,
    scored,
    seeds_text,
)
from reports.stats import (
    Point,
    arms,
    cost_cells,
    cost_points,
    failures,
    longest_common,
    one_rate_an_arm,
    score_points,
)
from reports.text import count, listed, memory, parameters, perplexity, rate, share

_SIZES: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("trainable_params", "Trainable", parameters),
    ("sites", "Sites", "{:.0f}".format),
    ("links", "Links", "{:.0f}".format),
)


@dataclass(frozen=True)
class MainTable:
    """Rows of text under headings; the caption says what is measured where.

    `title` tells it from the report's other tables, where there are any.
    """

    title: str
    caption: str
    head: list[str]
    rows: list[list[str]]


def main_tables(runs: Sequence[Run], intervals: bool = True) -> list[MainTable]:
    """A table for each run, task and backbone; probes without training stand in one of their own.

    The cost columns hold one length for all arms: the longest that most of them finished.
    """
    training, costs = training_groups(runs), cost_groups(runs)
    pairs: list[tuple[Group, Group | None]] = [(g, costs_of(g, costs)) for g in training]
    used = {cost.key for _, cost in pairs if cost}
    pairs += [(replace(c, results=[]), c) for c in costs if c.key not in used]
    if not pairs:  # a run that lm-eval alone evaluated
        return [evaluation_table(group) for group in evaluation_groups(runs)]
    return [_table(group, cost, intervals) for group, cost in pairs]


def section(runs: Sequence[Run]) -> list[Section]:
    """The report's first section."""
    found = Section("glance", "Results at a glance")
    for table in main_tables(runs):
        where = f"{table.title}. " if table.title else ""
        numeric = frozenset(table.head[1:]) - {"Task", "Metric"}
        found.blocks.append(Table(f"{where}{table.caption}", table.head, table.rows, numeric))
    sites = (
        " Sites are the layers that carry an adapter, links the sites that receive another's state."
    )
    if found.blocks:
        found.blocks.append(
            Text(
                "A word in place of a number says how that cell failed; an empty place, that there "
                "is no result. Means are over the seeds that all arms have at a length; “1 of 3 "
                "seeds” marks an arm that lacks seeds of the sweep, “1 of 3 diverged” a mean over "
                "the seeds that finished." + (sites if "Sites" in table.head else ""),
                "note",
            )
        )
    return [found] if found.blocks else []


def as_markdown(table: MainTable) -> str:
    """The table in GitHub's Markdown, its caption above it."""
    lines = [table.head, ["---", *["---:"] * (len(table.head) - 1)]]
    lines += [[_markdown(entry) for entry in row] for row in table.rows]
    return "\n".join(
        [f"{_markdown(table.caption)}.", "", *("| " + " | ".join(line) + " |" for line in lines)]
    )


def _markdown(text: str) -> str:
    for sign in "\\`*_[]|~":
        text = text.replace(sign, "\\" + sign)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _table(group: Group, cost: Group | None, intervals: bool) -> MainTable:
    trained = [r for r in one_rate_an_arm(group.results) if r["kind"] == "train"]
    costly = cost_cells(cost.results) if cost else []
    rates, peaks = (cost_points(costly, f"train_{n}") for n in ("tokens_per_s", "peak_bytes"))
    at = longest_common(rates or peaks)
    what, scores = _scores(trained, intervals)
    lengths = sorted({int(r["length"]) for r in trained}) if scores or failures(trained) else []
    last, perplexities = _perplexities(trained)
    rows = []
    for arm in arms(sorted([*trained, *costly], key=arm_order)):
        own = [r for r in trained if r["arm"] == arm]
        costs = [r for r in costly if r["arm"] == arm]
        row = [arm, *(_range(own or costs, *column) for column in _SIZES)]
        for length in lengths:
            here = [r for r in own if r["length"] == length]
            value = scores.get((arm, length), "")
            # a note such as `1 of 3 diverged` says it already
            failed = _failed([r for r in here if "diverged" not in value or not _diverged(r)])
            row.append(_joined(value, failed))
        row += [perplexities.get(arm, "")] if perplexities else []
        for series, told in ((rates, rate), (peaks, memory)) if at is not None else ():
            cost_at = next((p.value for p in series.get(arm, []) if p.length == at), None)
            failed = _failed([r for r in costs if r["length"] == at])
            row.append(failed if cost_at is None else told(cost_at))
        rows.append(row)
    notes = reach_notes(trained)
    head = ["Arm", *(name for _, name, _ in _SIZES), *(noted(n, notes, " tokens") for n in lengths)]
    head += [f"Perplexity at {last}"] if perplexities else []
    head += [] if at is None else [f"Train tokens/s at {at}", f"Train peak at {at}"]
    shown = [what] if scores else []
    if cost and at is not None:
        source = "probes" if costly[0]["kind"] == "probe" else "the training runs"
        source += f" of {listed(cost.runs)}" if set(cost.runs) != set(group.runs) else ""
        shown.append(f"cost of training at {at} tokens (from {source})")
    caption = f"{_about(trained or costly)}: {listed(shown) or 'nothing was measured'}"
    return MainTable(group.title, caption, head, rows)


def evaluation_table(group: Group) -> MainTable:
    """Tasks of lm-eval by length, for a run in which nothing was trained."""
    lengths = sorted({int(r["length"]) for r in group.results})
    rows = [
        [arm, task, metric, *(_evaluated(points.get((task, metric, arm, n))) for n in lengths)]
        for points in (evaluation_points(group.results),)
        for task, metric, arm in dict.fromkeys(key[:3] for key in points)
    ]
    rows += [
        [arm, "", "", *(_failed([r for r in own if r["length"] == n]) for n in lengths)]
        for arm in arms(group.results)
        if (own := failures([r for r in group.results if r["arm"] == arm]))
    ]
    names = listed(list(dict.fromkeys(str(r["backbone"]) for r in group.results if r["backbone"])))
    caption = f"{names or 'No backbone'}: tasks of lm-eval by length (± standard error)"
    head = ["Arm", "Task", "Metric", *(f"{n} tokens" for n in lengths)]
    return MainTable(group.title, caption, head, rows)


def _about(cells: Sequence[Result]) -> str:
    names = [dict.fromkeys(str(r[c]) for r in cells if r[c]) for c in ("task", "backbone")]
    return ", ".join(listed(list(found)) for found in names if found) or "No task"


def _scores(cells: Sequence[Result], intervals: bool) -> tuple[str, dict[tuple[str, int], str]]:
    """What is measured, and each arm's value at each length; validation where no test was read.

    Values are means over the seeds that all arms have at a length. An arm that lacks some of them
    shows its own mean with the seeds that it is of.
    """
    points, metric = score_points(cells), metric_of(cells)
    if not points and not any(scored(r) for r in cells):
        return f"{metric.named('validation')} by length (no test text was read)", _validation(cells)
    every = [p for series in points.values() for p in series]
    seeds = max((len(p.seeds) for p in every), default=1)
    notes = ["95 % intervals"] if intervals else []
    notes += [f"means of up to {count(seeds, 'seed')}"] if seeds > 1 else []
    notes += ["in brackets each of two seeds"] if intervals and any(_two(p) for p in every) else []
    notes += common_seeds_text(cells)
    told = f"{metric.named('test')} by length" + (f" ({'; '.join(notes)})" if notes else "")
    shown = _apart(cells, scored, "score")
    shown |= {
        (arm, p.length): _joined(_score(p, intervals), p.note)
        for arm, series in points.items()
        for p in series
    }
    return told, shown


def _score(point: Point, intervals: bool) -> str:
    told = share(point.value)
    if intervals and not point.without_interval:
        told += f" ({share(point.low)} to {share(point.high)})"
    if intervals and _two(point):
        told += f" [{', '.join(share(seed) for seed in point.seeds)}]"
    return told


def _two(point: Point) -> bool:
    return len(point.seeds) == 2


def _validation(cells: Sequence[Result]) -> dict[tuple[str, int], str]:
    """Mean validation scores by arm and length, over common seeds."""

    def known(result: Result) -> bool:
        return result.ok and result["validation_score"] is not None

    found: dict[tuple[str, int], list[float]] = {}
    for r in comparable_cells(cells, known):
        found.setdefault((str(r["arm"]), int(r["length"])), []).append(r["validation_score"])
    notes = {(arm, n): p.note for arm, at in places(cells, known).items() for n, p in at.items()}
    return _apart(cells, known, "validation_score") | {
        place: _joined(share(fmean(values)), notes[place]) for place, values in found.items()
    }


def _apart(cells: Sequence[Result], finished: Finished, column: str) -> dict[tuple[str, int], str]:
    """What is shown of arms that lack seeds that the others have."""
    found = places(cells, finished)
    seeds = common_by_length(found)
    return {
        (arm, n): _joined(
            f"{share(fmean(r[column] for own in p.finished.values() for r in own))} "
            f"({seeds_text(p.finished)}, not compared)" if p.finished else "",
            p.note,
        )
        for arm, lengths in found.items()
        for n, p in lengths.items()
        if not p.comparable(seeds[n]) and (p.finished or not p.run)
    }  # fmt: skip


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _perplexities(cells: Sequence[Result]) -> tuple[int | None, dict[str, str]]:
    """The longest length that most arms have a loss at, and each arm's perplexity there."""
    points = score_points(cells) if metric_of(cells) is METRICS[LOSS] else {}
    last = longest_common(points)
    return last, {
        arm: perplexity(p.value) for arm, series in points.items() for p in series
        if p.length == last
    }  # fmt: skip


def _evaluated(found: Found | None) -> str:
    if found is None:
        return ""
    return _joined(found.text, listed(found.failures), found.note)


def _range(cells: Sequence[Result], column: str, _: str, told: Callable[[float], str]) -> str:
    """The values of a column, smallest to largest; of cells at several lengths they may differ."""
    values = sorted(
        {
            float(r[column])
            for r in cells
            if r[column] is not None and (column != "links" or r["method"] == CHAINED)
        }
    )
    return " to ".join(dict.fromkeys(told(v) for v in values[:1] + values[-1:]))


def _diverged(result: Result) -> bool:
    return bool(result["status"] == "diverged")


def _failed(cells: Sequence[Result]) -> str:
    """How the cells of one place failed: `oom`, `diverged ×3`."""
    statuses = Counter(str(r["status"]) for r in cells if not r.ok)
    return listed([s + (f" ×{n}" if n > 1 else "") for s, n in statuses.items()])
