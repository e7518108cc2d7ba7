"""Groups of cells that are compared with each other: one task, one backbone, joined folders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from harness.core.cell import LM_EVAL, NO_CURRICULUM
from harness.core.methods import TFIDF
from harness.core.metrics import Metric
from reports.blocks import joined, listed, slug
from reports.frame import Result, Run, arm_order
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
from reports.seeds import Places, places
from reports.stats import Series, mean_points, metric_of, one_rate_per_arm

HALF = 0.5
"""A length that a smaller share of the test texts reaches is marked."""


class Key(NamedTuple):
    """What the cells of a group share; empty if it does not apply. `run` names all runs."""

    run: str = ""
    task: str = ""
    backbone: str = ""
    conditions: Conditions = ()


@dataclass(frozen=True)
class Group:
    """Cells of one figure; `title` and `suffix` are empty if there is one group.

    `runs` are the names of the joined runs; `repeated` holds (kept, left out) for cells that
    several runs have.
    """

    results: list[Result]
    key: Key = field(default_factory=Key)
    title: str = ""
    suffix: str = ""
    runs: tuple[str, ...] = ()
    repeated: tuple[tuple[Result, Result], ...] = ()

    @cached_property
    def cells(self) -> list[Result]:
        """Its cells, for each arm those of the best learning rate only."""
        return one_rate_per_arm(self.results)

    @cached_property
    def trained(self) -> list[Result]:
        """Its training cells, for each arm those of the best learning rate only."""
        return [r for r in self.cells if r["kind"] == "train"]

    @cached_property
    def places(self) -> Places:
        """Its scored training cells by arm and length."""
        return places(self.trained)

    @cached_property
    def metric(self) -> Metric:
        """The metric of its scores."""
        return metric_of(self.results)

    @cached_property
    def margin(self) -> float:
        """The margin of its comparisons: the smallest of its runs."""
        return min(float(r["comparisons"].margin) for r in self.results)

    @cached_property
    def points(self) -> Series:
        """Mean test scores by arm and length."""
        return mean_points(self.places, self.metric)

    @cached_property
    def reach(self) -> dict[int, Reach]:
        """The lengths that fewer than half of the test texts reach."""
        return short_reach(self.results)

    @cached_property
    def curriculum_note(self) -> str:
        """A caption that names the curricula of the training texts; empty without one."""
        names = {str(r["curriculum"] or NO_CURRICULUM) for r in self.trained} - {NO_CURRICULUM}
        if not names:
            return ""
        return f"Training texts are easier than test texts (curriculum {listed(sorted(names))})."

    @cached_property
    def transfer_note(self) -> str:
        """A caption that names the arms whose learning rate is from a study of other settings."""
        arms = {str(r["arm"]): None for r in self.trained if r["lr_source"] == "transferred"}
        if not arms:
            return ""
        return (
            f"The learning rate of {listed([*arms])} was chosen by a study with other settings "
            f"(transferred)."
        )

    @cached_property
    def scored_note(self) -> str:
        """Which tokens are scored, if they are the same at all lengths; otherwise empty."""
        scored = {(r["window"], r["target_tokens"]) for r in self.results if r["window"]}
        if len(scored) != 1:
            return ""
        ((window, targets),) = scored
        return (
            f"Scored at every length: the same {targets} tokens of each text, up to token "
            f"{window}; a greater length gives them more context."
        )

    @cached_property
    def notes(self) -> str:
        """What every caption of scores says: tokens, curricula, learning rates, reach."""
        reach = reach_caption(self.reach)
        return joined(self.scored_note, self.curriculum_note, self.transfer_note, reach, by=" ")

    def about(self, text: str) -> str:
        """A caption with the title of the group, if there are several groups."""
        return f"{self.title}: {text}" if self.title else text


class Reach(NamedTuple):
    """A length that few test texts reach: their share, and the longest text in tokens.

    `whole`: the task declares that its texts are whole and may be shorter.
    """

    share: float
    longest: int | None
    whole: bool

    @property
    def note(self) -> str:
        """`12 % reach`, or `longest text 97`. Rounded down, so that < 50 % never reads as 50 %."""
        if self.whole:
            return f"longest text {self.longest}"
        return f"{'< 1' if 0 < self.share < 0.01 else int(100 * self.share)} % reach"


def short_reach(results: Iterable[Result]) -> dict[int, Reach]:
    """For each length that fewer than half of the test texts reach, the smallest share."""
    found: dict[int, list[Result]] = {}
    for r in results:
        if r["reach"] is not None and r["task"] != LM_EVAL:
            found.setdefault(int(r["length"]), []).append(r)
    notes = {}
    for length, own in sorted(found.items()):
        share = min(float(r["reach"]) for r in own)
        longest = max((int(r["longest"]) for r in own if r["longest"] is not None), default=None)
        whole = all(r["whole_texts"] for r in own) and longest is not None and longest < length
        if share < HALF:
            notes[length] = Reach(share, longest, whole)
    return notes


def with_reach(length: int, reach: dict[int, Reach], unit: str = "") -> str:
    """A length with its mark: `20000 tokens (0 % reach)`."""
    return f"{length}{unit}" + (f" ({reach[length].note})" if length in reach else "")


def reach_caption(reach: dict[int, Reach]) -> str:
    """A caption on the marked lengths; empty without one."""
    if not reach:
        return ""
    lengths = "; ".join(
        f"{length} tokens: {int(100 * r.share)} % of the test texts reach it, the longest has "
        f"{'an unknown number of' if r.longest is None else r.longest} tokens"
        for length, r in reach.items()
    )
    return f"Most test texts are shorter than these lengths and are read whole: {lengths}."


_Place = tuple[str, str, Conditions]
"""Task, backbone, conditions."""


def training_groups(runs: Sequence[Run]) -> list[Group]:
    """Training cells by task, backbone and further conditions of scores.

    Cells that lm-eval alone evaluates are not among them.
    """
    found = _split(runs, score_conditions, lambda r, _: _trained(r))
    linear: dict[str, list[Result]] = defaultdict(list)
    for (task, _, _), cells in found.items():
        linear[task] += [r for r in cells if r["method"] == TFIDF]
    return _named(found, lambda place, cells: labelled(cells, baselines=linear[place[0]]))


def cost_groups(runs: Sequence[Run]) -> list[Group]:
    """Probes by backbone and machine; training cells, by task too, of runs without probes."""
    probing = {
        run.name: any(r["kind"] == "probe" and r["in_sweep"] for r in run.results) for run in runs
    }

    def wanted(result: Result, run: Run) -> bool:
        return result["kind"] == "probe" if probing[run.name] else _trained(result)

    found = _split(runs, cost_conditions, wanted)
    return _named(found, lambda _, cells: labelled(cells, OF_COSTS))


def evaluation_groups(runs: Sequence[Run]) -> list[Group]:
    """Cells that lm-eval evaluated, by the task they were trained on and by backbone.

    The zero-shot backbone, evaluated once, is in every group that it can be joined with.
    """
    found = _split(
        runs, evaluation_conditions, lambda r, _: r["task"] == LM_EVAL or bool(r["evaluations"])
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
    """The cost group that belongs to a group of scores, with the same labels of arms.

    Probes before training cells. None if there are several, as for joined runs of two machines.
    """
    near = [c for c in costs if c.key.backbone == group.key.backbone and {*c.runs} & {*group.runs}]
    for task in ("", group.key.task):
        own = [c for c in near if c.key.task == task]
        if own:
            return _same_labels(group, own[0]) if len(own) == 1 else None
    return None


def _same_labels(group: Group, costs: Group) -> Group:
    """Costs that settings of training do not change, once for each arm that has them."""
    labels: dict[str, dict[str, None]] = defaultdict(dict)
    for r in group.results:
        labels[str(r.get("plain_arm", r["arm"]))][str(r["arm"])] = None
    results = []
    for r in costs.results:
        plain = r.get("plain_arm") == r["arm"]
        names = [*labels.get(str(r["arm"]), [])] if plain else []
        results += [r.changed(arm=name) for name in names or [str(r["arm"])]]
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
    """Cells of the current sweep of each run; cells of an earlier sweep may differ in settings.

    A baseline without a backbone is in the group of every backbone of its run and task.
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
            if others and all(r["method"] == TFIDF for r in own[place]):
                for other in others:
                    own[other] += own[place]
                del own[place]
        for place, cells in own.items():
            found.setdefault(place, []).extend(cells)
    return found


def _named(
    found: dict[_Place, list[Result]], label: Callable[[_Place, list[Result]], list[Result]]
) -> list[Group]:
    """Name each group by what differs between groups: runs, task, backbone, conditions."""
    groups = []
    for place, cells in found.items():
        runs = tuple(dict.fromkeys(str(r["run"]) for r in cells))
        results, repeated = counted_once(label(place, cells))
        if len(runs) > 1:
            results.sort(key=lambda r: (*arm_order(r), r["length"], r.seed, r["lr"] or 0.0))
        groups.append(
            Group(results, Key(listed(runs), *place), runs=runs, repeated=tuple(repeated))
        )
    named: list[Group] = []
    used: set[str] = set()
    for group in groups:
        title = " · ".join(_distinguishing(group.key, [g.key for g in groups]))
        suffix = f"-{slug(title)}" if title else ""
        while suffix in used:  # two titles may differ in punctuation only
            suffix += "-x"
        used.add(suffix)
        named.append(replace(group, title=title, suffix=suffix))
    return named


def _distinguishing(key: Key, keys: Sequence[Key]) -> list[str]:
    """The parts of a group's title that distinguish it from the other groups."""
    tasks = {"", key.task}  # probes have no task: they belong to the costs of every task
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
