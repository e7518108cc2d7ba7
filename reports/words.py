"""The report's sentences, computed from the data: what was found, and what cannot be said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from reports.compare import Difference, Growth, difference, growth
from reports.files import BASE, CHAINED, REFERENCES, Result, Run
from reports.metrics import Metric, metric_of
from reports.stats import (
    Point,
    Series,
    arms,
    at_edge,
    failures,
    longest_common,
    one_rate_an_arm,
    reference_of,
    score_points,
    scored_cells,
    tries,
)
from reports.text import capital, count, duration, listed, percent, share, signed
from reports.values import number


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
    seeds = len({r["seed"] for r in cells})
    first = cells[0]
    sentences = [
        f"{first['backbone'] or 'No backbone'} on {first['task']}: {count(len(own), 'arm')} at "
        f"{listed([str(n) for n in lengths])} tokens, {count(seeds, 'seed')}"
        f"{_texts(cells)}."
    ]
    sentences += _ranking(cells, points, own)
    sentences += _same_sites(cells, points)
    sentences += _growth_sentence([g for g in growth(cells) if g.arm in own], metric_of(cells))
    if points and seeds == 1:
        sentences.append(
            "With one seed an interval covers the choice of test texts only; what another seed "
            "would have given is not in it."
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


def _at(series: Series, arm: str, length: int) -> Point | None:
    return next((p for p in series.get(arm, []) if p.length == length), None)


def _ranking(cells: Sequence[Result], points: Series, own: Sequence[str]) -> list[str]:
    """Who is ahead at the longest length that most arms finished, and how sure that is."""
    length = longest_common({arm: points[arm] for arm in own if arm in points})
    if length is None:
        return []
    metric = metric_of(cells)
    here = {arm: p for arm in own if (p := _at(points, arm, length))}
    best = max(here, key=lambda arm: metric.rank(here[arm].value))
    top, scored = here[best], scored_cells(cells)
    told = f"{share(top.value)} ({share(top.low)} to {share(top.high)})"
    if len(here) == 1:
        sentences = [f"{best} reaches {told} at {length} tokens."]
    else:
        gaps = {
            arm: difference(scored[arm][length], scored[best][length], point, top, metric)
            for arm, point in here.items()
            if arm != best
        }
        unclear = [arm for arm, gap in gaps.items() if gap.outcome != "worse"]
        behind = [
            f"{arm} ({signed(gap.value)})" for arm, gap in gaps.items() if gap.outcome == "worse"
        ]
        all_lengths = {int(r["length"]) for r in cells if r["arm"] in own}
        who = "every arm" if len(here) == len(own) else f"{len(here)} of {len(own)} arms"
        place = f"{length} tokens"
        place += f", the longest that {who} finished," if length < max(all_lengths) else ""
        sentence = f"At {place} {best} is {metric.top} with {told}"
        if unclear:
            sentence += f"; {listed(unclear)} cannot be told from it"
        if behind:
            sentence += f"; clearly {metric.behind}: {listed(behind)}"
        sentences = [sentence + "."]
    return sentences + _references(cells, points, here, length)


def _references(
    cells: Sequence[Result], points: Series, here: dict[str, Point], length: int
) -> list[str]:
    """Which arms are clearly better than what they are held against."""
    scored, metric, sentences = scored_cells(cells), metric_of(cells), []
    known = {method: arm for arm in points if (method := reference_of(arm, cells))}
    for method in REFERENCES:
        base = known.get(method, "")
        point = _at(points, base, length)
        if point is None:
            continue
        past = [
            arm
            for arm, p in here.items()
            if difference(scored[arm][length], scored[base][length], p, point, metric).outcome
            == "better"
        ]
        who = "every arm" if len(past) == len(here) > 1 else listed(past)
        verb = "is" if who == "every arm" or len(past) == 1 else "are"
        name = "The linear baseline {}"
        if method == BASE:
            name = "The backbone as it is, untrained ({}),"
        told = f"{who} {verb} clearly {metric.past} it."
        sentences.append(
            f"{name.format(base)} reaches {share(point.value)} there; "
            + (told if past else f"no arm is clearly {metric.past} it.")
        )
    return sentences


def _same_sites(cells: Sequence[Result], points: Series) -> list[str]:
    """SSMLoRA beside LoRA where both have the same sites: what passing the state on is worth."""
    sites: dict[str, dict[tuple[Any, ...], list[str]]] = {"lora": {}, CHAINED: {}}
    for result in cells:
        key: tuple[Any, ...] = (
            result["density"],
            result["placement"],
            result["sites"],
            result["rank"],
        )
        if result["method"] in sites and result["sites"] and result["arm"] in points:
            found = sites[result["method"]].setdefault(key, [])
            if result["arm"] not in found:
                found.append(str(result["arm"]))
    scored, parts, verdicts = scored_cells(cells), [], set()
    metric = metric_of(cells)
    for shared, own in sites[CHAINED].items():
        for other in sites["lora"].get(shared, [])[:1]:
            for arm in own:
                length = longest_common({name: points[name] for name in (arm, other)}) or 0
                a, b = _at(points, arm, length), _at(points, other, length)
                if arm == other or not a or not b:
                    continue
                gap = difference(scored[arm][length], scored[other][length], a, b, metric)
                verdicts.add(gap.verdict)
                parts.append(f"{arm} minus {other} is {_gap(gap)} at {length} tokens")
    if not parts:
        return []
    ending = (
        "; none of these differences is clear" if verdicts == {"unclear"} and len(parts) > 1 else ""
    )
    ending = (
        "; the difference is not clear" if verdicts == {"unclear"} and len(parts) == 1 else ending
    )
    return [f"On the same sites: {listed(parts)}{ending}."]


def _gap(gap: Difference) -> str:
    return f"{signed(gap.value)} ({signed(gap.low)} to {signed(gap.high)})"


def _growth_sentence(found: Sequence[Growth], metric: Metric) -> list[str]:
    if not found:
        return []
    if not any(g.rises for g in found):
        return [f"No arm's {metric.label} clearly {metric.moves} with length."]
    parts = []
    for length, last in sorted({(g.plateau, g.to_the_end) for g in found}):
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
    return [f"{what} {metric.moves} with length at first: " + "; ".join(parts) + "."]


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
