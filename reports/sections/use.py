"""What a language model costs in use: prefill, decoding and the KV cache, by length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

from harness.core.timing import MERGED, USE_PHASES, Phase
from reports.axes import details_of, legend, over_length, series_curves
from reports.blocks import Block, Entry, Table, Text, exact_memory, joined, listed, rate, section
from reports.figures.describe import Chart, Panel, amounts, ends
from reports.frame import Result
from reports.groups import Group
from reports.page import Report
from reports.sections.accuracy import values_alt
from reports.sections.throughput import (
    clock,
    ratio_panels,
    ratio_table,
    ratios_of,
    reference_arm,
    timed_cells,
    timing_of,
    variants,
)
from reports.seeds import arms, by_arm_and_length
from reports.stats import Point, Series, longest_common
from reports.style import PAGE, ArmStyle, arm_styles, picture

_RATE, _TIME = "use-rate-length", "use-time-length"
_NAMES: dict[Phase, str] = {"prefill": "Prefill", "decode": "Decoding"}


@section(order=72, anchor="use", title="Prefill and decoding by length", figures=[_RATE, _TIME])
def use_by_length(report: Report) -> list[Block]:
    """Tokens per second in use, times relative to the reference arm, and the KV cache."""
    return [block for group in report.costs for block in _blocks(group)]


def used_cells(group: Group) -> list[Result]:
    """The probes of a group that decoded, the zero-shot backbone among them."""
    return [r for r in group.results if r.ok and timing_of(r).seconds("decode")]


def _blocks(group: Group) -> list[Block]:
    cells = used_cells(group)
    if not cells:
        return []
    reference = _reference(group)
    speeds = {phase: speeds_of(cells, phase) for phase in USE_PHASES}
    ratios = {phase: ratios_of(cells, reference, phase) for phase in USE_PHASES}
    decoded = sorted({int(r["decode"] or 0) for r in cells})
    how = (
        "Prefill: one forward pass over a prompt of this length, which fills the KV cache. "
        f"Decoding: {listed([str(n) for n in decoded], 'or')} tokens one at a time, with this "
        "length in the cache at first. Merged: the adapter is merged into the weights."
    )
    rates = joined("Tokens per second in use by length.", how, "Bars: quartiles over rounds.",
                   by=" ")  # fmt: skip
    times = joined(
        f"Time in use ({clock(cells)}) divided by that of {reference} in the same round: below 1 "
        "is faster. Bars: 95 % intervals over rounds.",
        _answer(ratios["decode"], reference),
        by=" ",
    )
    pictures = [
        picture(_RATE, group, rate_figure(group), rates, _alt(speeds, cells, rate)),
        picture(
            _TIME, group, ratio_panels(group, cells, ratios, reference, _NAMES, _styles(cells)),
            times, _alt(ratios, cells, lambda value: f"{value:.3f}"),
        ),
    ]  # fmt: skip
    notes: dict[str, dict[str, None]] = {}
    for r in cells:
        if r["merge_note"]:
            notes.setdefault(str(r["merge_note"]).rstrip("."), {})[str(r["arm"])] = None
    own = (Text(f"Not merged: {listed([*who])}. {note}.", "note") for note, who in notes.items())
    return [*pictures, *use_tables(group), *own]


def use_tables(group: Group) -> list[Table]:
    """Times relative to the reference arm, tokens per second, the KV cache; none without values."""
    cells = used_cells(group)
    if not cells:
        return []
    reference = _reference(group)
    ratios = {phase: ratios_of(cells, reference, phase) for phase in USE_PHASES}
    return [
        ratio_table(group, cells, ratios, reference, _NAMES),
        _speed_table(group, cells),
        _cache_table(group, cells),
    ]


def _reference(group: Group) -> str:
    return reference_arm(timed_cells(group) or used_cells(group))


def _alt(series: dict[Phase, Series], cells: Sequence[Result], text: Callable[[float], str]) -> str:
    return joined(
        *(values_alt(s, cells, f"{_NAMES[phase]}, by length in tokens.", text)
          for phase, s in series.items()),
        by=" ",
    )  # fmt: skip


def _answer(ratios: Series, reference: str) -> str:
    """The slowest and the fastest arm in decoding, at the longest common length."""
    at = longest_common(ratios)
    found = {
        arm: p.value
        for arm, points in ratios.items()
        for p in points
        if p.length == at and arm != reference
    }
    if not found:
        return ""
    slow, fast = max(found, key=lambda arm: found[arm]), min(found, key=lambda arm: found[arm])
    ends = {fast: found[fast], slow: found[slow]}
    texts = [f"{value:.2f} ({arm})" for arm, value in ends.items()]
    return f"At {at} tokens, decoding takes {' to '.join(texts)} times that of {reference}."


def speeds_of(cells: Sequence[Result], phase: Phase) -> Series:
    """Tokens per second of a step by arm and length, also with a merged adapter."""
    series: Series = {}
    for arm, lengths in by_arm_and_length(cells).items():
        for name, step in variants(arm, phase).items():
            column = f"{step}_tokens_per_s"
            for length, found in lengths.items():
                if own := [r for r in found if r[column] is not None]:
                    middle, low, high = (
                        [float(r[f"{column}{end}"] or r[column]) for r in own]
                        for end in ("", "_low", "_high")
                    )
                    point = Point(length, median(middle), min(low), max(high))
                    series.setdefault(name, []).append(point)
    return series


def _styles(cells: Sequence[Result]) -> dict[str, ArmStyle]:
    """Styles of arms; a merged arm has the hollow markers of its arm and a dotted line."""
    merging = {str(r["arm"]) for r in cells if timing_of(r).seconds(MERGED["decode"])}
    styles: dict[str, ArmStyle] = {}
    for arm, style in arm_styles(cells).items():
        for name, step in variants(arm, "decode").items():
            if step == "decode":
                styles[name] = style
            elif arm in merging:
                styles[name] = replace(style, label=name, hollow=True, line=(0, (1, 1.2)))
    return styles


def rate_figure(group: Group) -> Chart:
    """Tokens per second by length: a panel for prefill and one for decoding."""
    cells = used_cells(group)
    styles = _styles(cells)
    panels = []
    for phase in USE_PHASES:
        curves = series_curves(
            speeds_of(cells, phase), styles, spread=0.6, text=rate, details=details_of(cells)
        )
        y = amounts(ends(curves), "Tokens/s")
        panels.append(Panel(y=y, title=_NAMES[phase], curves=tuple(curves)))
    canvas = over_length(panels, cells, styles, PAGE, 2.45, group.reach)
    return replace(canvas, legend=legend(list(styles.values())))


def _speed_table(group: Group, cells: Sequence[Result]) -> Table:
    lengths = sorted({int(r["length"]) for r in cells})
    rows: list[list[Entry]] = []
    for phase in USE_PHASES:
        for arm, points in speeds_of(cells, phase).items():
            found = {p.length: rate(p.value) for p in points}
            rows.append([arm, _NAMES[phase], *(found.get(n, "") for n in lengths)])
    heads = [f"{n} tokens" for n in lengths]
    caption = group.about("Tokens per second in use, medians over rounds")
    return Table(caption, ["Arm", "Step", *heads], rows, frozenset(heads))


def _cache_table(group: Group, cells: Sequence[Result]) -> Table:
    """The bytes of the KV cache; one row for all arms with the same ones."""
    lengths = sorted({int(r["length"]) for r in cells})
    same: dict[tuple[str, ...], list[str]] = {}
    for arm in arms(cells):
        sizes = {int(r["length"]): r["kv_cache_bytes"] for r in cells if r["arm"] == arm}
        texts = tuple(exact_memory(sizes[n]) if sizes.get(n) else "" for n in lengths)
        same.setdefault(texts, []).append(arm)
    heads = [f"{n} tokens" for n in lengths]
    rows = [["all arms" if len(same) == 1 else listed(who), *texts] for texts, who in same.items()]
    batches = sorted({int(r["batch_size"]) for r in cells})
    caption = group.about(f"KV cache after the prefill, batch size {batches[-1]}")
    return Table(caption, ["Arm", *heads], rows, frozenset(heads))
