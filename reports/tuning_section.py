"""How the arms were trained: learning rates tried, validation scores on the way."""

from __future__ import annotations

from collections.abc import Sequence

from reports import study_figures
from reports.blocks import Entry, Picture, Section, Table
from reports.captions import seed_notes
from reports.drawn import picture
from reports.files import Result
from reports.groups import Group
from reports.metrics import measure, metric_of
from reports.reach import reach_sentence
from reports.stats import Try, arms, at_edge, best_try, failures, one_rate_an_arm, tries
from reports.text import capital, count, share

_HEAD = (
    "Arm", "Tries", "Cells", "Learning rates", "Best", "Its validation score",
    "Best at the edge", "Failed",
)  # fmt: skip
_NUMERIC = frozenset({"Tries", "Cells", "Best", "Its validation score", "Failed"})


def learning_rates(groups: Sequence[Group]) -> list[Section]:
    """What each arm was given to try, where any arm had more than one learning rate."""
    section = Section("tries", "Learning rates tried")
    for group in groups:
        tried = tries(group.results)
        if max((len(rates) for rates in tried.values()), default=0) < 2:
            continue
        metric = metric_of(group.results)
        caption = (
            f"{metric.named('Validation')} against learning rate: every try of every arm. "
            "Small dots are cells where a rate has several, the line is the mean of those that "
            f"ended well, the ring the best mean, in which a failed cell {metric.failed_text}."
        )
        alt = "; ".join(
            f"{arm}: " + ", ".join(f"{t.lr:g} gives {share(t.score)}" for t in rates)
            for arm, rates in tried.items()
        )
        rows = [_row(arm, tried[arm]) for arm in arms(group.results) if arm in tried]
        title = "Tries per arm" + (f" ({group.title})" if group.title else "")
        left_out = sum(one.left_out for rates in tried.values() for one in rates)
        if left_out:
            title += (
                f". {capital(count(left_out, 'cell'))} without a counterpart (same length and "
                "seed) at every rate of its arm left out: the study is incomplete"
            )
        section.blocks += [
            picture("learning-rates", group, study_figures.rates_tried, caption, alt),
            Table(title, _HEAD, rows, _NUMERIC),
        ]
    return [section] if section.blocks else []


def _row(arm: str, rates: Sequence[Try]) -> list[Entry]:
    best = best_try(rates)
    failed = sum(len(t.failures) for t in rates)
    return [
        arm,
        str(len(rates)),
        str(sum(len(t.values) for t in rates) + failed),
        ", ".join(study_figures.rate_text(t.lr) for t in rates),
        study_figures.rate_text(best.lr),
        share(best.score),
        "yes: a better one may lie beyond" if at_edge(rates) else "no",
        str(failed),
    ]


def curves(groups: Sequence[Group]) -> list[Section]:
    """Validation scores during training."""
    section = Section("curves", "Validation during training")
    for group in groups:
        if any(len(study_figures.curve_of(r)) > 1 for r in group.results):
            section.blocks.append(_curve_picture(group))
    return [section] if section.blocks else []


def _curve_picture(group: Group) -> Picture:
    cells = one_rate_an_arm(group.results)
    parts = [f"{metric_of(cells).named('Validation')} while training."]
    if len({r["seed"] for r in cells}) > 1:
        parts.append("Lines are means over seeds.")
        parts += seed_notes(cells, lambda r: r.ok and bool(study_figures.curve_of(r)))
    if len(cells) < len(group.results):
        parts.append("Of several learning rates the best is shown.")
    parts.append(
        "Validation texts are cut from the training split; test texts are read once, at the end."
    )
    if failures(cells):
        parts.append("Crosses name the arms that failed at that length, and how.")
    if told := reach_sentence(cells):
        parts.append(told)
    alt = f"Last validation {measure(cells)}: {'; '.join(_last(cells))}."
    return picture(
        "validation-curves", group, study_figures.validation_curves, " ".join(parts), alt
    )


def _last(cells: Sequence[Result]) -> list[str]:
    lengths = sorted({int(r["length"]) for r in cells})
    found = [(a, n, study_figures.mean_curve(cells, a, n)) for a in arms(cells) for n in lengths]
    notes = study_figures.curve_notes(cells)
    return [
        f"{arm} at {n} tokens {share(curve[-1][1])}"
        + (f" ({notes[arm, n]})" if notes[arm, n] else "")
        for arm, n, curve in found
        if curve
    ]
