"""Test scores: figures with captions, and where they rise; what the links of a state mean."""

from __future__ import annotations

from collections.abc import Sequence

from reports import accuracy_figures, captions, density_figures
from reports.blocks import Block, Entry, Picture, Section, Table, Text
from reports.compare import Compared, Growth, growth
from reports.drawn import picture
from reports.files import BASE, BASELINE, CHAINED, Result, Run
from reports.groups import Group
from reports.metrics import measure, metric_of
from reports.ranking import gap_text
from reports.reach import reach_sentence
from reports.references import constant_sentence, far_off, linear_note
from reports.seeds import common_by_length, places, planned_seeds, seeds_text
from reports.stats import Series, arms, failures, one_rate_an_arm, score_points, tries
from reports.text import capital, count, listed, parameters

_VERDICTS = {"higher": "rises", "lower": "falls", "unclear": "unclear", "none": "no verdict"}


def accuracy(groups: Sequence[Group]) -> list[Section]:
    """Scores against length, over density and against parameters. Nothing without a test."""
    what = capital(measure(r for group in groups for r in group.results))
    by_length = Section("accuracy", f"{what} against length")
    by_density = Section("density", f"{what} over length and density")
    by_size = Section("parameters", f"{what} against trainable parameters")
    for group in groups:
        points = score_points(group.results)
        tested = points or not any(r.ok for r in group.results)
        if not tested:
            continue
        by_length.blocks += _length_blocks(group, points)
        if points:
            by_size.blocks.append(_size_picture(group, points))
        panels = density_figures.density_panels(group.results)
        if panels:
            by_density.blocks.append(_density_picture(group, panels))
        else:
            where = f"{group.title}: no" if group.title else "No"
            note = f"{where} method was run at two densities or more: there is no map to draw."
            by_density.blocks.append(Text(note, "note"))
    return [s for s in (by_length, by_density, by_size) if s.blocks]


def _length_blocks(group: Group, points: Series) -> list[Block]:
    what = metric_of(group.results).named("Test")
    parts = [f"{what} against the length that texts are cut to."]
    if points:
        parts.append(captions.interval_note(group.results, dots=True))
        parts.append(
            "Points are set side by side around their length so that bars can be told apart."
        )
    if any(r["method"] == BASELINE for r in group.results):
        parts.append(linear_note(group.results))
    if any(r["method"] == BASE for r in group.results):
        parts.append(_untrained(group, points, "over length, with its interval as a band"))
    if max((len(t) for t in tries(group.results).values()), default=0) > 1:
        parts.append("Of several learning rates the best on the validation split is shown.")
    if failures(group.results):
        parts.append("Crosses below the axes: cells that failed, with how.")
    notes = [
        note for note in (constant_sentence(group.results), reach_sentence(group.results)) if note
    ]
    alt = captions.alt_of(points, "share", group.results, f"{what} by length in tokens.")
    parts, alt = [*parts, *notes], " ".join([alt, *notes])
    blocks: list[Block] = [
        picture("accuracy-length", group, accuracy_figures.accuracy_by_length, " ".join(parts), alt)
    ]
    found = growth(group.results)
    return [*blocks, _growth_table(group, found)] if found else blocks


def _untrained(group: Group, points: Series, how: str) -> str:
    """What the untrained backbone looks like in a figure, or where it lies outside it."""
    off = far_off(points, group.results)
    if off:
        return " ".join(
            f"The backbone as it is, untrained, lies beyond the axis ({note})."
            for note in (text.removesuffix(" this axis") + " the arms" for text in off.values())
        )
    return f"The grey line of dashes and dots is the backbone as it is, untrained, {how}."


def _growth_table(group: Group, found: Sequence[Growth]) -> Table:
    steps = sorted({(a, b) for g in found for a, b, _ in g.steps})
    rows: list[list[Entry]] = []
    metric = metric_of(group.results)
    cells = one_rate_an_arm(group.results)
    shown = common_by_length(places(cells)).values()
    named = any(seeds != planned_seeds(cells) for seeds in shown)
    for one in found:
        own = {(a, b): _step_text(d, named) for a, b, d in one.steps}
        ending = f"still {metric.moving} at" if one.to_the_end else "from"
        saturates = "not judged" if one.plateau is None else f"{ending} {one.plateau}"
        rows.append([one.arm, *(own.get(s, "") for s in steps), saturates])
    counted = any(r.correct for r in group.results) or metric.label == "exact match"
    way = "Bonett and Price's interval for paired proportions"
    way = way if counted else "Student's interval for the mean of paired differences"
    how = (
        f"on the same test texts, text by text ({way})"
        if all(d.gap.paired for g in found for *_, d in g.steps if d.gap)
        else "from the two intervals, as of independent samples"
    )
    caption = (
        f"Where {metric.label} {metric.moves} and where it saturates"
        + (f" ({group.title})" if group.title else "")
        + f": the change from one length to the next with its 95 % interval, {how}; not corrected "
        "for the number of comparisons. Last column: the shortest length that no longer one "
        "clearly beats."
    )
    if any(d.reason for g in found for *_, d in g.steps):
        caption += (
            " A change is over the seeds that both lengths have. No verdict is given where a seed "
            "is missing or failed, or there are two seeds; where one diverged, the lengths are not "
            "compared."
        )
    return Table(caption, ["Arm", *(f"{a} → {b}" for a, b in steps), "Saturates"], rows)


