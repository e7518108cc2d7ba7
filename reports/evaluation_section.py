"""Tasks of lm-eval on the models as they were trained, and on the untrained backbone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from reports.blocks import Block, Entry, Section, Table, Text
from reports.drawn import picture
from reports.evaluation_figures import evaluation_by_length
from reports.evaluations import (
    Found,
    Place,
    as_cells,
    evaluated,
    evaluation_points,
    task_series,
    value_text,
)
from reports.files import Result
from reports.groups import Group
from reports.stats import failures, one_rate_an_arm
from reports.text import count, listed, shortened, slug

_HEAD = ("Task", "Metric", "Arm", "Length", "Value", "Examples", "Status", "Message")
_NUMERIC = frozenset({"Length", "Value", "Examples", "Seed"})
_MOST = 40
"""Figures of a group at most: there are suites of hundreds of tasks."""


def lm_eval(groups: Sequence[Group]) -> list[Section]:
    """Every value in a table, and a figure for each task that has two lengths or more."""
    section = Section("lm-eval", "lm-eval")
    names: set[str] = set()
    for group in groups:
        section.blocks += _figures(group, names)
        section.blocks.append(_table(group))
    if section.blocks:
        versions = {
            e.version for g in groups for r in g.results for e in r.evaluations if e.version
        }
        told = f" Versions: {listed(sorted(versions))}." if versions else ""
        intro = (
            "Tasks of the Language Model Evaluation Harness, on each model as it was trained and "
            f"on the backbone as it is.{told} ± is one standard error, as lm-eval gives it."
        )
        section.blocks.insert(0, Text(intro))
    return [section] if section.blocks else []


def lm_eval_summary(group: Sequence[Result]) -> list[str]:
    """What lm-eval was asked and how much of it failed, in a sentence or two."""
    found = [one for _, one in evaluated(group)]
    lengths = sorted({int(r["length"]) for r in group})
    tasks = {one.task for one in found}
    failed = Counter(one.status for one in found if one.value is None)
    whole = failures(group)
    sentence = (
        f"lm-eval: {count(len(tasks), 'task')} at {listed([str(n) for n in lengths])} tokens; "
        f"{sum(one.value is not None for one in found)} of {count(len(found), 'evaluation')} "
        "gave a value"
    )
    told = [f"{times} {status}" for status, times in sorted(failed.items())]
    sentences = [sentence + (f" ({listed(told)})." if told else ".")]
    alone = [r for r in whole if not r.evaluations]
    if alone:
        sentences.append(f"{count(len(alone), 'cell')} failed before any task was evaluated.")
    return sentences


def _figures(group: Group, names: set[str]) -> list[Block]:
    """A figure for each task with two lengths or more; `names` are those of pictures in use."""
    points = evaluation_points(group.results)
    blocks: list[Block] = []
    for task in dict.fromkeys(place[0] for place in points):
        if len({length for name, _, _, length in points if name == task}) < 2:
            continue
        if len(blocks) == _MOST:
            note = f"Only {_MOST} tasks are drawn; the table has them all."
            return [*blocks, Text(note, "note")]
        name = slug(task)
        while name + group.suffix in names:  # two tasks may differ in signs alone
            name += "-x"
        names.add(name + group.suffix)
        failed = failures(as_cells(group.results, task))
        lower = any(not e.higher_is_better for _, e in evaluated(group.results) if e.task == task)
        caption = (
            f"{task} (lm-eval) against length; bars are 95 % intervals, 1.96 standard errors."
            + (" Lower is better." if lower else "")
            + (" Crosses below the axes: evaluations that failed, with how." if failed else "")
            + _incomplete(points, task)
        )  # fmt: skip
        alt = _alt(group, task)
        draw = evaluation_by_length(task)
        blocks.append(picture(f"lm-eval-{name}", group, draw, caption, alt))
    return blocks


def _incomplete(points: dict[Place, Found], task: str) -> str:
    """Which arms lack seeds, in a sentence of the caption; empty where none does."""
    told = dict.fromkeys(
        f"{arm} at {length} tokens ({found.note})"
        for (name, _, arm, length), found in points.items()
        if name == task and found.note
    )
    if not told:
        return ""
    return f" Means are over the seeds that all arms have; incomplete: {listed([*told])}."


def _alt(group: Group, task: str) -> str:
    points = evaluation_points(group.results)
    metrics = dict.fromkeys(what for name, what, _, _ in points if name == task)
    parts = []
    for metric in metrics:
        for arm, series in task_series(points, task, metric).items():
            told = ", ".join(
                f"{value_text(p.value, None)} at {p.length}" + (f" ({p.note})" if p.note else "")
                for p in series
            )
            parts.append(f"{metric}, {arm}: {told}")
    failed = [
        f"{r['arm']} at {r['length']} ({r['status']})"
        for r in failures(as_cells(group.results, task))
    ]
    ending = f" Failed: {'; '.join(dict.fromkeys(failed))}." if failed else ""
    return f"{task} by length in tokens. {'; '.join(parts) or 'Nothing was measured'}.{ending}"


def _table(group: Group) -> Table:
    cells = one_rate_an_arm(group.results)
    seeds = len({r["seed"] for r in cells}) > 1
    rows: list[list[Entry]] = []
    for task in dict.fromkeys(one.task for _, one in evaluated(group.results)):
        for result, one in evaluated(group.results):
            if one.task != task:
                continue
            rows.append(
                [
                    one.task, one.metric, str(result["arm"]), str(result["length"]),
                    "" if one.value is None else value_text(one.value, one.stderr),
                    "" if one.examples is None else f"{one.examples:,}",
                    one.status, shortened(one.message, 160) if one.status != "ok" else "",
                    *([str(result["seed"])] if seeds else []),
                ]
            )  # fmt: skip
    for result in failures([r for r in cells if not r.evaluations]):
        rows.append(
            [
                "all", "", str(result["arm"]), str(result["length"]), "", "",
                str(result["status"]), shortened(str(result["error"] or ""), 160),
                *([str(result["seed"])] if seeds else []),
            ]
        )  # fmt: skip
    caption = "Every evaluation" + (f" ({group.title})" if group.title else "")
    return Table(caption, [*_HEAD, *(["Seed"] if seeds else [])], rows, _NUMERIC)
