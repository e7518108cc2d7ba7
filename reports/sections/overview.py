"""The overview: differences between arms, all arms, cells by outcome.

The terminal shows the same answers and, like `readme_table`, the same table of arms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from harness.core.inference import FEWEST_SEEDS
from reports.arms import arm_tables, markdown, statuses, validated
from reports.blocks import (
    Block,
    Entry,
    Failed,
    Table,
    Text,
    duration,
    listed,
    percent,
    section,
    span,
)
from reports.frame import Result, Run, load_results
from reports.groups import Group
from reports.page import Report
from reports.sections.answers import ON_TOP
from reports.sections.comparisons import comparison_tables, notes, statements
from reports.seeds import (
    Finished,
    common_by_length,
    failures,
    places,
    planned_seeds,
    scored,
)

_HOW_TO_READ = (
    "Entries: mean over the seeds that all arms have at a length; a status where a run failed; "
    "empty where nothing was run. “1 of 3 seeds”: the arm lacks seeds of the sweep. “1 of 3 "
    "diverged”: mean over the other seeds. Sites: modules with an adapter. Links: sites that "
    "receive the state of another site."
)


@section(order=10, anchor="overview", title="Overview")
def overview(report: Report) -> list[Block]:
    """The answers with their table, arms by length, outcomes of cells."""
    blocks: list[Block] = []
    for group in report.training:
        texts = _statements(report, group)
        blocks += [Text(text) for subject, text in texts.items() if subject not in ON_TOP]
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
    return [text for group in report.training for text in _statements(report, group).values()]


def _statements(report: Report, group: Group) -> dict[str, str]:
    """The answers of a group by subject; none if no test text was read."""
    if not group.points:
        return {}
    return statements(group, report.comparisons[group.key], report.family)


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
    """The table of arms in Markdown, with intervals; one for each task and backbone.

    Costs are those of probes.
    """
    tables = arm_tables(Report(load_results(folder)), probes=True)
    return "\n\n".join(markdown(table) for table in tables) + "\n"


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
    finished = scored if any(scored(r) for r in cells) else validated
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
                state = place.note or statuses([r for r in cells if r["arm"] == arm])
            else:
                continue
            over = listed([str(seed) for seed in sorted(seeds)]) or "no common seed"
            rows.append([str(length), over, arm, state])
    return rows
