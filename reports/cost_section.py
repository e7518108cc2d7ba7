"""What training and evaluation cost: figures with captions, and their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from reports import captions, cost_figures
from reports.blocks import Entry, Section, Table
from reports.drawn import picture
from reports.files import Result
from reports.groups import Group
from reports.reach import reach_sentence
from reports.stats import Series, arms, cost_cells, cost_points
from reports.text import memory, rate


def cost(groups: Sequence[Group]) -> list[Section]:
    """Peak memory and throughput against length."""
    peaks = Section("memory", "Peak memory against length")
    rates = Section("throughput", "Throughput against length")
    for group in groups:
        cells = cost_cells(group.results)
        if not cells:
            continue
        source = captions.cost_summary(cells)[0]
        what = _peak_of(cells)
        apart = any(r["eval_tokens_per_s"] is not None for r in cells)
        source = " ".join(part for part in (source, reach_sentence(cells)) if part)
        scales = "Training and evaluation have scales of their own. " if apart else ""
        for section, stem, column, told, draw, caption in (
            (peaks, "memory-length", "peak_bytes", "memory", cost_figures.memory_by_length,
             f"Peak memory against length: {what}. {scales}{source}"),
            (rates, "throughput-length", "tokens_per_s", "rate", cost_figures.throughput_by_length,
             f"Tokens per second against length; bars are the quartiles over steps. {scales}"
             f"{source}"),
        ):  # fmt: skip
            series = {phase: cost_points(cells, f"{phase}_{column}") for phase in ("train", "eval")}
            alt = captions.alt_of(series["train"], told, cells, "Training, by length in tokens.")
            if series["eval"]:
                alt += " " + captions.alt_of(series["eval"], told, [], "Evaluation.")
            alt = " ".join(part for part in (alt, reach_sentence(cells)) if part)
            section.blocks += [
                picture(stem, group, draw, caption, alt),
                _cost_table(group, cells, series, told),
            ]
    return [s for s in (peaks, rates) if s.blocks]


def _peak_of(cells: Sequence[Result]) -> str:
    """Which peak was measured: the devices measure different ones."""
    if any(r["device"] == "cuda" for r in cells):
        return "the allocator's peak (tensors only)"
    told = "the process's resident peak, with the interpreter and its libraries"
    return told + (", whose share is the thin line" if any(r["base_bytes"] for r in cells) else "")


def _cost_table(
    group: Group, cells: Sequence[Result], series: dict[str, Series], told: str
) -> Table:
    lengths = sorted({int(r["length"]) for r in cells})
    text = memory if told == "memory" else rate
    rows: list[list[Entry]] = []
    for phase, name in (("train", "training"), ("eval", "evaluation")):
        for arm in arms(cells) if series[phase] else ():
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
