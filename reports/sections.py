"""The report's sections: figures with captions and numbers, tables of cells and failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from reports import cost_figures, figures, study_figures, words
from reports.blocks import Block, Entry, Picture, Section, Table, Text
from reports.files import Result, Run
from reports.groups import Group
from reports.stats import (
    Series,
    accuracy_points,
    arms,
    cost_cells,
    cost_points,
    failures,
    growth,
    tries,
)
from reports.style import as_png
from reports.text import listed, memory, parameters, rate, share, signed

Draw = Callable[[Sequence[Result]], Figure]


def picture(
    stem: str,
    group: Group,
    draw: Draw,
    caption: str,
    alt: str,
    results: Sequence[Result] | None = None,
) -> Picture:
    """Draw a figure of a group."""
    png = as_png(draw(group.results if results is None else results))
    where = f"{group.title}: " if group.title else ""
    return Picture(f"{stem}{group.suffix}.png", png, alt, where + caption)


def accuracy(groups: Sequence[Group]) -> list[Section]:
    """Accuracy against length, over density, against parameters; growth; validation curves."""
    by_length = Section("accuracy", "Accuracy against length")
    by_density = Section("density", "Accuracy over length and density")
    by_size = Section("parameters", "Accuracy against trainable parameters")
    curves = Section("curves", "Validation during training")
    for group in groups:
        points = accuracy_points(group.results)
        if points or failures(group.results):
            by_length.blocks += _accuracy_blocks(group, points)
        if points:
            by_size.blocks.append(_size_picture(group, points))
        if figures.density_panels(group.results) and points:
            by_density.blocks.append(_density_picture(group))
        if any(study_figures.curve_of(r) for r in group.results):
            curves.blocks.append(_curve_picture(group))
    if by_length.blocks and not by_density.blocks:
        note = "No method was run at two densities or more: there is no map to draw."
        by_density.blocks.append(Text(note, "note"))
    return [s for s in (by_length, by_density, by_size, curves) if s.blocks]


def _accuracy_blocks(group: Group, points: Series) -> list[Block]:
    caption = (
        "Test accuracy against the length that texts are cut to. "
        + words.interval_note(group.results)
        + " Points are set side by side around their length so that bars can be told apart. The "
        "grey dashed line is a linear model on word counts (TF-IDF), with its interval as a band."
    )
    if max((len(t) for t in tries(group.results).values()), default=0) > 1:
        caption += " Of several learning rates the best on the validation split is shown."
    if failures(group.results):
        caption += " Crosses below the axes: cells that failed, with how."
    alt = words.alt_of(points, "share", group.results, "Test accuracy by length in tokens.")
    blocks: list[Block] = [
        picture("accuracy-length", group, figures.accuracy_by_length, caption, alt)
    ]
    found = growth(group.results)
    if found:
        steps = sorted({(a, b) for g in found for a, b, _ in g.steps})
        rows: list[list[Entry]] = []
        for one in found:
            own = {(a, b): d for a, b, d in one.steps}
            row: list[Entry] = [one.arm]
            for step in steps:
                d = own.get(step)
                row.append(
                    f"{signed(d.value)} ({signed(d.low)} to {signed(d.high)}) {_rise(d.verdict)}"
                    if d
                    else ""
                )
            last = one.steps[-1][1]
            row.append(
                f"still rising at {last}" if one.plateau == last else f"{one.plateau} tokens"
            )
            rows.append(row)
        paired = all(d.paired for g in found for *_, d in g.steps)
        how = (
            "on the same test texts, text by text (Bonett and Price's interval for paired "
            "proportions)"
            if paired
            else "from the two intervals, as of independent samples, where predictions on the same "
            "texts are missing"
        )
        blocks.append(
            Table(
                "Where accuracy rises and where it saturates"
                + (f" ({group.title})" if group.title else "")
                + f": the change from one length to the next with its 95 % interval, {how}; not "
                "corrected for the number of comparisons. Last column: the shortest length that "
                "no longer one clearly beats.",
                ["Arm", *(f"{a} → {b}" for a, b in steps), "Saturates at"],
                rows,
            )
        )
    return blocks


def _rise(verdict: str) -> str:
    return {"higher": "rises", "lower": "falls", "unclear": "unclear"}[verdict]


def _density_picture(group: Group) -> Picture:
    panels = figures.density_panels(group.results)
    cells = [c for part in panels.values() for c in part]
    alt = words.alt_of(accuracy_points(cells), "share", cells, "Test accuracy by length in tokens.")
    caption = (
        "Test accuracy over length and density; density is the share of candidate sites (query "
        "and value of every layer) that carry the adapter. Where the method passes a state on, "
        "the links are given. Hatched: not run. Grey with a cross: failed, with how."
    )
    return picture("accuracy-density", group, figures.accuracy_by_density, caption, alt)


def _size_picture(group: Group, points: Series) -> Picture:
    sizes = {
        str(r["arm"]): int(r["trainable_params"]) for r in group.results if r["trainable_params"]
    }
    totals = sorted({int(r["total_params"]) for r in group.results if r["total_params"]})
    whole = listed(list(dict.fromkeys(parameters(n) for n in (totals[:1] + totals[-1:]))), "to")
    caption = (
        "Test accuracy against the number of trainable parameters (everything that gets a "
        f"gradient, the classification head included); the model has {whole or 'an unknown number'} "
        "parameters in all. " + words.interval_note(group.results)
    )
    told = ", ".join(f"{arm} {parameters(n)}" for arm, n in sizes.items())
    alt = words.alt_of(points, "share", group.results, f"Trainable parameters: {told}. Accuracy.")
    return picture("accuracy-parameters", group, figures.accuracy_by_parameters, caption, alt)


def _curve_picture(group: Group) -> Picture:
    last = [
        f"{r['arm']} at {r['length']} tokens {share(study_figures.curve_of(r)[-1][1])}"
        for r in group.results
        if study_figures.curve_of(r)
    ]
    caption = (
        "Validation accuracy while training (mean over seeds; of several learning rates the best). "
        "Validation texts are cut from the training split: test accuracy is measured once, at the "
        "end."
    )
    alt = f"Last validation accuracy: {'; '.join(last)}."
    return picture("validation-curves", group, study_figures.validation_curves, caption, alt)


def learning_rates(groups: Sequence[Group]) -> list[Section]:
    """What each arm was given to try, where any arm had more than one learning rate."""
    section = Section("tries", "Learning rates tried")
    for group in groups:
        tried = tries(group.results)
        if max((len(rates) for rates in tried.values()), default=0) < 2:
            continue
        rows: list[list[Entry]] = []
        for arm in arms(group.results):
            if arm not in tried:
                continue
            rates = tried[arm]
            best = max(rates, key=lambda t: t.score)
            edge = best.lr in (rates[0].lr, rates[-1].lr) and len(rates) > 1
            failed = sum(len(t.failures) for t in rates)
            rows.append(
                [
                    arm,
                    str(len(rates)),
                    str(sum(len(t.values) for t in rates) + failed),
                    ", ".join(study_figures.rate_text(t.lr) for t in rates),
                    study_figures.rate_text(best.lr),
                    share(best.score),
                    "yes: a better one may lie beyond" if edge else "no",
                    str(failed),
                ]
            )
        head = ["Arm", "Tries", "Cells", "Learning rates", "Best", "Its validation accuracy",
                "Best at the edge", "Failed"]  # fmt: skip
        caption = (
            "Validation accuracy against learning rate: every try of every arm. Dots are cells, the "
            "line their mean, the ring the best mean, in which a failed cell counts as 0."
        )
        alt = "; ".join(
            f"{arm}: " + ", ".join(f"{t.lr:g} gives {share(t.score)}" for t in rates)
            for arm, rates in tried.items()
        )
        section.blocks += [
            picture("learning-rates", group, study_figures.rates_tried, caption, alt),
            Table(
                "Tries per arm" + (f" ({group.title})" if group.title else ""),
                head,
                rows,
                frozenset({"Tries", "Cells", "Best", "Its validation accuracy", "Failed"}),
            ),
        ]
    return [section] if section.blocks else []


def cost(groups: Sequence[Group]) -> list[Section]:
    """Peak memory and throughput against length."""
    peaks = Section("memory", "Peak memory against length")
    rates = Section("throughput", "Throughput against length")
    for group in groups:
        cells = cost_cells(group.results)
        if not cells:
            continue
        source = words.cost_summary(cells)[0]
        gpu = any(r["device"] == "cuda" for r in cells)
        what = (
            "the allocator's peak (tensors only)" if gpu else "the process's resident peak, with the "
            "interpreter and its libraries, whose share is the thin line"
        )  # fmt: skip
        for section, stem, column, told, draw, caption in (
            (peaks, "memory-length", "peak_bytes", "memory", cost_figures.memory_by_length,
             f"Peak memory against length in training and in evaluation: {what}. {source}"),
            (rates, "throughput-length", "tokens_per_s", "rate", cost_figures.throughput_by_length,
             "Tokens per second against length in training and in evaluation; bars are the "
             f"quartiles over steps. {source}"),
        ):  # fmt: skip
            series = {phase: cost_points(cells, f"{phase}_{column}") for phase in ("train", "eval")}
            alt = words.alt_of(series["train"], told, cells, "Training, by length in tokens.")
            alt += " " + words.alt_of(series["eval"], told, [], "Evaluation.")
            section.blocks += [
                picture(stem, group, draw, caption, alt),
                _cost_table(group, cells, series, told),
            ]
    return [s for s in (peaks, rates) if s.blocks]


def _cost_table(
    group: Group, cells: Sequence[Result], series: dict[str, Series], told: str
) -> Table:
    lengths = sorted({int(r["length"]) for r in cells})
    text = memory if told == "memory" else rate
    rows: list[list[Entry]] = []
    for phase, name in (("train", "training"), ("eval", "evaluation")):
        for arm in arms(cells):
            points = {p.length: p for p in series[phase].get(arm, [])}
            row: list[Entry] = [arm, name]
            for length in lengths:
                failed = [str(r["status"]) for r in cells
                          if r["arm"] == arm and r["length"] == length and not r.ok]  # fmt: skip
                p = points.get(length)
                spread = f" ({text(p.low)} to {text(p.high)})" if p and told == "rate" else ""
                row.append(text(p.value) + spread if p else (failed[0] if failed else ""))
            rows.append(row)
    heads = [f"{n} tokens" for n in lengths]
    unit = "Peak memory" if told == "memory" else "Tokens per second (quartiles)"
    caption = f"Numbers of the figure: {unit.lower()}" + (
        f" ({group.title})" if group.title else ""
    )
    return Table(caption, ["Arm", "Phase", *heads], rows, frozenset(heads), folded=True)


def links(runs: Sequence[Run]) -> list[Section]:
    """For each arm that passes a state on: sites, links, and what that means."""
    cells = [r for run in runs for r in run.results if r["method"] == "ssmlora" and r["in_sweep"]]
    if not cells:
        return []
    rows: list[list[Entry]] = []
    for backbone in dict.fromkeys(str(r["backbone"]) for r in cells):
        for arm in arms(cells):
            own = [r for r in cells if r["arm"] == arm and str(r["backbone"]) == backbone]
            if own:
                sites, found = (_distinct(own, key) for key in ("sites", "links"))
                rows.append([arm, backbone, sites, found, words.links_sentence(own)])
    section = Section("links", "Links of the state")
    section.blocks = [
        Text(
            "SSMLoRA hands a state from one adapted layer to the next of the same kind. A site "
            "counts as linked if it receives another's state; the sparser the sites, the fewer "
            "links are left."
        ),
        Table(
            "Sites and links of each arm",
            ["Arm", "Backbone", "Sites", "Links", "What that means"],
            rows,
            frozenset({"Sites", "Links"}),
        ),
    ]
    return [section]


def _distinct(cells: Sequence[Result], column: str) -> str:
    return listed([str(v) for v in sorted({r[column] for r in cells if r[column] is not None})])
