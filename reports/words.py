"""The report's sentences, computed from the data: what was found, and what cannot be said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.core.values import number
from reports.captions import seed_notes
from reports.compare import Growth, growth
from reports.files import Result, Run
from reports.metrics import Metric, metric_of
from reports.ranking import ranking, same_sites
from reports.seeds import TWO_SEEDS, planned_seeds
from reports.stats import (
    FEWEST_SEEDS,
    arms,
    at_edge,
    failures,
    one_rate_an_arm,
    reference_of,
    score_points,
    tries,
)
from reports.text import capital, count, duration, listed, percent


def coverage(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Facts for the page's head: cells by outcome, time, overhead. (name, value) pairs."""
    results = [r for run in runs for r in run.results if r["in_sweep"]]
    failed = Counter(str(r["status"]) for r in failures(results))
    kinds = ", ".join(f"{number} {status}" for status, number in sorted(failed.items()))
    left = sum(run.not_run for run in runs)
    facts = [
        ("cells ok", str(sum(r.ok for r in results))),
        ("failed", f"{failed.total()}" + (f" ({kinds})" if kinds else "")),
        ("not run", str(left) if any(run.ids is not None for run in runs) else "unknown"),
    ]
    asked = [one for r in results for one in r.evaluations]
    if asked:
        valued = sum(one.value is not None for one in asked)
        facts.append(("lm-eval values", f"{valued} of {len(asked)}"))
    walls = [wall for run in runs if (wall := number(run.manifest.get("wall_s"))) is not None]
    if walls:
        facts.append(("wall time", duration(sum(walls))))
    shares = [number(run.manifest.get("overhead_share")) for run in runs]
    told = [percent(value) for value in shares if value is not None]
    if told:
        facts.append(("overhead", ", ".join(told)))
    return facts


def summary(group: Sequence[Result]) -> list[str]:
    """What the training cells of one group show, in a few sentences."""
    cells = one_rate_an_arm(list(group))
    points = score_points(cells)
    own = [arm for arm in arms(cells) if reference_of(arm, cells) is None]
    lengths = sorted({int(r["length"]) for r in cells})
    first = cells[0]
    sentences = [
        f"{first['backbone'] or 'No backbone'} on {first['task']}: {count(len(own), 'arm')} at "
        f"{listed([str(n) for n in lengths])} tokens, {count(len(planned_seeds(cells)), 'seed')}"
        f"{_texts(cells)}."
    ]
    sentences += seed_notes(cells)
    sentences += ranking(cells, points)
    sentences += same_sites(cells)
    sentences += _growth_sentence([g for g in growth(cells) if g.arm in own], metric_of(cells))
    seeds = max((len(p.seeds) for series in points.values() for p in series), default=0)
    if 0 < seeds < FEWEST_SEEDS:
        sentences.append(
            f"With {'one seed' if seeds == 1 else 'two seeds'} an interval covers the choice of "
            f"test texts only; what {'another seed' if seeds == 1 else 'other seeds'} would have "
            "given is not in it."
        )
    return sentences + _tuning(group)


def _texts(cells: Sequence[Result]) -> str:
    tested = sorted({int(r["test_examples"]) for r in cells if r.ok and r["test_examples"]})
    if not tested:
        return "; no test text was read"
    small = tested[0] if len(tested) == 1 else f"{tested[0]} to {tested[-1]}"
    metric = metric_of(cells)
    unit = f" (in {metric.unit})" if metric.unit else ""
    return f"; each {metric.label}{unit} rests on {small} test texts"


def _growth_sentence(found: Sequence[Growth], metric: Metric) -> list[str]:
    if not found:
        return []
    open_ = [g.arm for g in found if g.plateau is None]
    unsaid = []
    if open_:
        what = f"Whether {metric.label} {metric.moves} with length is not judged for"
        two = any(gap.reason == TWO_SEEDS for g in found for *_, gap in g.steps)
        why = TWO_SEEDS if two else "seeds are missing, failed or diverged"
        unsaid = [f"{what} {listed(open_)}: {why}."]
    if len(open_) == len(found):
        return unsaid
    if not any(g.rises for g in found):
        who = "The {} of no other arm" if open_ else "No arm's {}"
        return [*unsaid, f"{who.format(metric.label)} clearly {metric.moves} with length."]
    parts = []
    for length, last in sorted({(g.plateau, g.to_the_end) for g in found if g.plateau is not None}):
        names = [g.arm for g in found if (g.plateau, g.to_the_end) == (length, last)]
        everyone = len(names) == len(found)
        if last and everyone:
            parts.append(f"every arm still gains at the longest length, {length} tokens")
        elif last:
            gain, they = ("gains", "it") if len(names) == 1 else ("gain", "they")
            parts.append(
                f"{listed(names)} still {gain} at {length} tokens, the longest that {they} finished"
            )
        else:
            who = "any arm" if everyone else listed(names)
            parts.append(f"beyond {length} tokens no clear gain is left for {who}")
    what = capital(metric.label)
    return [f"{what} {metric.moves} with length at first: " + "; ".join(parts) + ".", *unsaid]


def _tuning(group: Sequence[Result]) -> list[str]:
    tried = tries(group)
    numbers = {arm: len(rates) for arm, rates in tried.items()}
    if max(numbers.values(), default=0) < 2:
        return []
    if len(set(numbers.values())) == 1:
        most = max(numbers.values())
        sentences = [f"Every arm had the same number of tries: {most} learning rates."]
    else:
        told = listed([f"{arm} {number}" for arm, number in numbers.items()])
        sentences = [
            f"The arms had unequal numbers of learning rates: {told}. Compare them with care."
        ]
    edge = [arm for arm, rates in tried.items() if at_edge(rates)]
    if edge:
        sentences.append(
            f"The best rate of {listed(edge)} is the lowest or highest tried: a better one may "
            "lie beyond."
        )
    return sentences
