"""Which arm is ahead at the longest length, of what it is held against, and on the same sites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from reports.compare import Compared, Difference, compare
from reports.files import BASE, CHAINED, REFERENCES, Result
from reports.joining import same_texts
from reports.metrics import metric_of
from reports.seeds import (
    TWO_SEEDS,
    Places,
    common_by_length,
    lacks_seeds,
    places,
    planned_seeds,
    seeds_text,
)
from reports.stats import Point, Series, longest_common, one_rate_an_arm, reference_of
from reports.text import listed, share, signed


def ranking(cells: Sequence[Result], points: Series) -> list[str]:
    """Who is ahead at the longest length that most arms finished, and how sure that is.

    Arms are ranked only at a length at which none lacks a seed. Arms that failed or diverged there
    are named apart. `points` are those of `score_points(cells)`.
    """
    every = places(one_rate_an_arm(cells))
    own = {arm: at for arm, at in every.items() if reference_of(arm, cells) is None}
    ended = {
        arm: [p for p in points.get(arm, []) if lengths[p.length].complete]
        for arm, lengths in own.items()
    }
    length = longest_common(ended)
    if length is None or any(lacks_seeds(at.get(length)) for at in own.values()):
        return ["No arm is ranked: at no length do all arms have all seeds."] if points else []
    if len(planned_seeds(cells)) == 2:
        return [f"No arm is ranked, and none is held against a reference: {TWO_SEEDS}."]
    ranked = {
        arm: point
        for arm in own
        if (point := point_at(points, arm, length)) and not own[arm][length].diverged
    }
    if not ranked:
        return []
    rest = [f"{arm} ({_why(arm, length, cells)})" for arm in own if arm not in ranked]
    told = _standing(ranked, own, length, cells)
    told += f"; not ranked: {listed(rest)}" if rest else ""
    return [told + ".", *_references(cells, points, ranked, every, length)]


def _why(arm: str, length: int, cells: Sequence[Result]) -> str:
    """How the cells of an arm at a length failed: `oom`, `1 of 3 diverged`."""
    found = [r for r in cells if r["arm"] == arm and r["length"] == length]
    failed = Counter(str(r["status"]) for r in found if not r.ok)
    many = len(found) > 1
    return listed([f"{n} of {len(found)} {s}" if many else s for s, n in failed.items()])


def _standing(ranked: dict[str, Point], own: Places, length: int, cells: Sequence[Result]) -> str:
    """The best of the ranked arms, and which of the others can be told from it."""
    metric = metric_of(cells)
    best = max(ranked, key=lambda arm: metric.rank(ranked[arm].value))
    top = ranked[best]
    told = f"{share(top.value)} ({share(top.low)} to {share(top.high)})"
    if len(ranked) == 1:
        return f"{best} reaches {told} at {length} tokens"
    gaps = {arm: compare(own[arm], length, own[best], length, metric) for arm in ranked}
    del gaps[best]
    unclear = [arm for arm, gap in gaps.items() if gap.outcome != "worse"]
    behind = [
        f"{arm} ({signed(gap.gap.value)})"
        for arm, gap in gaps.items()
        if gap.outcome == "worse" and gap.gap
    ]
    reached = sum(bool(at[length].finished) for at in own.values())
    who = "every arm" if reached == len(own) else f"{reached} of {len(own)} arms"
    place = f"{length} tokens"
    longest = max(max(at) for at in own.values())
    place += f", the longest that {who} finished," if length < longest else ""
    if any(at[length].diverged for at in own.values()):
        place += f", of the {len(ranked)} arms without a diverged seed,"
    sentence = f"At {place} {best} is {metric.top} with {told}"
    if unclear:
        sentence += f"; {listed(unclear)} cannot be told from it"
    if behind:
        sentence += f"; clearly {metric.behind}: {listed(behind)}"
    return sentence


def _references(
    cells: Sequence[Result],
    points: Series,
    ranked: dict[str, Point],
    every: Places,
    length: int,
) -> list[str]:
    """Which arms are clearly better than what they are held against."""
    metric, sentences = metric_of(cells), []
    known = [(method, arm) for arm in points if (method := reference_of(arm, cells))]
    for method, base in sorted(known, key=lambda pair: REFERENCES.index(pair[0])):
        point = point_at(points, base, length)
        if point is None:
            continue
        name = "The linear baseline {}"
        if method == BASE:
            name = "The backbone as it is, untrained ({}),"
        reaches = f"{name.format(base)} reaches {share(point.value)} there"
        if point.note:
            sentences.append(f"{reaches} ({point.note}: not compared).")
            continue
        fair = [arm for arm in ranked if _same_texts(base, arm, length, cells)]
        if not fair:
            sentences.append(f"{reaches}: no arm was given as many texts.")
            continue
        past = [
            arm
            for arm in fair
            if compare(every[arm], length, every[base], length, metric).outcome == "better"
        ]
        everyone = "every arm" if len(fair) == len(ranked) else "every arm with as many texts"
        who = everyone if len(past) == len(fair) > 1 else listed(past)
        verb = "is" if who == everyone or len(past) == 1 else "are"
        told = f"{who} {verb} clearly {metric.past} it."
        sentences.append(
            f"{reaches}; " + (told if past else f"no arm is clearly {metric.past} it.")
        )
    return sentences


def _same_texts(base: str, arm: str, length: int, cells: Sequence[Result]) -> bool:
    """Whether an arm and a reference were given as many texts; joined folders may differ in it."""
    one, other = ([r for r in cells if r["arm"] == name and r["length"] == length]
                  for name in (base, arm))  # fmt: skip
    return all(same_texts(a, b) for a in one for b in other)


def same_sites(cells: Sequence[Result]) -> list[str]:
    """SSMLoRA beside LoRA where both have the same sites: what passing the state on is worth."""
    found, metric = places(one_rate_an_arm(cells)), metric_of(cells)
    shown = common_by_length(found)
    parts: list[str] = []
    verdicts: list[str] = []
    for arm, other in _pairs(cells):
        lengths = [
            n
            for n in sorted(found[arm].keys() & found[other].keys(), reverse=True)
            if found[arm][n].finished and found[other][n].finished
        ]
        gaps = {n: compare(found[arm], n, found[other], n, metric) for n in lengths}
        decided = [n for n in lengths if not gaps[n].reason]
        for n in dict.fromkeys(lengths[:1] + decided[:1]):
            parts.append(_told(arm, other, n, gaps[n], gaps[n].seeds != shown[n]))
            verdicts.append(gaps[n].verdict)
    if not parts:
        return []
    ending = ""
    if set(verdicts) == {"unclear"}:
        many = "none of these differences is clear"
        ending = "; " + (many if len(parts) > 1 else "the difference is not clear")
    return [f"On the same sites: {listed(parts)}{ending}."]


def _pairs(cells: Sequence[Result]) -> list[tuple[str, str]]:
    """Arms of SSMLoRA, each with the arm of LoRA that has the same sites and settings.

    Labels of joined folders name the target and the rate of an arm only where that arm has several:
    where the labels differ, the target and the rates themselves must agree.
    """
    asked: dict[str, set[tuple[Any, ...]]] = {}
    labels: dict[str, Any] = {}
    sites: dict[str, dict[tuple[Any, ...], list[str]]] = {"lora": {}, CHAINED: {}}
    for result in cells:
        names = ("density", "placement", "sites", "rank")
        key = (*(result[name] for name in names), result.row.get("settings"))
        arm = str(result["arm"])
        asked.setdefault(arm, set()).add((result.asked.get("target"), result["lr"]))
        labels[arm] = result.row.get("brackets")
        if result["method"] in sites and result["sites"]:
            arms = sites[str(result["method"])].setdefault(key, [])
            if arm not in arms:
                arms.append(arm)
    found = []
    for key, own in sites[CHAINED].items():
        for arm in own:
            others = [other for other in sites["lora"].get(key, []) if other != arm]
            alike = [other for other in others if labels[other] == labels[arm]]
            alike += [other for other in others if asked[other] == asked[arm]]
            found += [(arm, other) for other in alike[:1]]
    return found


def _told(arm: str, other: str, length: int, found: Compared, named: bool) -> str:
    """A difference in words; `named`: its seeds are not those of the means in the table."""
    if found.gap is None:
        return f"{arm} and {other} are not compared at {length} tokens ({found.reason})"
    told = f"{arm} minus {other} is {gap_text(found.gap)} at {length} tokens"
    if found.reason or named:
        told += f" over {seeds_text(found.seeds)}"
    return told + (f" ({found.reason}: no verdict)" if found.reason else "")


def point_at(series: Series, arm: str, length: int) -> Point | None:
    """An arm's point at a length."""
    return next((p for p in series.get(arm, []) if p.length == length), None)


def gap_text(gap: Difference) -> str:
    """A difference with its interval: `+0.005 (−0.005 to +0.015)`."""
    return f"{signed(gap.value)} ({signed(gap.low)} to {signed(gap.high)})"
