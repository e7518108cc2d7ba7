"""Predicted beside measured costs of probes, and the error of the predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from reports.axes import legend
from reports.blocks import (
    GIB,
    MIB,
    Block,
    Entry,
    Table,
    exact_memory,
    joined,
    listed,
    percent,
    section,
)
from reports.figures.describe import GREY, Chart, Curve, Look, Panel, amounts
from reports.frame import Result
from reports.groups import Group
from reports.page import Report
from reports.stats import cost_cells
from reports.style import PAGE, arm_styles, picture

_STEM = "predicted"


@dataclass(frozen=True)
class Quantity:
    """A cost that is predicted: its name, its unit, and its predicted and measured values."""

    name: str
    predicted: str
    measured: Callable[[Result], float | None]
    text: Callable[[float], str]


def _column(name: str) -> Callable[[Result], float | None]:
    return lambda r: None if r[name] is None else float(r[name])


def _step(phase: str) -> Callable[[Result], float | None]:
    """Seconds of a step, from the tokens per second."""

    def seconds(r: Result) -> float | None:
        rate = r[f"{phase}_tokens_per_s"]
        return int(r["batch_size"]) * int(r["length"]) / float(rate) if rate else None

    return seconds


def _resident(r: Result) -> float | None:
    """Resident peak of a training step, with the process before the model is loaded."""
    base, step = r["base_bytes"], r["train_resident_bytes"]
    return None if base is None or step is None else float(base) + float(step)


def _seconds(value: float) -> str:
    return f"{value:.3g} s"


QUANTITIES = (
    Quantity("Live memory, training", "train_live_peak_bytes",
             _column("train_live_peak_bytes"), exact_memory),
    Quantity("Live memory, evaluation", "eval_live_peak_bytes",
             _column("eval_live_peak_bytes"), exact_memory),
    Quantity("Resident memory", "resident_bytes", _resident, exact_memory),
    Quantity("Training step", "train_step_s", _step("train"), _seconds),
    Quantity("Evaluation step", "eval_step_s", _step("eval"), _seconds),
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """A predicted and a measured value of a cell."""

    cell: Result
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """The relative error, with its sign."""
        return self.predicted / self.measured - 1


def pairs_of(group: Group, quantity: Quantity) -> list[Pair]:
    """The probes of a group whose cost was predicted and measured."""
    found = []
    for r in cost_cells(group.results):
        expected = getattr(r.get("predicted"), quantity.predicted, None)
        value = quantity.measured(r) if r.ok and r["kind"] == "probe" else None
        if expected and value:
            found.append(Pair(r, float(expected), value))
    return found


@section(order=76, anchor="predicted", title="Predicted and measured costs", figures=[_STEM])
def predicted_costs(report: Report) -> list[Block]:
    """A figure, the errors, and every pair of values."""
    return [block for group in report.costs for block in _blocks(group)]


def _blocks(group: Group) -> list[Block]:
    found = {q: pairs for q in QUANTITIES if (pairs := pairs_of(group, q))}
    if not found:
        return []
    caption = joined(
        "Predicted and measured costs of probes. Predictions do not use the measurements: dry runs "
        "on fake tensors, and times from a calibration of the machine or from the data sheet of "
        "its GPU. Resident memory is a rough estimate. On the line they are equal.",
        _answer(found),
        by=" ",
    )
    return [
        picture(_STEM, group, predicted_figure(group), caption, caption),
        _errors(group, found),
        _values(group, found),
    ]


def _answer(found: dict[Quantity, list[Pair]]) -> str:
    """The median errors as a sentence."""
    texts = [f"{q.name.lower()} {percent(_middle(pairs))}" for q, pairs in found.items()]
    return f"Median error: {listed(texts)}."


def _middle(pairs: Sequence[Pair]) -> float:
    return median(abs(pair.error) for pair in pairs)


def _errors(group: Group, found: dict[Quantity, list[Pair]]) -> Table:
    rows: list[list[Entry]] = []
    for quantity, pairs in found.items():
        worst = max(pairs, key=lambda pair: abs(pair.error))
        place = f"{worst.cell['arm']} at {worst.cell['length']} tokens"
        row = [f"{len(pairs)}", percent(_middle(pairs)), percent(abs(worst.error)), place]
        rows.append([quantity.name, *row])
    heads = ["Cost", "Probes", "Median error", "Worst error", "Worst at"]
    caption = group.about("Relative error of the predictions")
    return Table(caption, heads, rows, frozenset(heads[1:4]))


def _values(group: Group, found: dict[Quantity, list[Pair]]) -> Table:
    """Every pair, one row for each arm and length."""
    by_cell = {
        quantity: {str(pair.cell["id"]): pair for pair in pairs}
        for quantity, pairs in found.items()
    }
    rows: list[list[Entry]] = []
    for r in cost_cells(group.results):
        own = [pairs.get(str(r["id"])) for pairs in by_cell.values()]
        if any(own):
            values = zip(found, own, strict=True)
            rows.append([
                str(r["arm"]), str(r["length"]),
                *(f"{q.text(p.predicted)} / {q.text(p.measured)}" if p else "" for q, p in values),
            ])  # fmt: skip
    heads = ["Arm", "Tokens", *(quantity.name for quantity in found)]
    caption = group.about("Predicted / measured")
    return Table(caption, heads, rows, frozenset(heads[1:]), folded=True)


def predicted_figure(group: Group) -> Chart:
    """Predicted over measured values, training and evaluation together: memory, then time."""
    styles = arm_styles(cost_cells(group.results))
    panels = []
    shown: set[str] = set()
    for name, quantities in (("Live memory", QUANTITIES[:2]), ("Step", QUANTITIES[3:])):
        pairs = [(q, p) for q in quantities for p in pairs_of(group, q)]
        if not pairs:
            continue
        scale, unit = _scale(name, [p for _, p in pairs])
        values = [v / scale for _, p in pairs for v in (p.measured, p.predicted)]
        axis = amounts(values, numbers=",.3g")
        equal = Curve("equal", Look(GREY, line="-", width=0.7, behind=True), axis.limits,
                      axis.limits, kind="level")  # fmt: skip
        curves = [equal]
        for arm, style in styles.items():
            if own := [(q, p) for q, p in pairs if p.cell["arm"] == arm]:
                shown.add(arm)
                curves.append(
                    Curve(
                        arm, replace(style, line=""),
                        tuple(p.measured / scale for _, p in own),
                        tuple(p.predicted / scale for _, p in own),
                        labels=tuple(_pair_label(q, p) for q, p in own),
                    )
                )  # fmt: skip
        x, y = (replace(axis, label=f"{what} ({unit})") for what in ("Measured", "Predicted"))
        panels.append(Panel(x, y, name, tuple(curves)))
    keys = legend([style for arm, style in styles.items() if arm in shown])
    return Chart((tuple(panels),), PAGE * len(panels) / 2, 2.7, keys, lines=False)


def _pair_label(quantity: Quantity, pair: Pair) -> str:
    predicted, measured = quantity.text(pair.predicted), quantity.text(pair.measured)
    return (
        f"{pair.cell['arm']}\n{pair.cell['length']} tokens\n{quantity.name}\n"
        f"predicted {predicted}, measured {measured}"
    )


def _scale(name: str, pairs: Sequence[Pair]) -> tuple[float, str]:
    if name == "Step":
        return 1.0, "s"
    largest = max(max(p.predicted, p.measured) for p in pairs)
    return (GIB, "GiB") if largest >= 2 * GIB else (MIB, "MiB")