def _step_text(step: Compared, named: bool) -> str:
    """A change with its interval and verdict, or why there is none; `named`: with its seeds."""
    if step.gap is None:
        return f"not compared ({step.reason})"
    told = gap_text(step.gap) + (f" over {seeds_text(step.seeds)}," if named and step.seeds else "")
    return f"{told} {_VERDICTS[step.verdict]}"


def _density_picture(group: Group, panels: dict[str, list[Result]]) -> Picture:
    cells = [c for part in panels.values() for c in part]
    every, metric = score_points(group.results), metric_of(cells)
    series = {arm: points for arm, points in every.items() if arm in arms(cells)}
    what = metric.named("Test")
    alt = captions.alt_of(series, "share", cells, f"{what} by length in tokens.")
    caption = (
        f"{what} over length and density, the share of candidate sites that carry an "
        "adapter. Where a method passes a state on, its links are given. Hatched: not run. Grey "
        f"with a cross: failed, with how.{' Lighter is better.' if metric.lower else ''}"
    )
    caption = " ".join([caption, *captions.seed_notes(group.results)])
    if note := reach_sentence(cells):
        caption, alt = f"{caption} {note}", f"{alt} {note}"
    return picture("accuracy-density", group, density_figures.accuracy_by_density, caption, alt)


def _size_picture(group: Group, points: Series) -> Picture:
    sizes, metric = accuracy_figures.trained_sizes(group.results), metric_of(group.results)
    totals = sorted({int(r["total_params"]) for r in group.results if r["total_params"]})
    whole = listed(list(dict.fromkeys(parameters(n) for n in (totals[:1] + totals[-1:]))), "to")
    parts = [
        f"{metric.named('Test')} against the number of trainable parameters (everything that gets "
        f"a gradient{'' if metric.by_text else ', the classification head included'}).",
        f"With adapters the model has {whole} parameters in all." if whole else "",
        captions.interval_note(group.results, dots=False),
        _untrained(group, points, "which has no parameters of its own to train")
        if any(r["method"] == BASE for r in group.results)
        else "",
        "Markers of arms of nearly the same size stand side by side.",
        "Crosses: cells that failed, with how." if failures(group.results) else "",
        reach_sentence(group.results),
    ]
    told = ", ".join(f"{arm} {parameters(n)}" for arm, n in sizes.items())
    what = f"Trainable parameters: {told or 'not known'}. Test scores."
    alt = captions.alt_of(points, "share", group.results, what)
    alt = " ".join(part for part in (alt, reach_sentence(group.results)) if part)
    caption = " ".join(part for part in parts if part)
    return picture(
        "accuracy-parameters", group, accuracy_figures.accuracy_by_parameters, caption, alt
    )


def links(runs: Sequence[Run]) -> list[Section]:
    """For each arm that passes a state on: sites, links, and what that means."""
    cells = [r for run in runs for r in run.results if r["method"] == CHAINED and r["in_sweep"]]
    if not cells:
        return []
    rows: list[list[Entry]] = []
    for backbone in dict.fromkeys(str(r["backbone"] or "") for r in cells):
        for arm in arms(cells):
            own = [r for r in cells if r["arm"] == arm and str(r["backbone"] or "") == backbone]
            if own:
                sites, found = (_distinct(own, key) for key in ("sites", "links"))
                rows.append([arm, backbone, sites, found, captions.links_sentence(own)])
    section = Section("links", "Links of the state")
    section.blocks = [
        Text(
            "SSMLoRA hands a state from one adapted layer to the next of the same kind. A site "
            "counts as linked if it receives another's state; the sparser the sites, the fewer "
            "links are left."
        ),
        Table(
            f"Sites and links of {count(len(rows), 'arm')}",
            ["Arm", "Backbone", "Sites", "Links", "What that means"],
            rows,
            frozenset({"Sites", "Links"}),
        ),
    ]
    return [section]


def _distinct(cells: Sequence[Result], column: str) -> str:
    return listed([str(v) for v in sorted({r[column] for r in cells if r[column] is not None})])
