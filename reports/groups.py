"""Which cells are compared with each other: those of one run, one task and one backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import NamedTuple

from reports.files import BASELINE, LM_EVAL, Result, Run
from reports.text import slug


class Key(NamedTuple):
    """What the cells of a group share; empty where it does not matter to them."""

    run: str
    task: str
    backbone: str


@dataclass(frozen=True)
class Group:
    """Cells that stand in one figure; `title` and `suffix` are empty where there is one group."""

    key: Key
    title: str
    suffix: str
    results: list[Result]


def distinct(runs: Sequence[Run]) -> list[Run]:
    """The same runs; those that share a name get a number, so that a name means one run."""
    names = [run.name for run in runs]
    taken = {name for name in names if names.count(name) == 1}
    found: list[Run] = []
    for run in runs:
        if run.name not in taken:
            name = next(n for k in count(1) if (n := f"{run.name} ({k})") not in taken)
            taken.add(name)
            rows = [replace(result, row={**result.row, "run": name}) for result in run.results]
            run = replace(run, name=name, results=rows)
        found.append(run)
    return found


def training_groups(runs: Sequence[Run]) -> list[Group]:
    """Training cells by run, task and backbone. Runs have names of their own (`distinct`).

    Cells that lm-eval alone evaluates are not among them.
    """
    return _named(_split(runs, "train"))


def cost_groups(runs: Sequence[Run]) -> list[Group]:
    """Probes by run and backbone; training cells, by task too, of a run that has no probes."""
    groups: dict[Key, list[Result]] = {}
    for run in runs:
        probing = any(r["kind"] == "probe" and r["in_sweep"] for r in run.results)
        groups |= _split([run], "probe" if probing else "train")
    return _named(groups)


def evaluation_groups(runs: Sequence[Run]) -> list[Group]:
    """Cells that lm-eval evaluated, by run, the task they were trained on and backbone.

    The untrained backbone, evaluated once, stands beside every one of its run.
    """
    found: dict[Key, list[Result]] = {}
    for run in runs:
        for result in run.results:
            alone = result["task"] == LM_EVAL
            if result["in_sweep"] and (alone or result.evaluations):
                task = "" if alone else str(result["task"] or "")
                key = Key(run.name, task, str(result["backbone"] or ""))
                found.setdefault(key, []).append(result)
    for key in [key for key in found if not key.task]:
        others = [k for k in found if k.task and (k.run, k.backbone) == (key.run, key.backbone)]
        for other in others:
            found[other] += found[key]
        if others:
            del found[key]
    return _named(found)


def costs_of(group: Group, costs: Sequence[Group]) -> Group | None:
    """The cost group that belongs to an accuracy group."""
    run, task, backbone = group.key
    return next((c for c in costs if c.key in ((run, "", backbone), (run, task, backbone))), None)


def _split(runs: Sequence[Run], kind: str) -> dict[Key, list[Result]]:
    """Cells that the run's sweep still lists: others may have other settings."""
    found: dict[Key, list[Result]] = {}
    for run in runs:
        for result in run.results:
            if result["kind"] == kind and result["in_sweep"] and result["task"] != LM_EVAL:
                task = "" if kind == "probe" else str(result["task"] or "")
                key = Key(run.name, task, str(result["backbone"] or ""))
                found.setdefault(key, []).append(result)
    return _share_baselines(found)


def _share_baselines(found: dict[Key, list[Result]]) -> dict[Key, list[Result]]:
    """A baseline that names no backbone stands beside every backbone of its run and task."""
    for key in [key for key in found if not key.backbone]:
        others = [k for k in found if k != key and k[:2] == key[:2]]
        if others and all(r["method"] == BASELINE for r in found[key]):
            for other in others:
                found[other] += found[key]
            del found[key]
    return found


def _named(groups: dict[Key, list[Result]]) -> list[Group]:
    """Name each group by what tells it from the others."""
    named: list[Group] = []
    used: set[str] = set()
    for key, results in groups.items():
        telling = [
            part for place, part in enumerate(key) if part and len({k[place] for k in groups}) > 1
        ]
        title = " · ".join(telling)
        suffix = f"-{slug(title)}" if title else ""
        while suffix in used:  # two names may differ in signs alone
            suffix += "-x"
        used.add(suffix)
        named.append(Group(key, title, suffix, results))
    return named
