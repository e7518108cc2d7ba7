"""The report's sentences, computed from the data: what was found, and what cannot be said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from reports.files import BASELINE, Result, Run
from reports.stats import (
    Growth,
    Point,
    Series,
    accuracy_points,
    arms,
    cost_cells,
    cost_points,
    difference,
    failures,
    growth,
    one_rate_an_arm,
    scored_cells,
    tries,
)
from reports.text import count, duration, listed, memory, percent, rate, share, signed


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
    walls = [run.manifest.get("wall_s") for run in runs]
    known = [float(wall) for wall in walls if isinstance(wall, int | float)]
    if known:
        facts.append(("wall time", duration(sum(known))))
    shares = [
        percent(value)
        for run in runs
        if isinstance(value := run.manifest.get("overhead_share"), int | float)
    ]
    if shares:
        facts.append(("overhead", ", ".join(shares)))
    return facts


def summary(group: Sequence[Result]) -> list[str]:
    """What the training cells of one group show, in a few sentences."""
    cells = one_rate_an_arm(list(group))
    points = accuracy_points(cells)
    own = [arm for arm in arms(cells) if not _baseline(cells, arm)]
    lengths = sorted({int(r["length"]) for r in cells})
    seeds = len({r["seed"] for r in cells})
    first = cells[0]
    sentences = [
        f"{first['backbone'] or 'No backbone'} on {first['task']}: {count(len(own), 'arm')} at "
        f"{listed([str(n) for n in lengths])} tokens, {count(seeds, 'seed')}"
        f"{_texts(cells)}."
    ]
    sentences += _ranking(cells, points, own)
    sentences += _growth_sentence([g for g in growth(cells) if g.arm in own])
    if points and seeds == 1:
        sentences.append(
            "With one seed an interval covers the choice of test texts only; what another seed "
            "would have given is not in it."
        )
    return sentences + _tuning(group)


def _texts(cells: Sequence[Result]) -> str:
    tested = sorted({int(r["test_examples"]) for r in cells if r.ok and r["test_examples"]})
    if not tested:
        return "; no test accuracy was measured"
    small = tested[0] if len(tested) == 1 else f"{tested[0]} to {tested[-1]}"
    return f"; each accuracy rests on {small} test texts"


def _baseline(cells: Sequence[Result], arm: str) -> bool:
    return any(r["arm"] == arm and r["method"] == BASELINE for r in cells)


def _at(series: Series, arm: str, length: int) -> Point | None:
    return next((p for p in series.get(arm, []) if p.length == length), None)


def _ranking(cells: Sequence[Result], points: Series, own: Sequence[str]) -> list[str]:
    """Who is ahead at the longest length that most arms finished, and how sure that is."""
    reached = Counter(p.length for arm in own for p in points.get(arm, []))
    if not reached:
        return []
    most = max(reached.values())
    length = max(n for n, times in reached.items() if times == most)
    here = {arm: p for arm in own if (p := _at(points, arm, length))}
    best = max(here, key=lambda arm: here[arm].value)
    top, scored = here[best], scored_cells(cells)
    told = f"{share(top.value)} ({share(top.low)} to {share(top.high)})"
    if len(here) == 1:
        sentences = [f"{best} reaches {told} at {length} tokens."]
    else:
        behind, unclear = [], []
        for arm, point in here.items():
            if arm == best:
                continue
            gap = difference(scored[arm][length], scored[best][length], point, top)
            (behind if gap.verdict == "lower" else unclear).append((arm, gap))
        sentence = f"At {length} tokens {best} is highest with {told}"
        if unclear:
            sentence += f"; {listed([arm for arm, _ in unclear])} cannot be told from it"
        if behind:
            clear = listed([f"{arm} ({signed(gap.value)})" for arm, gap in behind])
            sentence += f"; clearly lower: {clear}"
        sentences = [sentence + "."]
    base = next((arm for arm in points if _baseline(cells, arm)), None)
    linear = _at(points, base, length) if base else None
    if base and linear:
        above = [
            arm
            for arm, p in here.items()
            if difference(scored[arm][length], scored[base][length], p, linear).verdict == "higher"
        ]
        which = "every arm is" if len(above) == len(here) else f"{listed(above)} are"
        which = f"{above[0]} is" if len(above) == 1 < len(here) else which
        sentences.append(
            f"The linear baseline {base} reaches {share(linear.value)} there; "
            + (f"{which} clearly above it." if above else "no arm is clearly above it.")
        )
    return sentences


def _growth_sentence(found: Sequence[Growth]) -> list[str]:
    if not found:
        return []
    rising = [g for g in found if any(step.verdict == "higher" for *_, step in g.steps)]
    if not rising:
        return ["No arm's accuracy clearly rises from one length to the next."]
    parts = []
    for length in sorted({g.plateau for g in found}):
        names = [g.arm for g in found if g.plateau == length]
        last = all(g.steps[-1][1] == length for g in found if g.arm in names)
        who = "every arm" if len(names) == len(found) else listed(names)
        parts.append(
            f"{who} still {'gains' if who == 'every arm' or len(names) == 1 else 'gain'} at its "
            f"longest length, {length}"
            if last
            else f"beyond {length} tokens no clear gain is left for {who}"
        )
    return ["Accuracy rises with length at first: " + "; ".join(parts) + "."]


def _tuning(group: Sequence[Result]) -> list[str]:
    tried = {arm: len(rates) for arm, rates in tries(group).items()}
    if max(tried.values(), default=0) < 2:
        return []
    if len(set(tried.values())) == 1:
        return [f"Every arm had the same number of tries: {max(tried.values())} learning rates."]
    told = listed([f"{arm} {number}" for arm, number in tried.items()])
    return [f"The arms had unequal numbers of learning rates: {told}. Compare them with care."]


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
            f"Costs come from probes: full-length batches of {sizes or '?'}, {steps or '?'} steps "
            f"of forward, backward and update after a warm one, apart from the training runs."
        )
    else:
        source = (
            f"There are no probes here: costs come from the training runs (batches of "
            f"{sizes or '?'}, texts shorter than the length padded to the longest of their batch)."
        )
    return [source, *_cost_range(cells)]


def _cost_range(cells: Sequence[Result]) -> list[str]:
    peaks = cost_points(cells, "train_peak_bytes")
    rates = cost_points(cells, "train_tokens_per_s")
    every = {*peaks} | {*rates}
    common = [
        n
        for n in sorted({p.length for s in rates.values() for p in s})
        if all(_at(rates, arm, n) for arm in every)
    ]
    if not common or len(every) < 2:
        return []
    length, parts = common[-1], []
    for series, what, told in ((peaks, "peak memory", memory), (rates, "tokens/s", rate)):
        here = sorted((p.value, arm) for arm in every if (p := _at(series, arm, length)))
        if here:
            parts.append(
                f"{what} from {told(here[0][0])} ({here[0][1]}) to {told(here[-1][0])} "
                f"({here[-1][1]})"
            )
    return [f"Training at {length} tokens, the longest that every arm finished: {listed(parts)}."]


def interval_note(cells: Sequence[Result]) -> str:
    """How to read the intervals of the accuracy figures."""
    if any(len(p.seeds) > 1 for s in accuracy_points(cells).values() for p in s):
        return (
            "Points are means over seeds, small dots single seeds. Bars are 95 % intervals of the "
            "mean: the Wilson interval for the choice of test texts, which all seeds share, "
            "combined with the spread between seeds (pooled over an arm's lengths, Student's t)."
        )
    return "Bars are 95 % Wilson intervals for the choice of test texts; one seed."


def alt_of(series: Series, told: str, group: Sequence[Result], what: str) -> str:
    """A figure over length in words: every value, then every failure."""
    texts = {"share": share, "memory": memory, "rate": rate}
    parts = [
        f"{arm}: " + ", ".join(f"{texts[told](p.value)} at {p.length}" for p in points)
        for arm, points in series.items()
    ]
    failed = [f"{r['arm']} at {r['length']} ({r['status']})" for r in failures(group)]
    ending = f" Failed: {'; '.join(failed)}." if failed else ""
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


def majority(cells: Sequence[Result]) -> float | None:
    """Share of the most frequent class in the training texts."""
    shares = [float(r["majority"]) for r in cells if r["majority"] is not None]
    return median(shares) if shares else None
