"""The report: one HTML page that needs no network, and its figures as files beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import jinja2

from reports import (
    captions,
    cells_section,
    cost_section,
    evaluation_section,
    glance,
    joined_section,
    position_section,
    sections,
    tasks_section,
    tuning_section,
    words,
)
from reports.blocks import Picture
from reports.files import (
    FAILURES,
    Result,
    Run,
    load_run,
    unique_folders,
    write_atomically,
)
from reports.groups import cost_groups, distinct, evaluation_groups, training_groups
from reports.reach import reach_sentence
from reports.text import listed

_TEMPLATES = Path(__file__).parent / "templates"
_FIGURES = re.compile(
    r"^(accuracy-length|accuracy-density|accuracy-parameters|validation-curves|learning-rates"
    r"|memory-length|throughput-length|loss-position|lm-eval)(-[a-z0-9-]+)?\.png$"
)


def build_report(run_dirs: Sequence[Path], out: Path) -> Path:
    """Write `out`/index.html and its PNGs from one or more run folders; return the page's path.

    Results of several folders are joined where that is right, and the page says where it is not
    (`joining.py`). A folder that is given twice counts once. Nothing in the files is trusted: all
    text is escaped, and the page forbids scripts and requests.
    """
    runs = distinct([load_run(folder) for folder in unique_folders(run_dirs)])
    training, costs = training_groups(runs), cost_groups(runs)
    evaluations = evaluation_groups(runs)
    parts = [
        *glance.section(runs),
        *joined_section.joined(runs, training, costs),
        *sections.accuracy(training),
        *position_section.by_position(training),
        *evaluation_section.lm_eval(evaluations),
        *tuning_section.learning_rates(training),
        *tuning_section.curves(training),
        *cost_section.cost(costs),
        *sections.links(runs),
        *tasks_section.tasks(runs, training),
        *cells_section.failed_cells(runs, out),
        *cells_section.all_cells(runs),
        *cells_section.how_it_was_run(runs),
    ]
    summaries = [
        (group.title, words.summary(group.results) + _reached(group.results)) for group in training
    ]
    summaries += [
        (group.title, captions.cost_summary(group.results))
        for group in costs
        if any(r.ok for r in group.results)
    ]
    summaries += [
        (f"lm-eval · {group.title}".strip(" ·"), evaluation_section.lm_eval_summary(group.results))
        for group in evaluations
    ]
    pictures = [block for part in parts for block in part.blocks if isinstance(block, Picture)]
    html = (
        _environment()
        .get_template("index.html.j2")
        .render(
            title=listed(list(dict.fromkeys(run.name for run in runs))) or "nothing",
            date=_dates(runs),
            facts=words.coverage(joined_section.counted(runs)),
            summaries=[(title, text) for title, text in summaries if text],
            sections=parts,
            failures=FAILURES,
        )
    )
    out.mkdir(parents=True, exist_ok=True)
    for block in pictures:
        write_atomically(out / block.name, block.png)
    names = {block.name for block in pictures}
    for path in out.iterdir():  # figures of an earlier report that this one no longer has
        if _FIGURES.match(path.name) and path.name not in names:
            path.unlink()
    page = out / "index.html"
    write_atomically(page, html.encode())
    return page


def _reached(results: Sequence[Result]) -> list[str]:
    """The lengths that few test texts reach, as a sentence of a summary."""
    told = reach_sentence(results)
    return [told] if told else []


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _dates(runs: Sequence[Run]) -> str:
    """The days on which the cells ran, from the cells themselves."""
    days = sorted({str(r["started"])[:10] for run in runs for r in run.results if r["started"]})
    return " to ".join(dict.fromkeys(days[:1] + days[-1:]))
