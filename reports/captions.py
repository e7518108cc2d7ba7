"""The sentences under the figures: what they show, in words and for those who cannot see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from reports.files import Result
from reports.metrics import metric_of
from reports.stats import (
    Series,
    arms,
    cost_cells,
    cost_points,
    failures,
    longest_common,
    score_points,
)
from reports.text import listed, memory, rate, share


def cost_summary(group: Sequence[Result]) -> list[str]:
    """What the cost figures rest on, and the range over arms where all of them finished."""
    cells = cost_cells(list(group))
    if not cells:
        return []
    sizes = listed(
        [str(n) for n in sorted({int(r["batch_size"]) for r in cells if r["batch_size"]})]
    )
    if cells[0]["kind"] == "probe":
        steps = listed([str(n) for n in sorted({int(r["steps"]) for r in cells if r["steps"]})])
        source = (
            f"Costs come from probes, apart from the training runs: {steps or '?'} steps of "
            f"forward, backward and update after a warm-up step, in batches of {sizes or '?'} "
            f"full-length texts."
        )
    else:
        source = (
            f"There are no probes here: costs come from the training runs (batches of "
            f"{sizes or '?'}; texts shorter than the length are padded to the longest of their "
            f"batch)."
        )
    return [source, *_cost_range(cells)]


def _cost_range(cells: Sequence[Result]) -> list[str]:
    peaks = cost_points(cells, "train_peak_bytes")
    rates = cost_points(cells, "train_tokens_per_s")
    length = longest_common(rates)
    if length is None or len(rates) < 2:
        return []
    parts, measured = [], 0
    for series, what, told in ((peaks, "peak memory", memory), (rates, "tokens/s", rate)):
        here = sorted((p.value, arm) for arm, s in series.items() for p in s if p.length == length)
        measured = len(here)
        if here:
            parts.append(
                f"{what} from {told(here[0][0])} ({here[0][1]}) to {told(here[-1][0])} "
                f"({here[-1][1]})"
            )
    every = len(arms(cells))
    who = "every arm" if measured == every else f"{measured} of {every} arms"
    return [f"Training at {length} tokens, the longest that {who} finished: {listed(parts)}."]


def interval_note(cells: Sequence[Result], dots: bool) -> str:
    """How to read the intervals of a figure of scores; `dots`: single seeds are drawn as well."""
    if any(len(p.seeds) > 1 for s in score_points(cells).values() for p in s):
        return (
            f"Points are means over seeds{', small dots single seeds' if dots else ''}. Bars "
            "are 95 % intervals of the mean: the interval for the choice of test texts, "
            "which all seeds share, combined with the spread between seeds (pooled over an arm's "
            "lengths, Student's t)."
        )
    way = metric_of(cells).interval
    return f"Bars are 95 % {way} intervals for the choice of test texts; one seed."


def alt_of(series: Series, told: str, group: Sequence[Result], what: str) -> str:
    """A figure over length in words: every value, then every failure."""
    texts = {"share": share, "memory": memory, "rate": rate}
    parts = [
        f"{arm}: " + ", ".join(f"{texts[told](p.value)} at {p.length}" for p in points)
        for arm, points in series.items()
    ]
    failed = Counter(f"{r['arm']} at {r['length']} ({r['status']})" for r in failures(group))
    named = [name + (f" ×{times}" if times > 1 else "") for name, times in failed.items()]
    ending = f" Failed: {'; '.join(named)}." if named else ""
    return f"{what} {'; '.join(parts) or 'Nothing was measured'}.{ending}"


def links_sentence(cells: Sequence[Result]) -> str:
    """What the number of links of one SSMLoRA arm means for reading its results."""
    links = sorted({int(r["links"]) for r in cells if r["links"] is not None})
    if not links:
        return "Not recorded: none of its cells got as far as a model."
    if links[-1] == 0:
        return (
            "No links: no site receives another's state, so no state travels between layers. "
            "Its results say nothing about the chain."
        )
    if links[-1] == 1:
        return "One link: hardly a chain. Its results say little about passing a state on."
    return f"{links[-1]} sites receive another's state."
