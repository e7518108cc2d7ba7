"""The first screen: what was compared, and what came out; each statement links to its figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.core.inference import FEWEST_SEEDS
from harness.core.methods import BASELINES
from reports.blocks import (
    Answer,
    Block,
    Link,
    Statement,
    joined,
    listed,
    memory,
    rate,
    section,
    span,
)
from reports.compare import power_of, tested
from reports.groups import Group, reach_caption
from reports.page import Report
from reports.sections.comparisons import statements
from reports.seeds import arms, failures, planned_seeds
from reports.stats import Series, cost_cells, cost_points, longest_common, peak_column

ON_TOP = ("gain", "trend")
"""Statements that the first screen has, so that the overview does not repeat them."""
_MOST = 4
"""The most groups that an answer names; the overview has all."""
_NAMED = 8
"""The most arms that a sentence names."""


@section(order=5, anchor="answers", title="Answers")
def first_screen(report: Report) -> list[Block]:
    """Five questions; a question without an answer is left out."""
    answers: list[Block] = []
    for question, found in (
        ("What was compared?", _compared(report)),
        ("Did adaptation help?", _stated(report, "gain")),
        ("Does length help?", _stated(report, "trend")),
        ("What did it cost?", _costs(report)),
        ("What is not known?", _unknown(report)),
    ):
        if len(found) > _MOST:
            more = Statement(f"{len(found) - _MOST} more:", (Link("overview", "#overview"),))
            found = [*found[:_MOST], more]
        if found:
            answers.append(Answer(question, tuple(found)))
    return answers


def _compared(report: Report) -> list[Statement]:
    cells = (Link("all cells", "#cells"),)
    groups = report.training or report.costs or report.evaluations
    return [Statement(_subject(group), cells) for group in groups]


def _subject(group: Group) -> str:
    """`LoRA 1 and Full on newsgroups (minilm) at 64 to 512 tokens, 3 seeds, 500 test texts.`"""
    cells = group.cells
    baselines = arms(r for r in cells if r["method"] in BASELINES)
    names = [arm for arm in arms(cells) if arm not in baselines]
    task, backbone = group.key.task, group.key.backbone
    place = f"{task} ({backbone})" if task and backbone else task or backbone
    lengths = sorted({int(r["length"]) for r in cells})
    texts = sorted({int(r["test_examples"]) for r in cells if r["test_examples"]})
    seeds = len(planned_seeds(cells))
    return (
        joined(
            (listed(names) if len(names) <= _NAMED else f"{len(names)} arms") or "Baselines",
            f"with {listed(baselines)}" if baselines and len(baselines) <= _NAMED else "",
            f"on {place}" if place else "",
            f"at {span([str(n) for n in lengths])} tokens" if lengths else "",
            f"with {seeds} seed{'s' * (seeds > 1)}",
            f"and {span([str(n) for n in texts])} test texts" if texts else "",
            by=" ",
        )
        + "."
    )


def _stated(report: Report, subject: str) -> list[Statement]:
    found = []
    for group in report.training:
        if group.points:
            texts = statements(group, report.comparisons[group.key], report.family)
            if subject in texts:
                text = texts[subject]
                if subject != "gain":  # the gain has the title of its group
                    text = group.about(text)
                found.append(Statement(text, _figures(group)))
    return found


def _figures(group: Group) -> tuple[Link, ...]:
    return (Link("figure", f"#figure-accuracy-length{group.suffix}"),)


def _costs(report: Report) -> list[Statement]:
    found = []
    for group in report.costs:
        cells = cost_cells(group.results)
        if not cells:
            continue
        peaks = cost_points(cells, f"train_{peak_column(cells)}")
        rates = cost_points(cells, "train_tokens_per_s")
        at = longest_common(peaks or rates)
        parts = [
            _range("peak memory", peaks, at, memory),
            _range("tokens per second", rates, at, rate),
        ]
        if any(parts):
            text = group.about(f"Training at {at} tokens: {joined(*parts)}.")
            found.append(
                Statement(
                    text,
                    (
                        Link("memory", f"#figure-memory-length{group.suffix}"),
                        Link("throughput", f"#figure-throughput-length{group.suffix}"),
                    ),
                )
            )
    return found


def _range(what: str, series: Series, at: int | None, text: Callable[[float], str]) -> str:
    """`peak memory 2.4 GiB (LoRA 1) to 4.1 GiB (Full)`; empty without a value."""
    here = {arm: p.value for arm, points in series.items() for p in points if p.length == at}
    if not here:
        return ""
    ends = dict.fromkeys((min(here, key=lambda a: here[a]), max(here, key=lambda a: here[a])))
    return f"{what} {' to '.join(f'{text(here[arm])} ({arm})' for arm in ends)}"


def _unknown(report: Report) -> list[Statement]:
    found = []
    for group in report.training:
        own = report.comparisons[group.key]
        judged = tested(own)
        power = power_of(own, report.family)
        undecided = sum(one.verdict == "undecided" for one in judged)
        seeds = len(planned_seeds(group.trained))
        text = joined(
            f"{undecided} of {len(judged)} comparisons are not decided." if undecided else "",
            f"A typical difference is known to ±{power.half:.3f}; a difference below "
            f"±{own[0].margin:g} does not matter." if power else "",
            "There is no verdict, because there are fewer than three seeds."
            if seeds < FEWEST_SEEDS and not judged and group.points else "",
            group.transfer_note, group.curriculum_note, reach_caption(group.reach), by=" ",
        )  # fmt: skip
        if text:
            found.append(Statement(group.about(text), (Link("differences", "#overview"),)))
    return [*found, *_missing(report)]


def _missing(report: Report) -> Sequence[Statement]:
    """Cells that failed or have not run."""
    results = [r for run in report.runs for r in run.results if r["in_sweep"]]
    failed = len(failures(results))
    absent = sum(len({*(run.ids or ())} - {r["id"] for r in run.results}) for run in report.runs)
    parts = [f"{failed} failed" if failed else "", f"{absent} have not run" if absent else ""]
    total = len(results) + absent
    if not any(parts):
        return []
    return [
        Statement(f"Of {total} cells, {joined(*parts, by=' and ')}.",
                  (Link("failures", "#failures"),))
    ]  # fmt: skip
