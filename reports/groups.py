"""Which cells are compared with each other: those of one run, one task and one backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.files import BASELINE, Result, Run
from reports.text import slug


@dataclass(frozen=True)
class Group:
    """Cells that stand in one figure; `title` and `suffix` are empty where there is one group."""

    title: str
    suffix: str
    results: list[Result]


def accuracy_groups(runs: Sequence[Run]) -> list[Group]:
    """Training cells by run, task and backbone."""
    return _named(_split(runs, "train", ("task", "backbone")))


def cost_groups(runs: Sequence[Run]) -> list[Group]:
    """Probes by run and backbone; training cells of a run that has no probes."""
    probing = [run for run in runs if any(r["kind"] == "probe" for r in _current(run))]
    training = [run for run in runs if run not in probing]
    groups = _split(probing, "probe", ("backbone",)) | _split(
        training, "train", ("task", "backbone")
    )
    return _named(groups)


def _current(run: Run) -> list[Result]:
    """Cells that the run's sweep still lists: others may have other settings."""
    return [result for result in run.results if result["in_sweep"]]


def _split(
    runs: Sequence[Run], kind: str, columns: tuple[str, ...]
) -> dict[tuple[str, ...], list[Result]]:
    found: dict[tuple[str, ...], list[Result]] = {}
    for number, run in enumerate(runs):
        name = run.name if [r.name for r in runs].count(run.name) == 1 else f"{run.name} {number}"
        for result in _current(run):
            if result["kind"] == kind:
                key = (name, *(str(result[column] or "") for column in columns))
                found.setdefault(key, []).append(result)
    return _share_baselines(found)


def _share_baselines(
    found: dict[tuple[str, ...], list[Result]],
) -> dict[tuple[str, ...], list[Result]]:
    """A baseline that names no backbone stands beside every backbone of its run and task."""
    for key in [key for key in found if not key[-1]]:
        others = [k for k in found if k != key and k[:-1] == key[:-1]]
        if others and all(r["method"] == BASELINE for r in found[key]):
            for other in others:
                found[other] += found[key]
            del found[key]
    return found


def _named(groups: dict[tuple[str, ...], list[Result]]) -> list[Group]:
    """Name each group by what tells it from the others."""
    named: list[Group] = []
    used: set[str] = set()
    for key, results in groups.items():
        telling = [
            part
            for place, part in enumerate(key)
            if part and len({k[place] for k in groups if len(k) > place}) > 1
        ]
        title = " · ".join(telling)
        suffix = f"-{slug(title)}" if title else ""
        while suffix in used:  # two names may differ in signs alone
            suffix += "-x"
        used.add(suffix)
        named.append(Group(title, suffix, results))
    return named
