"""The two sides of a comparison: each a result folder, or some of its cells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput, nearest
from harness.core.folder import check_run_folder
from harness.core.methods import BASELINES
from reports.blocks import listed
from reports.frame import Result, Run, load_results, runs_of

SELECTORS = (
    "commit", "host", "cpu", "gpu", "platform", "python", "torch", "transformers", "peft",
    "protocol",
)  # fmt: skip
"""Columns that `FOLDER@NAME=VALUE` selects cells by."""

_SETTINGS = (
    "lr", "lr_source", "head_lr", "rank", "placement", "options", "levers", "steps", "decode",
    "attention", "lm_loss", "task_revision", "backbone_revision", "protocol",
)  # fmt: skip
"""Columns that are settings, beside those in the column `settings`."""

_OF_THE_MOMENT = "started"
_MOST_NAMES = 3

CellKey = tuple[str, str, str, str, int, int]
"""Kind, task, backbone, arm, length, seed."""


@dataclass(frozen=True)
class Side:
    """Result files of one side.

    Attributes:
        letter: A or B.
        place: how it was named.
        missing: cells of its sweep without a result.
    """

    letter: str
    place: str
    run: Run
    missing: int = 0

    @property
    def results(self) -> list[Result]:
        """Its cells."""
        return self.run.results

    @cached_property
    def by_key(self) -> dict[CellKey, list[Result]]:
        """Its cells by what they have in common with cells of the other side."""
        found: dict[CellKey, list[Result]] = defaultdict(list)
        for r in self.results:
            found[key_of(r)].append(r)
        return dict(found)

    def values(self, name: str) -> list[str]:
        """The values of a column or of a fact of the environment, each once."""
        found = (r["environment"].get(name, r.get(name)) for r in self.results)
        return sorted({str(value) for value in found if value is not None})


def key_of(result: Result) -> CellKey:
    """What makes a cell of one side the same cell as one of the other side."""
    names = (str(result[name] or "") for name in ("kind", "task", "backbone", "arm"))
    kind, task, backbone, arm = names
    return kind, task, backbone, arm, int(result["length"] or 0), result.seed


def read_side(letter: str, place: str) -> Side:
    """Read `FOLDER` or `FOLDER@NAME=VALUE`, where VALUE is the beginning of a value.

    Without a selection, the cells of the current sweep of the folder count.

    Raises:
        BadInput: there is no such folder, no such name, or no such cell.
    """
    folder, name, value = _parts(place)
    check_run_folder(folder)
    (run,) = runs_of(load_results(folder))
    cells = [r for r in run.results if r["in_sweep"]]
    if name:
        found = [r for r in run.results if str(r[name] or "").startswith(value)]
        if not found:
            values = {str(r[name]) for r in run.results if r[name] is not None}
            raise BadInput(
                f"{place}: no cell has this {name}. In the folder: "
                f"{listed(sorted(values)) or 'not recorded'}"
            )
        current = [r for r in found if r["in_sweep"]]
        cells = current or [r.changed(in_sweep=True) for r in found]
    if not cells:
        raise BadInput(f"{place}: no results are here")
    done = {r["id"] for r in run.results}
    missing = 0 if name else sum(i not in done for i in run.ids or ())
    return Side(letter, place, replace(run, name=letter, results=_named(cells, letter)), missing)


def _named(cells: Iterable[Result], letter: str) -> list[Result]:
    return [r.changed(run=letter) for r in cells]


def _parts(place: str) -> tuple[Path, str, str]:
    """Folder, name and value; the name is empty without a selection."""
    folder, at, selection = place.rpartition("@")
    name, equals, value = selection.partition("=")
    if not (at and equals) or Path(place).is_dir():
        return Path(place), "", ""
    if name not in SELECTORS:
        raise BadInput(
            f"{place}: cells cannot be selected by '{name}'.{nearest(name, SELECTORS)} "
            f"Possible: {', '.join(SELECTORS)}"
        )
    return Path(folder), name, value


def matched(a: Side, b: Side) -> list[tuple[Result, Result]]:
    """The cells that both sides have; where a side has several learning rates, by rate."""
    pairs = []
    for key in a.by_key.keys() & b.by_key.keys():
        left, right = a.by_key[key], b.by_key[key]
        if len(left) == len(right) == 1:
            pairs.append((left[0], right[0]))
            continue
        rates = {r["lr"]: r for r in right}
        pairs += [(r, rates[r["lr"]]) for r in left if r["lr"] in rates]
    return sorted(pairs, key=lambda pair: pair[0].order)


@dataclass(frozen=True)
class Difference:
    """A setting with other values in A than in B, and the arms where it is so (empty: all)."""

    name: str
    a: str
    b: str
    arms: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The arms in words."""
        more = len(self.arms) - _MOST_NAMES
        names = [*self.arms[:_MOST_NAMES], *([f"{more} more"] if more > 0 else [])]
        return listed(names) or "all"


def differences(a: Side, b: Side, pairs: Sequence[tuple[Result, Result]]) -> list[Difference]:
    """The settings that differ in cells of both sides, then what differs between the machines."""
    found = (
        [Difference("seeds", _listed(_seeds(a.results)), _listed(_seeds(b.results)))]
        if _seeds(a.results) != _seeds(b.results)
        else []
    )
    found += _differing(pairs, _settings)
    return found + _differing(pairs, _environment)


def _seeds(cells: Iterable[Result]) -> list[int]:
    return sorted({r.seed for r in cells if r["method"] not in BASELINES})


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _settings(result: Result) -> dict[str, str]:
    found = {name: result.get(name) for name in _SETTINGS}
    return dict(result["settings"]) | {k: _text(v) for k, v in found.items() if v is not None}


def _environment(result: Result) -> dict[str, str]:
    return {k: v for k, v in result["environment"].items() if k != _OF_THE_MOMENT}


def _text(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _differing(
    pairs: Sequence[tuple[Result, Result]], of: Callable[[Result], dict[str, str]]
) -> list[Difference]:
    values: dict[str, dict[tuple[str, str], dict[str, None]]] = defaultdict(dict)
    count: dict[str, int] = defaultdict(int)
    for a, b in pairs:
        left, right = of(a), of(b)
        for name in dict.fromkeys([*left, *right]):
            pair = (left.get(name, "not recorded"), right.get(name, "not recorded"))
            if pair[0] != pair[1] and (a.ok or name in left) and (b.ok or name in right):
                values[name].setdefault(pair, {})[str(a["arm"])] = None
                count[name] += 1
    return [
        Difference(name, *pair, () if count[name] == len(pairs) and len(found) == 1 else (*arms,))
        for name, found in values.items()
        for pair, arms in found.items()
    ]


@dataclass(frozen=True)
class Outcome:
    """A cell that ended well on one side only; statuses of both."""

    cell: Result
    a: str
    b: str


def outcomes(pairs: Iterable[tuple[Result, Result]]) -> list[Outcome]:
    """The cells whose status differs."""
    return [
        Outcome(b, str(a["status"]), str(b["status"]))
        for a, b in pairs
        if a["status"] != b["status"]
    ]


def only(one: Side, other: Side) -> dict[tuple[str, str, str, str, int], list[int]]:
    """Cells that the other side lacks: the seeds by kind, task, backbone, arm and length."""
    found: dict[tuple[str, str, str, str, int], list[int]] = defaultdict(list)
    for key in sorted(one.by_key.keys() - other.by_key.keys()):
        found[key[:5]].append(key[5])
    return dict(found)
