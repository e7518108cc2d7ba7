"""Differences between arms: tables of the overview."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from harness.core.methods import LORA, SSMLORA
from reports.blocks import Block, Entry, Table, joined, listed, score_text, signed
from reports.compare import TWO_SEEDS, Compared, compare
from reports.frame import Result
from reports.groups import Group
from reports.joining import same_texts
from reports.stats import (
    Places,
    Point,
    Series,
    arms,
    baseline_of,
    failures,
    longest_common,
    places,
    planned_seeds,
)

_VERDICTS = {"better": "better", "worse": "worse", "unclear": "not significant"}


def comparison_tables(group: Group) -> list[Block]:
    """Arms at the longest length that most of them finished, and SSMLoRA against LoRA."""
    found = places(group.trained)
    return [*_against_best(group, found), *_same_sites(group, found)]


def _against_best(group: Group, found: Places) -> list[Block]:
    """Each arm minus the arm with the best mean, and minus each baseline, at one length."""
    cells, points, metric = group.trained, group.points, group.metric
    own = [arm for arm in arms(cells) if baseline_of(arm, cells) is None]
    ended = {arm: [p for p in points.get(arm, []) if found[arm][p.length].complete] for arm in own}
    length = longest_common(ended)
    if length is None:
        return []
    here = {arm: point for arm in own if (point := point_at(points, arm, length))}
    lacking = [arm for arm in own if length not in found[arm] or found[arm][length].incomplete]
    fair = [arm for arm in here if not found[arm][length].diverged]
    reason = f"seeds missing: {listed(lacking)}" if lacking else ""
    reason = reason or (TWO_SEEDS if len(planned_seeds(cells)) == 2 else "")
    best = max(fair, key=lambda arm: metric.rank(here[arm].value)) if fair and not reason else None
    bases = [arm for arm in points if baseline_of(arm, cells) and point_at(points, arm, length)]
    rows: list[list[Entry]] = []
    for arm in own:
        row: list[Entry] = [arm, score_text(here[arm].value) if arm in here else ""]
        for other in ([best] if best else []) + bases:
            row.append(_difference(arm, other, length, found, group, reason))
        rows.append(row)
    head = ["Arm", metric.named("Test")]
    which = "highest" if metric.higher_is_better else "lowest"
    head += [f"minus {best} ({which} mean)"] if best else []
    head += [f"minus {base}" for base in bases]
    caption = joined(
        f"Differences at {length} tokens with 95 % intervals, not corrected for the number of "
        f"comparisons",
        f"No arm is named best: {reason}" if reason else "",
        by=". ",
    )
    return (
        [Table(group.about(caption), head, rows, frozenset(head[1:]))]
        if len(head) > 2 and (bases or len(own) > 1)
        else []
    )


def _difference(arm: str, other: str, length: int, found: Places, group: Group, reason: str) -> str:
    if arm == other:
        return ""
    cells = group.trained
    place = found[arm].get(length)
    if place is None or not place.finished:
        statuses = Counter(
            str(r["status"]) for r in failures(cells) if r["arm"] == arm and r["length"] == length
        )
        return listed([f"{n} {status}" for status, n in statuses.items()]) or "not run"
    if not _equal_texts(other, arm, length, cells):
        return "not compared (other numbers of texts)"
    gap = compare(found[arm], length, found[other], length, group.metric)
    return gap_text(gap, reason)


def gap_text(found: Compared, reason: str = "") -> str:
    """A difference with interval and verdict: `+0.005 (−0.005 to +0.015), not significant`."""
    if found.gap is None:
        return f"not compared ({found.reason})"
    gap, why = found.gap, found.reason or reason
    verdict = f"no verdict ({why})" if why else _VERDICTS[found.gap.outcome]
    return f"{signed(gap.value)} ({signed(gap.low)} to {signed(gap.high)}), {verdict}"


def point_at(series: Series, arm: str, length: int) -> Point | None:
    """An arm's point at a length."""
    return next((p for p in series.get(arm, []) if p.length == length), None)


def _equal_texts(base: str, arm: str, length: int, cells: Sequence[Result]) -> bool:
    """Whether an arm and a baseline had equal numbers of texts; joined folders may differ."""
    one, other = ([r for r in cells if r["arm"] == name and r["length"] == length]
                  for name in (base, arm))  # fmt: skip
    return all(same_texts(a, b) for a in one for b in other)


def _same_sites(group: Group, found: Places) -> list[Block]:
    """SSMLoRA minus LoRA with the same sites: the effect of passing the state on."""
    rows: list[list[Entry]] = []
    for arm, other in _pairs(group.trained):
        for length in sorted(found[arm].keys() & found[other].keys()):
            if not found[arm][length].finished or not found[other][length].finished:
                continue
            gap = compare(found[arm], length, found[other], length, group.metric)
            seeds = listed([str(seed) for seed in sorted(gap.seeds)])
            rows.append([arm, other, str(length), gap_text(gap), seeds])
    head = ["SSMLoRA", "LoRA", "Length", "Difference", "Seeds"]
    caption = group.about("SSMLoRA minus LoRA with the same sites and settings, 95 % intervals")
    return [Table(caption, head, rows, frozenset({"Length"}))] if rows else []


def _pairs(cells: Sequence[Result]) -> list[tuple[str, str]]:
    """Arms of SSMLoRA, each with the arm of LoRA that has the same sites and settings.

    In joined folders, labels name the target and the rate of an arm only if the arm has several;
    if the labels differ, the target and the rates must agree.
    """
    asked: dict[str, set[tuple[Any, ...]]] = {}
    labels: dict[str, Any] = {}
    sites: dict[str, dict[tuple[Any, ...], list[str]]] = {LORA: {}, SSMLORA: {}}
    for result in cells:
        names = ("density", "placement", "sites", "rank")
        key = (*(result[name] for name in names), result.get("arm_settings"))
        arm = str(result["arm"])
        asked.setdefault(arm, set()).add((result["settings"].get("target"), result["lr"]))
        labels[arm] = result.get("arm_suffix")
        if result["method"] in sites and result["sites"]:
            own = sites[str(result["method"])].setdefault(key, [])
            if arm not in own:
                own.append(arm)
    found = []
    for key, own in sites[SSMLORA].items():
        for arm in own:
            others = [other for other in sites[LORA].get(key, []) if other != arm]
            alike = [other for other in others if labels[other] == labels[arm]]
            alike += [other for other in others if asked[other] == asked[arm]]
            found += [(arm, other) for other in alike[:1]]
    return found
