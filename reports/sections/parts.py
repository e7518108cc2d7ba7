"""What the peak of live memory consists of, by length: a figure of stacked parts and a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.core.result import LIVE_PARTS
from reports.axes import grid
from reports.blocks import GIB, MIB, Block, Entry, Table, joined, listed, percent, section, wrapped
from reports.figures.describe import Axis, Bar, Chart, Key, Label, Look, Panel
from reports.frame import Result
from reports.groups import Group
from reports.page import Report
from reports.seeds import arms
from reports.stats import cost_cells, cost_points, longest_common
from reports.style import picture

_STEM = "memory-parts"
_ROOM = 0.065
"""Least height of a part, as a share of the axis, that has room for its value."""
_SEEN = 0.002
"""Least height of a part, as a share of the tallest bar, that can be seen."""
_NAMED = 4
"""The most arms that a caption names."""


@dataclass(frozen=True)
class Part:
    """A part of live memory: its name in tables and in sentences, and its colour in figures."""

    name: str
    phrase: str
    colour: str


PARTS = {
    "weights": Part("Weights", "the weights", "#1b2540"),
    "gradients": Part("Gradients", "the gradients", "#3264a5"),
    "optimizer": Part("Optimizer", "the state of the optimizer", "#86a9d6"),
    "saved_adapter": Part("Saved: adapter", "what the adapter saves", "#7a150f"),
    "saved_base": Part("Saved: backbone", "what the backbone saves", "#f0be6f"),
    "saved_attention": Part("Saved: attention", "what attention saves", "#2f9470"),
    "saved_logits": Part("Saved: head and loss", "what head and loss save", "#f9edb4"),
    "transient": Part("Transient", "transient tensors", "#515151"),
}
"""The parts from bottom to top. Parts that touch differ in lightness, so also in grey."""

Stacks = dict[str, dict[int, dict[str, float]]]
"""Bytes by arm, length and part."""


@section(order=70, anchor="memory-parts", title="Parts of memory by length", figures=[_STEM])
def memory_parts(report: Report) -> list[Block]:
    """The parts of the peak of live memory in training."""
    return [block for group in report.costs for block in _blocks(group)]


def stacks(group: Group) -> Stacks:
    """The parts of every arm with a value, by length."""
    cells = cost_cells(group.results)
    found: Stacks = {}
    for part in PARTS:
        for arm, points in cost_points(cells, f"live_{part}_bytes").items():
            for point in points:
                found.setdefault(arm, {}).setdefault(point.length, {})[part] = point.value
    return {arm: found[arm] for arm in arms(cells) if arm in found}


def _blocks(group: Group) -> list[Block]:
    found = stacks(group)
    if not found:
        return []
    caption = joined("Live memory of a training step at its peak, by part.", *_sentences(group),
                     by=" ")  # fmt: skip
    alt = " ".join(
        f"{arm}: " + "; ".join(_values(n, parts) for n, parts in lengths.items()) + "."
        for arm, lengths in found.items()
    )
    return [picture(_STEM, group, parts_figure(group), caption, alt), *parts_tables(group)]


def _values(length: int, parts: dict[str, float]) -> str:
    return f"{length} tokens: " + ", ".join(
        f"{PARTS[part].name} {value / MIB:,.0f} MiB" for part, value in parts.items() if value
    )


def _sentences(group: Group) -> list[str]:
    """What is largest at the longest common length, and the share of the adapter."""
    found = stacks(group)
    at = longest_common(cost_points(cost_cells(group.results), "live_weights_bytes"))
    here = {arm: lengths[at] for arm, lengths in found.items() if at in lengths}
    if at is None or not here:
        return []
    largest: dict[str, dict[str, float]] = {}
    for arm, parts in here.items():
        name = max(parts, key=lambda part: parts[part])
        largest.setdefault(name, {})[arm] = parts[name] / sum(parts.values())
    texts = [
        f"{PARTS[part].phrase}{_whose(shares, len(here))} ({_shares(shares)})"
        for part, shares in largest.items()
    ]
    adapter = {a: p["saved_adapter"] / sum(p.values()) for a, p in here.items()}
    most = max(adapter, key=lambda arm: adapter[arm])
    return [
        f"The largest part at {at} tokens: {listed(texts)}.",
        f"Adapters save at most {percent(adapter[most])} of the peak ({most})."
        if adapter[most] else "",
    ]  # fmt: skip


def _shares(shares: dict[str, float]) -> str:
    low, high = percent(min(shares.values())), percent(max(shares.values()))
    return high if low == high else f"{low} to {high}"


def _whose(shares: dict[str, float], count: int) -> str:
    if len(shares) == count > 1:
        return " in all arms"
    return f" in {listed([*shares]) if len(shares) <= _NAMED else f'{len(shares)} arms'}"


def parts_tables(group: Group) -> list[Table]:
    """The parts of every arm at each length, in MiB; no table without a value."""
    cells = cost_cells(group.results)
    columns = {
        "Live peak": "train_live_peak_bytes",
        **{PARTS[p].name: f"live_{p}_bytes" for p in LIVE_PARTS},
        "Resident": "train_resident_bytes",
    }
    found = {head: cost_points(cells, column) for head, column in columns.items()}
    found = {head: series for head, series in found.items() if series}
    rows: list[list[Entry]] = []
    for arm, lengths in stacks(group).items():
        for length in lengths:
            values = [
                next((f"{p.value / MIB:,.1f}" for p in s.get(arm, []) if p.length == length), "")
                for s in found.values()
            ]
            rows.append([arm, str(length), *values])
    caption = joined(
        "Live memory of a training step at its peak, in MiB.",
        "Saved: activations that autograd keeps for the backward pass; adapter: only those that "
        "are kept because of the adapter.",
        "Resident: peak of the process above its base, with a fixed mmap threshold."
        if "Resident" in found
        else "",
        by=" ",
    )
    head = ["Arm", "Length", *found]
    return [Table(group.about(caption), head, rows, frozenset(head[1:]))] if rows else []


def parts_figure(group: Group) -> Chart:
    """Stacked parts by length: a panel for each arm, with one scale."""
    found, cells = stacks(group), cost_cells(group.results)
    lengths = sorted({int(r["length"]) for r in cells})
    every = [parts for own in found.values() for parts in own.values()]
    most = max(sum(parts.values()) for parts in every)
    unit, name = (GIB, "GiB") if most >= 2 * GIB else (MIB, "MiB")
    top = 1.12 * most / unit
    x = Axis(
        limits=(-0.6, len(lengths) - 0.4),
        ticks=tuple((float(k), str(n)) for k, n in enumerate(lengths)),
        grid=False,
    )
    panels = []
    for arm, own in found.items():
        bars: list[Bar] = []
        labels: list[Label] = []
        for place, length in enumerate(lengths):
            if length in own:
                parts = {part: value / unit for part, value in own[length].items()}
                bars += _stack(place, parts, top, name, f"{arm}\n{length} tokens")
                total = sum(parts.values())
                labels.append(Label(place, total + 0.01 * top, _amount(total, name), bold=True))
            else:
                here = [r for r in cells if r["arm"] == arm and r["length"] == length]
                labels += _missing(place, here, top)
        y = Axis(limits=(0.0, top))
        panels.append(Panel(x, y, wrapped(arm, 24), bars=tuple(bars), labels=tuple(labels)))
    keys = tuple(
        Key(PARTS[p].name, PARTS[p].name, Look(PARTS[p].colour, "s", size=6), patch=True)
        for p in PARTS
        if any(parts.get(p, 0) > _SEEN * most for parts in every)
    )
    height = 1.9 if len(found) <= 8 else 1.5
    chart = grid(panels, height, "Length (tokens)", f"Live memory ({name})", keys)
    return replace(chart, lines=False)


def _stack(place: int, parts: dict[str, float], top: float, unit: str, about: str) -> list[Bar]:
    """The parts of one column; those with room have their value as a text."""
    bars, base = [], 0.0
    for part, height in parts.items():
        about_part, value = PARTS[part], _amount(height, unit)
        text = value if height >= _ROOM * top else ""
        label = f"{about}\n{about_part.name}: {value} {unit}"
        bars.append(Bar(place, base, height, about_part.name, about_part.colour, text, label))
        base += height
    return bars


def _missing(place: int, cells: Sequence[Result], top: float) -> list[Label]:
    """Why there is no bar."""
    status = next((str(r["status"]) for r in cells if not r.ok), "")
    text, mark = f"× {status}", f"failure:{status}"
    return [Label(place, top / 50, text, upright=True, mark=mark)] if status else []


def _amount(value: float, unit: str) -> str:
    return f"{value:,.0f}" if unit == "MiB" else f"{value:.2f}"
