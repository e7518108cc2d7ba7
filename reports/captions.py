"""The sentences under the figures: what they show, in words and for those who cannot see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from reports.files import Result
from reports.metrics import metric_of
from reports.seeds import (
    Finished,
    Place,
    common_by_length,
    lacks_seeds,
    places,
    planned_seeds,
    scored,
    seeds_text,
)
from reports.stats import (
    FEWEST_SEEDS,
    Series,
    arms,
    cost_cells,
    cost_points,
    failures,
    longest_common,
    one_rate_an_arm,
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
    points = [p for series in score_points(cells).values() for p in series]
    seeds = [len(p.seeds) for p in points]
    way = metric_of(cells).interval
    if max(seeds, default=0) < 2:
        told = [f"Bars are 95 % {way} intervals for the choice of test texts; one seed."]
    else:
        told = [f"Points are means over seeds{', small dots single seeds' if dots else ''}."]
        texts = f"95 % {way} intervals for the choice of test texts"
        if max(seeds) < FEWEST_SEEDS:
            told.append(f"Bars are {texts}: two seeds are too few for an interval over seeds.")
        else:
            told.append(
                "Bars are 95 % intervals of the mean: the interval for the choice of test texts, "
                "which all seeds share, combined with the spread between seeds (pooled over an "
                "arm's lengths, Student's t)."
            )
            if any(
                n < FEWEST_SEEDS
                for n, p in zip(seeds, points, strict=True)
                if not p.without_interval
            ):
                told.append(f"Of fewer than three seeds they are {texts} alone.")
    return " ".join([*told, *seed_notes(cells)])


def seed_notes(results: Sequence[Result], finished: Finished = scored) -> list[str]:
    """At which lengths seeds are missing or diverged, of which arms, and what means rest on there.

    Nothing where every arm has a value for every planned seed, or one seed is planned.
    """
    cells = one_rate_an_arm(results)
    found, planned = places(cells, finished), planned_seeds(cells)
    if len(planned) < 2:
        return []
    sentences = []
    for length, seeds in common_by_length(found).items():
        here = {
            arm: at.get(length)
            for arm, at in found.items()
            if not _untrained(at) and not _without_values(at)
        }
        valued = [p for p in here.values() if p and p.finished]
        lacking = [f"{arm} ({_have(p, planned)})" for arm, p in here.items() if lacks_seeds(p)]
        diverged = [
            f"{arm} ({len(p.diverged)} of {len(planned)} diverged)"
            for arm, p in here.items()
            if p and p.diverged
        ]
        place = f"At {length} tokens"
        if lacking and valued:
            over = f"means are over {seeds_text(seeds)} of {len(planned)}, which all arms have"
            if not seeds:
                own = listed([f"{p.arm} has {seeds_text(p.finished)}" for p in valued])
                over = f"arms have no seed in common, and no means are compared: {own}"
            told = f"{place} {over}" if seeds != planned else f"{place} not all was run"
            sentences.append(f"{told}; incomplete: {listed(lacking)}.")
        if diverged:
            sentences.append(
                f"{place} {listed(diverged)}: means are over the seeds that finished, have no "
                "interval and are not compared."
            )
    return sentences


def _without_values(lengths: Mapping[int, Place]) -> bool:
    """Whether it is a reference that has no such value at any length, as TF-IDF has no curve."""
    return all(place.reference and not place.finished for place in lengths.values())


def common_seeds_text(results: Sequence[Result], finished: Finished = scored) -> list[str]:
    """The lengths at which means are not over all planned seeds, for a table's caption."""
    cells = one_rate_an_arm(results)
    planned, told = planned_seeds(cells), []
    for length, seeds in common_by_length(places(cells, finished)).items():
        if seeds and seeds != planned:
            told.append(f"at {length} tokens over {seeds_text(seeds)}")
    return told


def _untrained(lengths: Mapping[int, Place]) -> bool:
    return any(place.once for place in lengths.values())


def _have(place: Place | None, planned: frozenset[int]) -> str:
    """How many seeds of a place have a value."""
    if place is None or not (place.present or place.failed):
        return "not run"
    return f"{len(place.finished)} of {len(planned)} seeds"


def alt_of(series: Series, told: str, group: Sequence[Result], what: str) -> str:
    """A figure over length in words: every value, then every failure."""
    texts = {"share": share, "memory": memory, "rate": rate}
    parts = [
        f"{arm}: "
        + ", ".join(
            f"{texts[told](p.value)} at {p.length}" + (f" ({p.note})" if p.note else "")
            for p in points
        )
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
