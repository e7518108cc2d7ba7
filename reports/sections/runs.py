"""Joined folders, failures, all cells, and how the cells were run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.core.values import clean
from reports.blocks import (
    Block,
    CellTable,
    Entry,
    Failed,
    Link,
    Listing,
    Table,
    Text,
    joined,
    listed,
    lr_text,
    memory,
    parameters,
    percent,
    rate,
    score_text,
    section,
    shortened,
)
from reports.frame import Result, Run
from reports.groups import Group
from reports.joining import MACHINE, UNKNOWN
from reports.page import Report
from reports.seeds import failures

_NAMES = {"cpu": "processor", "memory_gib": "memory (GiB)", "gpu": "GPU"}
_RULES = (
    "Scores are joined if task, data version, backbone, version of its weights, number format and "
    "protocol version agree. Costs are joined if device and machine agree too "
    f"({', '.join(_NAMES.get(name, name) for name in MACHINE)}). A cell of several folders counts "
    "once: a score before a failure, then the first folder. Labels of arms with different settings "
    "name these settings."
)
_FIRST = ("cpu", "cores", "memory_gib", "platform", "commit", "python", "torch")
_SETTINGS = (
    ("device", "device"),
    ("dtype", "number format"),
    ("attention", "attention kernel"),
    ("dropout", "dropout"),
    ("curriculum", "curriculum"),
)


@section(order=15, anchor="joined", title="Joined folders")
def joined_folders(report: Report) -> list[Block]:
    """Which folders were joined and why others were not; empty for one folder."""
    if len(report.runs) < 2:
        return []
    rows: list[list[Entry]] = []
    for groups, what in ((report.training, "scores"), (report.costs, "costs")):
        for group in groups:
            if len(group.runs) > 1:
                subject = joined(group.key.task, group.key.backbone, by=" · ") or "probes"
                missing = [n for n, v in group.key.conditions if v == UNKNOWN and n not in MACHINE]
                note = f"not recorded: {listed(missing)}" if missing else ""
                rows.append([what, subject, listed(group.runs), "joined", note])
        rows += [
            [what, subject, listed(runs), "not joined", why]
            for subject, runs, why in not_joined(groups, what)
        ]
    head = ["What", "Subject", "Folders", "Joined", "Reason"]
    blocks: list[Block] = [Text(_RULES, "note"), Table("Joined folders", head, rows)]
    sets = [{*g.runs} for g in (*report.training, *report.costs) if len(g.runs) > 1]
    together = [run for run in report.runs if any(run.name in names for names in sets)]
    return [*blocks, *_repeated(report.training), *_differences(together)]


def not_joined(groups: Sequence[Group], what: str) -> list[tuple[str, list[str], str]]:
    """(subject, runs, what differs) for each task (of costs: each backbone) in several groups."""
    found: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        place = (group.key.task, "" if what == "scores" else group.key.backbone)
        found.setdefault(place, []).append(group)
    reasons = []
    for place, apart in found.items():
        runs = list(dict.fromkeys(name for group in apart for name in group.runs))
        if len(apart) > 1 and len(runs) > 1:
            parts = [
                f"{name} differs ({text})"
                for name, values in _conditions(apart).items()
                if (text := _by_value(values))
            ]
            subject = " · ".join(part for part in place if part) or what
            reasons.append((subject, runs, "; ".join(parts)))
    return reasons


def _conditions(groups: Sequence[Group]) -> dict[str, list[tuple[str, str]]]:
    """By condition: (value, run) of each group."""
    found: dict[str, list[tuple[str, str]]] = {}
    for group in groups:
        for name, value in (("backbone", group.key.backbone or "none"), *group.key.conditions):
            found.setdefault(_NAMES.get(name, name), []).append((value, group.key.run))
    return found


def _by_value(values: Sequence[tuple[str, str]]) -> str:
    """`1.16: a, c; 1.17: b`; empty if all values are equal."""
    runs: dict[str, dict[str, None]] = {}
    for value, run in values:
        runs.setdefault(value, {})[run] = None
    parts = (f"{shortened(value, 80)}: {', '.join(names)}" for value, names in runs.items())
    return "; ".join(parts) if len(runs) > 1 else ""


def _repeated(training: Sequence[Group]) -> list[Block]:
    """Cells that several folders have, if their outcomes differ."""
    rows: list[list[Entry]] = []
    pairs = [pair for group in training for pair in group.repeated]
    for kept, left in pairs:
        scores = [(r["score"], str(r["status"])) for r in (kept, left)]
        if scores[0] != scores[1]:
            texts = [score_text(score) or status for score, status in scores]
            place = [str(kept[name]) for name in ("arm", "length", "seed")]
            rows.append([*place, f"{texts[0]} ({kept['run']})", f"{texts[1]} ({left['run']})"])
    head = ["Arm", "Length", "Seed", "Counts", "Left out"]
    caption = f"Cells in several folders: {len(pairs)}. Those with different outcomes"
    if rows:
        return [Table(caption, head, rows, frozenset({"Length", "Seed"}))]
    return [Text(f"Cells in several folders: {len(pairs)}.", "note")] if pairs else []


def _differences(runs: Sequence[Run]) -> list[Block]:
    """Settings and versions that differ between joined runs."""
    facts = {run.name: facts_of([r for r in run.results if r["in_sweep"]]) for run in runs}
    rows: list[list[Entry]] = []
    for name in dict.fromkeys(name for own in facts.values() for name in own):
        texts = ["; ".join(facts[run.name].get(name, {})) for run in runs]
        if len(set(texts)) > 1:
            rows.append([name, *texts])
    workers = [str(run.manifest.workers or "") for run in runs]
    if len(set(workers)) > 1:
        rows.append(["workers", *workers])
    caption = "Differences between joined folders"
    return [Table(caption, ["", *(run.name for run in runs)], rows)] if rows else []


@section(order=90, anchor="failures", title="Failures")
def failed_cells(report: Report) -> list[Block]:
    """Failed cells with message and log, and files that cannot be used."""
    rows: list[list[Entry]] = []
    for run in report.runs:
        for r in failures([r for r in run.results if r["in_sweep"]]):
            rows.append(
                [
                    str(r["id"]), str(r["run"]), Failed(str(r["status"])),
                    str(r["task"] or r["kind"]), str(r["arm"]), str(r["length"]), str(r["seed"]),
                    "" if r["lr"] is None else lr_text(r["lr"]), str(r["error"] or ""),
                    _log(run, r["log"], report.out),
                ]
            )  # fmt: skip
    head = ["Cell", "Run", "Status", "Task", "Arm", "Length", "Seed", "Learning rate", "Message",
            "Log"]  # fmt: skip
    blocks: list[Block] = []
    if rows:
        numeric = frozenset({"Length", "Seed", "Learning rate"})
        blocks.append(Table(f"Failed cells: {len(rows)}", head, rows, numeric))
    broken: list[list[Entry]] = [
        [run.name, name, reason] for run in report.runs for name, reason in run.unreadable
    ]
    if broken:
        blocks.append(Table("Cell files that cannot be used", ["Run", "File", "Reason"], broken))
    return blocks or [Text("No cell failed.")]


def _log(run: Run, log: str | None, out: Path) -> Entry:
    """A link to a log inside the run folder, relative to the page; else plain text."""
    if not log:
        return ""
    root = run.path.resolve()
    target = (root / log).resolve()
    try:
        inside = target.is_relative_to(root) and target.is_file()
    except OSError:  # not a possible file name
        inside = False
    if not inside:
        return Path(log).name
    href = quote(Path(os.path.relpath(target, out.resolve())).as_posix())
    return Link(target.relative_to(root).as_posix(), href)


_Text = Callable[[Any], str]


def _seconds(value: float) -> str:
    return f"{value:.1f}"


_COLUMNS: tuple[tuple[str, str, _Text], ...] = (
    ("id", "Cell", str), ("run", "Run", str), ("kind", "Kind", str), ("status", "Status", str),
    ("task", "Task", str), ("backbone", "Backbone", str), ("arm", "Arm", str),
    ("placement", "Placement", str), ("curriculum", "Curriculum", str), ("sites", "Sites", str),
    ("links", "Links", str), ("rank", "Rank", str), ("length", "Length", str),
    ("seed", "Seed", str), ("lr", "Learning rate", lr_text), ("lr_source", "Rate from", str),
    ("trainable_params", "Trainable", parameters), ("total_params", "Total", parameters),
    ("metric", "Metric", str), ("score", "Score", score_text),
    ("score_low", "95 % from", score_text), ("score_high", "to", score_text),
    ("macro_f1", "Macro-F1", score_text), ("validation_score", "Validation", score_text),
    ("perplexity", "Perplexity", "{:,.4g}".format), ("rouge_l", "ROUGE-L", score_text),
    ("exact_match", "Exact match", score_text), ("majority", "Best constant", score_text),
    ("test_examples", "Test texts", str), ("reach", "Texts of the length", percent),
    ("longest", "Longest test text", str), ("train_tokens_per_s", "Train tokens/s", rate),
    ("eval_tokens_per_s", "Eval tokens/s", rate), ("train_peak_bytes", "Train peak", memory),
    ("eval_peak_bytes", "Eval peak", memory),
    ("train_live_peak_bytes", "Train live peak", memory),
    ("eval_live_peak_bytes", "Eval live peak", memory), ("wall_s", "Wall s", _seconds),
    ("load_s", "Load s", _seconds), ("data_s", "Data s", _seconds),
    ("train_s", "Train s", _seconds), ("eval_s", "Eval s", _seconds),
    ("probe_s", "Probe s", _seconds),
)  # fmt: skip
_FIRST_COLUMNS = frozenset({
    "kind", "status", "task", "arm", "length", "seed", "score", "score_low", "score_high",
    "trainable_params", "train_tokens_per_s", "train_live_peak_bytes", "wall_s",
})  # fmt: skip
"""Columns that are shown at first, and the only ones without scripts if there are many cells."""
_MANY = 1000
_TEXTS = {"Cell", "Run", "Kind", "Status", "Task", "Backbone", "Arm", "Placement", "Curriculum",
          "Metric", "Rate from"}  # fmt: skip


@section(order=91, anchor="cells", title="All cells")
def all_cells(report: Report) -> list[Block]:
    """Every cell; columns without any value are left out."""
    results = [result for run in report.runs for result in run.results]
    if not results:
        return [Text("There are no cells yet.")]
    shown = [one for one in _COLUMNS if any(r[one[0]] is not None for r in results)]
    few = [one for one in shown if one[0] in _FIRST_COLUMNS] if len(results) > _MANY else shown
    rows = [[_entry(r, column, text) for column, _, text in few] for r in results]
    old = sum(not r["in_sweep"] for r in results)
    head = [name for _, name, _ in few]
    caption = f"Cells: {len(rows)}. results.csv in the run folder has all columns"
    plain = Table(caption, head, rows, frozenset(head) - _TEXTS)
    columns = [_column(results, *one) for one in shown]
    blocks: list[Block] = [Text(f"{caption}.", "note"), CellTable(columns, plain)]
    if old:
        text = f"{old} cells are not in the current sweep; excluded from figures (in_sweep)."
        blocks.insert(0, Text(text, "note"))
    return blocks


def _column(results: Sequence[Result], key: str, head: str, text: _Text) -> dict[str, Any]:
    """The distinct values of a column in order, their texts, and for each cell its value's place.

    The place is -1 without a value.
    """
    own = [r[key] for r in results]
    texts: dict[str, Any] = {}
    for value in own:
        if value is not None:
            texts.setdefault(text(value), value)
    ordered = sorted(texts, key=lambda name: texts[name])
    places = {name: place for place, name in enumerate(ordered)}
    return {
        "key": key,
        "head": head,
        "numeric": head not in _TEXTS,
        "shown": key in _FIRST_COLUMNS,
        "texts": ordered,
        "codes": [-1 if value is None else places[text(value)] for value in own],
    }


def _entry(result: Result, column: str, text: _Text) -> Entry:
    value = result[column]
    if value is None:
        return ""
    return Failed(str(value)) if column == "status" and not result.ok else text(value)


@section(order=92, anchor="how", title="How it was run")
def how_it_was_run(report: Report) -> list[Block]:
    """Versions, machine, settings and sweep file of each run; warnings about mixed values."""
    blocks: list[Block] = []
    for run in report.runs:
        folder = clean(run.path.resolve().name)
        name = run.name if folder == run.name else f"{run.name} (folder {folder})"
        facts = facts_of([r for r in run.results if r["in_sweep"]])
        for fact, values in facts.items():
            if len(values) > 1:
                text = "; ".join(f"{value} (cells: {n})" for value, n in values.items())
                warning = f"{run.name}: mixed {fact}: {text}. Cells may differ because of this."
                blocks.append(Text(warning, "warning"))
        if any(commit.partition("+")[2] for commit in facts.get("commit", ())):
            blocks.append(Text(f"{run.name}: the code had uncommitted changes.", "warning"))
        rows: list[list[Entry]] = [
            [fact, "; ".join(values)] for fact, values in facts.items() if values
        ]
        manifest = run.manifest
        if manifest.runs:
            rows.append(["wall time (s)", f"{manifest.wall_s:.0f}"])
            rows.append(["workers", f"{manifest.workers}"])
        if manifest.overhead_share is not None:
            rows.append(["overhead", percent(manifest.overhead_share)])
        if rows:
            blocks.append(Table(f"Settings and machine of {name}", ["", "Value"], rows))
        if run.sweep:
            blocks.append(Listing(f"Sweep file of {run.name}", run.sweep))
    return blocks or [Text("Nothing was run yet.")]


def facts_of(cells: Sequence[Result]) -> dict[str, Counter[str]]:
    """By fact: its values with the number of cells that have them."""
    facts: dict[str, Counter[str]] = {}
    # A cell that failed before it had a model only says what was requested.
    modelled = [r for r in cells if r["attention"] is not None] or cells
    for column, name in _SETTINGS:
        facts[name] = _counter(r[column] for r in modelled)
    tasks = dict.fromkeys(str(r["task"]) for r in cells if r["task_revision"] is not None)
    for task in tasks:
        own = [r["task_revision"] for r in cells if str(r["task"]) == task]
        label = "data revision" if len(tasks) == 1 else f"data revision of {task}"
        facts[label] = _counter(own)
    for kind in ("train", "probe"):
        for column in ("batch_size", "examples", "epochs", "steps"):
            values = _counter(r[column] for r in cells if r["kind"] == kind)
            facts[f"{column.replace('_', ' ')} ({kind})"] = values
    keys = dict.fromkeys([*_FIRST, *(key for r in cells for key in r["environment"])])
    for key in keys:
        if key != "started":
            facts.setdefault(
                _NAMES.get(key, key), _counter(r["environment"].get(key) for r in cells)
            )
    return {name: values for name, values in facts.items() if values}


def _counter(values: Iterable[Any]) -> Counter[str]:
    return Counter(str(value) for value in values if value is not None)
