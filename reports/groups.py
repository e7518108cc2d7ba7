"""Which cells are compared with each other: those of one task and backbone, of all folders that
can be joined (`joining.py`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import NamedTuple

from reports.files import BASELINE, LM_EVAL, Result, Run, arm_order
from reports.joining import (
    DATA,
    OF_COSTS,
    OF_MODELS,
    Conditions,
    cost_conditions,
    counted_once,
    evaluation_conditions,
    labelled,
    score_conditions,
)
from reports.text import listed, slug


class Key(NamedTuple):
    """What the cells of a group share; empty where it does not matter to them.

    `run` names all the runs that they are from.
    """

    run: str
    task: str
    backbone: str
    conditions: Conditions = ()


@dataclass(frozen=True)
class Group:
    """Cells that stand in one figure; `title` and `suffix` are empty where there is one group.

    `runs` are the names of the runs that were joined; `repeated` holds (kept, left out) for cells
    that several of them had.
    """

    key: Key
    title: str
    suffix: str
    results: list[Result]
    runs: tuple[str, ...] = ()
    repeated: tuple[tuple[Result, Result], ...] = ()


_Place = tuple[str, str, Conditions]
"""Task, backbone, conditions."""


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
    """Training cells by task, backbone and what else scores must agree in, of all runs.

    Runs have names of their own (`distinct`). Cells that lm-eval alone evaluates are not among
    them.
    """
    found = _split(runs, score_conditions, lambda r, _: _trained(r))
    linear: dict[str, list[Result]] = defaultdict(list)
    for (task, _, _), cells in found.items():
        linear[task] += [r for r in cells if r["method"] == BASELINE]
    return _named(found, lambda place, cells: labelled(cells, baselines=linear[place[0]]))


def cost_groups(runs: Sequence[Run]) -> list[Group]:
    """Probes by backbone and machine; training cells, by task too, of runs that have no probes."""
    probing = {run.name: any(r["kind"] == "probe" and r["in_sweep"] for r in run.results)
               for run in runs}  # fmt: skip

    def wanted(result: Result, run: Run) -> bool:
        return result["kind"] == "probe" if probing[run.name] else _trained(result)

    found = _split(runs, cost_conditions, wanted)
    return _named(found, lambda _, cells: labelled(cells, OF_COSTS))


def evaluation_groups(runs: Sequence[Run]) -> list[Group]:
    """Cells that lm-eval evaluated, by the task they were trained on and backbone.

    The untrained backbone, evaluated once, stands beside every one that it can be joined with.
    """
    found = _split(
        runs, evaluation_conditions, lambda r, _: r["task"] == LM_EVAL or bool(r.evaluations)
    )
    for place in [place for place in found if not place[0]]:
        others = [
            p for p in found if p[0] and p[1] == place[1] and _but_data(p) == _but_data(place)
        ]
        for other in others:
            found[other] += found[place]
        if others:
            del found[place]
    return _named(found, lambda _, cells: labelled(cells, OF_MODELS))


def costs_of(group: Group, costs: Sequence[Group]) -> Group | None:
    """The cost group that belongs to an accuracy group, its arms named alike.

    Probes before training cells. None where there are several, as of joined runs of two machines.
    """
    near = [c for c in costs if c.key.backbone == group.key.backbone and {*c.runs} & {*group.runs}]
    for task in ("", group.key.task):
        own = [c for c in near if c.key.task == task]
        if own:
            return _named_alike(group, own[0]) if len(own) == 1 else None
    return None


def _named_alike(group: Group, costs: Group) -> Group:
    """Costs that settings of the training do not change, once for each arm that has them."""
    labels: dict[str, dict[str, None]] = defaultdict(dict)
    for r in group.results:
        labels[str(r.row.get("plain_arm", r["arm"]))][str(r["arm"])] = None
    results = []
    for r in costs.results:
        plain = r.row.get("plain_arm") == r["arm"]
        names = [*labels.get(str(r["arm"]), [])] if plain else []
        for name in names or [str(r["arm"])]:
            results.append(replace(r, row={**r.row, "arm": name}))
    return replace(costs, results=results)


def _trained(result: Result) -> bool:
    return bool(result["kind"] == "train" and result["task"] != LM_EVAL)


def _but_data(place: _Place) -> Conditions:
    return tuple(pair for pair in place[2] if pair[0] != DATA)


def _split(
    runs: Sequence[Run],
    conditions: Callable[[Run], dict[str, Conditions]],
    wanted: Callable[[Result, Run], bool],
) -> dict[_Place, list[Result]]:
    """Cells that their run's sweep still lists: others may have other settings.

    A baseline that names no backbone stands beside every backbone of its run and task.
    """
    found: dict[_Place, list[Result]] = {}
    for run in runs:
        rests = conditions(run)
        own: dict[_Place, list[Result]] = {}
        for r in run.results:
            if r["in_sweep"] and wanted(r, run):
                task = "" if r["kind"] == "probe" or r["task"] == LM_EVAL else str(r["task"] or "")
                place = (task, str(r["backbone"] or ""), rests[str(r["id"])])
                own.setdefault(place, []).append(r)
        for place in [place for place in own if not place[1]]:
            others = [p for p in own if p[1] and p[0] == place[0]]
            if others and all(r["method"] == BASELINE for r in own[place]):
                for other in others:
                    own[other] += own[place]
                del own[place]
        for place, cells in own.items():
            found.setdefault(place, []).extend(cells)
    return found


def _named(
    found: dict[_Place, list[Result]], told: Callable[[_Place, list[Result]], list[Result]]
) -> list[Group]:
    """Name each group by what tells it from the others: task, backbone, runs, then conditions."""
    groups = []
    for place, cells in found.items():
        runs = tuple(dict.fromkeys(str(r["run"]) for r in cells))
        results, repeated = counted_once(told(place, cells))
        key = Key(listed(runs), *place)
        if len(runs) > 1:
            results.sort(key=lambda r: (*arm_order(r), r["length"], r["seed"] or 0, r["lr"] or 0.0))
        groups.append(Group(key, "", "", results, runs, tuple(repeated)))
    named: list[Group] = []
    used: set[str] = set()
    for group in groups:
        title = " · ".join(_telling(group.key, [g.key for g in groups]))
        suffix = f"-{slug(title)}" if title else ""
        while suffix in used:  # two names may differ in signs alone
            suffix += "-x"
        used.add(suffix)
        named.append(replace(group, title=title, suffix=suffix))
    return named


def _telling(key: Key, keys: Sequence[Key]) -> list[str]:
    """The parts of a group's name that are needed."""
    tasks = {"", key.task}  # probes have no task: they are beside the costs of every one
    same = [k for k in keys if k.backbone == key.backbone and (not key.task or k.task in tasks)]
    parts = [key.run] if len({k.run for k in same}) > 1 else []
    for place, part in ((1, key.task), (2, key.backbone)):
        if part and len({k[place] for k in keys}) > 1:
            parts.append(part)
    alike = [k for k in same if (k.run, k.task) == (key.run, key.task)]
    for k, (_, value) in enumerate(key.conditions if len(alike) > 1 else ()):
        if len({other.conditions[k] for other in alike}) > 1:
            parts.append(value)
    return parts
