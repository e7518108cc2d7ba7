"""Tokens per second of training and evaluation by sequence length."""

from __future__ import annotations

from matplotlib.figure import Figure

from reports.blocks import Block, rate, section
from reports.groups import Group
from reports.page import Report
from reports.sections.cost import Cost, cost_blocks, cost_figure
from reports.stats import cost_cells
from reports.style import styled

_RATE = Cost("tokens_per_s", "throughput-length", "Throughput", rate, spread=True, unit="tokens/s")


@section(order=71, anchor="throughput", title="Throughput by length", figures=[_RATE.stem])
def throughput_by_length(report: Report) -> list[Block]:
    """Tokens per second of training and evaluation."""
    return [b for group in report.costs if cost_cells(group.results) for b in _blocks(group)]


def _blocks(group: Group) -> list[Block]:
    return cost_blocks(group, _RATE, throughput_figure(group), "Bars: quartiles over steps.")


@styled
def throughput_figure(group: Group) -> Figure:
    """Throughput by length, with quartiles over steps as bars."""
    return cost_figure(group, _RATE)
