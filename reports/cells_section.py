"""Every cell, every failure, and how it was run."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from harness.core.values import clean, number
from reports.blocks import Entry, Link, Listing, Section, Table, Text
from reports.extras import statuses
from reports.files import Result, Run
from reports.stats import failures
from reports.study_figures import rate_text
from reports.text import count, memory, parameters, percent, perplexity, rate, share

_MACHINE = ("cpu", "cores", "memory_gib", "platform", "commit", "python", "torch")
_SETTINGS = (
    ("device", "device"),
    ("dtype", "number format"),
    ("attention", "attention kernel"),
    ("dropout", "dropout"),
)
_HEAD = (
    "Cell", "Run", "Kind", "Status", "Task", "Backbone", "Arm", "Placement", "Sites", "Links",
    "Rank", "Length", "Seed", "Learning rate", "Rate from", "Trainable", "Total", "Metric", "Score",
    "95 % interval", "Macro-F1", "Validation", "Test texts", "Train tokens/s", "Eval tokens/s",
    "Train peak", "Eval peak", "Wall s", "Load s", "Data s", "Train s", "Eval s", "Probe s",
)  # fmt: skip
_LATER: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("perplexity", "Perplexity", lambda value: perplexity(value and math.log(max(1.0, value)))),
    ("rouge_l", "ROUGE-L", share),
    ("exact_match", "Exact match", share),
    ("majority", "Best constant", share),
    ("reach", "Test texts of the length", lambda value: "" if value is None else percent(value)),
    ("longest", "Longest test text", lambda value: "" if value is None else f"{value:.0f}"),
)
"""What only some cells have: columns where any cell has one."""
_NUMERIC = (frozenset(_HEAD[8:]) - {"Metric"}) | {name for _, name, _ in _LATER}


def all_cells(runs: Sequence[Run]) -> list[Section]:
    """The table of all cells; the rest of their columns is in results.csv."""
    results = [result for run in runs for result in run.results]
    later = [one for one in _LATER if any(r[one[0]] is not None for r in results)]
    rows = [[*_row(r), *(told(r[column]) for column, _, told in later)] for r in results]
    section = Section("cells", "All cells")
    if not rows:
        section.blocks = [Text("There are no cells yet.")]
        return [section]
    old = sum(not r["in_sweep"] for run in runs for r in run.results)
    if old:
        section.blocks.append(
            Text(
                f"{count(old, 'cell')} of this table stand in no figure: they are left from an "
                "earlier form of the sweep (column in_sweep of results.csv).",
                "note",
            )
        )
    where = "the run folder" if len(runs) == 1 else "each run folder"
    section.blocks.append(
        Table(
            f"{count(len(rows), 'cell')}; results.csv in {where} has every column",
            [*_HEAD, *(name for _, name, _ in later)],
            rows,
            _NUMERIC,
        )
    )
    return [section]


def _row(result: Result) -> list[Entry]:
    def text(column: str) -> str:
        return "" if result[column] is None else str(result[column])

    def seconds(column: str) -> str:
        return "" if result[column] is None else f"{result[column]:.1f}"

    low, high = result["score_low"], result["score_high"]
    amounts = [
        "" if result[column] is None else told(result[column])
        for column, told in (
            ("train_tokens_per_s", rate),
            ("eval_tokens_per_s", rate),
            ("train_peak_bytes", memory),
            ("eval_peak_bytes", memory),
        )
    ]
    sizes = [
        "" if result[name] is None else parameters(result[name])
        for name in ("trainable_params", "total_params")
    ]
    return [
        *(text(name) for name in ("id", "run", "kind", "status", "task", "backbone", "arm")),
        *(text(name) for name in ("placement", "sites", "links", "rank", "length", "seed")),
        "" if result["lr"] is None else rate_text(result["lr"]),
        text("lr_source"),
        *sizes,
        text("metric"),
        share(result["score"]),
        "" if low is None or high is None else f"{share(low)} to {share(high)}",
        share(result["macro_f1"]),
        share(result["validation_score"]),
        text("test_examples"),
        *amounts,
        *(seconds(f"{name}_s") for name in ("wall", "load", "data", "train", "eval", "probe")),
    ]


def failed_cells(runs: Sequence[Run], out: Path) -> list[Section]:
    """Cells that failed, with message and log; files that could not be read."""
    section = Section("failures", "Failures")
    rows: list[list[Entry]] = []
    for run in runs:
        for r in failures([r for r in run.results if r["in_sweep"]]):
            rows.append(
                [
                    str(r["id"]), str(r["run"]), str(r["status"]), str(r["task"] or r["kind"]),
                    str(r["arm"]), str(r["length"]), str(r["seed"]),
                    "" if r["lr"] is None else rate_text(r["lr"]), str(r["error"] or ""),
                    _log(run, r["log"], out),
                ]
            )  # fmt: skip
    if rows:
        head = ["Cell", "Run", "Status", "Task", "Arm", "Length", "Seed", "Learning rate",
                "Message", "Log"]  # fmt: skip
        section.blocks.append(
            Table(
                f"{count(len(rows), 'cell')} failed; a failure is a result and stays in the table",
                head,
                rows,
                frozenset({"Length", "Seed", "Learning rate"}),
            )
        )
    broken: list[list[Entry]] = [
        [run.name, name, reason] for run in runs for name, reason in run.unreadable
    ]
    if broken:
        section.blocks.append(
            Table("Cell files that could not be used", ["Run", "File", "Reason"], broken)
        )
    if not section.blocks:
        section.blocks = [Text("No cell failed.")]
    asked = [one for run in runs for r in run.results if r["in_sweep"] for one in r.evaluations]
    lost = statuses(asked)
    if lost:
        told = count(len(lost), "evaluation")
        section.blocks.append(Text(f"{told} of lm-eval failed: see lm-eval above.", "note"))
    return [section]


def _log(run: Run, log: str | None, out: Path) -> Entry:
    """A link to a log inside the run folder, relative to the page; anything else as plain text."""
    if not log:
        return ""
    root = run.path.resolve()
    target = (root / log).resolve()
    try:
        inside = target.is_relative_to(root) and target.is_file()
    except OSError:  # a name that no file can have
        inside = False
    if not inside:
        return Path(log).name
    href = quote(Path(os.path.relpath(target, out.resolve())).as_posix())
    return Link(target.relative_to(root).as_posix(), href)


def how_it_was_run(runs: Sequence[Run]) -> list[Section]:
    """Versions, machine, settings and the sweep of each run; warnings where they are mixed."""
    section = Section("how", "How it was run")
    for run in runs:
        folder = clean(run.path.resolve().name)
        name = run.name if folder == run.name else f"{run.name} (folder {folder})"
        known = [r for r in run.results if r["in_sweep"]]
        facts = facts_of(known)
        for fact, values in facts.items():
            if len(values) > 1:
                told = "; ".join(f"{value} ({count(n, 'cell')})" for value, n in values.items())
                section.blocks.append(
                    Text(
                        f"Mixed in {run.name}: {fact}: {told}. Differences between cells may come "
                        "from this rather than from the methods.",
                        "warning",
                    )
                )
        if any("+changes" in value for value in facts.get("commit", ())):
            section.blocks.append(
                Text(f"{run.name} ran on code with changes that no commit holds.", "warning")
            )
        if run.unreadable:
            names = ", ".join(name for name, _ in run.unreadable)
            section.blocks.append(
                Text(f"{run.name}: files that could not be used: {names}.", "warning")
            )
        rows: list[list[Entry]] = [
            [fact, "; ".join(values)] for fact, values in facts.items() if values
        ]
        rows += _account(run)
        if rows:
            section.blocks.append(Table(f"Settings and machine of {name}", ["", "Value"], rows))
        if run.sweep:
            section.blocks.append(Listing(f"The sweep file of {run.name}", run.sweep))
    if not section.blocks:
        section.blocks = [Text("Nothing was run yet.")]
    return [section]


def facts_of(cells: Sequence[Result]) -> dict[str, Counter[str]]:
    """Each fact's distinct values with how many cells have them."""
    facts: dict[str, Counter[str]] = {}
    # What was asked stands in for a cell that failed before it had a model: it settles nothing.
    modelled = [r for r in cells if r["attention"] is not None] or cells
    for column, name in _SETTINGS:
        facts[name] = Counter(str(r[column]) for r in modelled if r[column] is not None)
    tasks = dict.fromkeys(str(r["task"]) for r in cells if r["task_revision"] is not None)
    for task in tasks:  # revisions differ between tasks by right
        own = [r["task_revision"] for r in cells if str(r["task"]) == task]
        label = "data revision" if len(tasks) == 1 else f"data revision of {task}"
        facts[label] = Counter(str(value) for value in own if value is not None)
    for kind in ("train", "probe"):
        for column in ("batch_size", "examples", "epochs", "steps"):
            values = Counter(
                str(r[column]) for r in cells if r["kind"] == kind and r[column] is not None
            )
            facts[f"{column.replace('_', ' ')} ({kind})"] = values
    names = {"memory_gib": "memory (GiB)", "cpu": "processor"}
    keys = dict.fromkeys([*_MACHINE, *(key for r in cells for key in r.environment)])
    for key in keys:
        if key != "started":
            found = Counter(r.environment[key] for r in cells if key in r.environment)
            facts.setdefault(names.get(key, key), found)
    return {name: values for name, values in facts.items() if values}


def _account(run: Run) -> list[list[Entry]]:
    """Where the run's time went, from its manifest."""
    rows: list[list[Entry]] = []
    about = run.manifest
    for key, name in (("wall_s", "wall time (s)"), ("workers", "workers")):
        value = number(about.get(key))
        if value is not None:
            rows.append([name, f"{value:.0f}"])
    overhead = number(about.get("overhead_share"))
    if overhead is not None:
        told = f"{percent(overhead)} of the workers' time was not training, evaluating or probing"
        rows.append(["overhead", told])
    return rows
