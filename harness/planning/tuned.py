"""Learning rates chosen on the validation split: read by `lr: tuned`, written from a study."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.core.cell import Cell
from harness.core.errors import BadInput
from harness.core.folder import write_atomically
from harness.core.methods import BASELINES, HEAD, PLACEMENTS, RANK
from harness.core.metrics import rank_of_rate
from harness.core.result import CellResult, Scores
from harness.planning.keys.values import LearningRate
from harness.planning.validation import explain
from harness.planning.yaml_files import dump_yaml, read_yaml

LEAST_SEEDS = 3
"""Seeds of a study: with fewer, the luck of one seed may choose the rate."""

_SETTINGS = (
    "length", "examples", "epochs", "batch_size", "warmup", "weight_decay", "clip", "dropout",
    "dtype", "head_lr",
)  # fmt: skip
"""Settings of training that the best rate depends on. The arm has the others."""


class LearningRateTrial(BaseModel):
    """One learning rate of an arm: means over the seeds. The loss decides; None if a seed failed.

    `validation_score` is the mean over the seeds that finished, for information.
    """

    model_config = ConfigDict(extra="forbid")
    lr: float
    validation_loss: float | None
    validation_score: float | None
    cells: int


class Entry(BaseModel):
    """One arm of a study at one length: its settings, its trials and the chosen learning rate.

    Studies of earlier versions have no settings: they match no sweep.
    """

    model_config = ConfigDict(extra="forbid")
    arm: dict[str, Any]
    settings: dict[str, Any] = {}
    lr: LearningRate
    tries: list[LearningRateTrial]

    def differences(self, cell: Cell) -> list[str]:
        """Return the settings in which a cell differs from the study, as `name 1 (here 2)`."""
        if not self.settings:
            return ["the study does not say its settings"]
        here = settings_of(cell)
        return [
            f"{name} {self.settings.get(name)} (here {here.get(name)})"
            for name in sorted(here.keys() | self.settings.keys())
            if self.settings.get(name) != here.get(name)
        ]

    def distance(self, cell: Cell) -> tuple[bool, int, float]:
        """Return a sort key: the entry of the most similar settings, then the nearest length."""
        apart = abs(math.log(self.settings.get("length", cell.length) / cell.length))
        return not self.settings, len(self.differences(cell)), apart


class Study(BaseModel):
    """The content of a file `tuned*.yaml`."""

    model_config = ConfigDict(extra="forbid")
    study: dict[str, Any]
    entries: list[Entry]

    @property
    def head_note(self) -> str:
        """A line for the user if the classifier's rate was not the one that the study chose."""
        used = {e.settings["head_lr"] for e in self.entries if e.settings.get("head_lr")}
        best = {entry.lr for entry in self.entries if entry.arm.get("method") == HEAD}
        if not best or not used or used == best:
            return ""
        said, chosen = (", ".join(f"{lr:g}" for lr in sorted(s)) for s in (used, best))
        return (
            f"the arms trained their classifier at {said}, but the best rate of '{HEAD}' is "
            f"{chosen}: set train.head_lr in the sweep to the rate of this study, or run the study "
            f"again with train.head_lr={chosen.split(',')[0]}"
        )

    @property
    def edge_notes(self) -> list[str]:
        """A line for each arm whose best rate may lie outside of those that were tried."""
        notes = []
        for entry in self.entries:
            rates = sorted(trial.lr for trial in entry.tries)
            for end, word, other in (
                (rates[0], "lowest", "lower"),
                (rates[-1], "highest", "higher"),
            ):
                if len(rates) > 1 and entry.lr == end:
                    found = f"the best rate, {end:g}, is the {word} that was tried"
                    notes.append(f"{arm_name(entry.arm)}: {found}: add {other} ones")
        return notes


def arm_name(arm: dict[str, Any]) -> str:
    """The arm of a study in a line: method and density, then settings that are not the default."""
    rank, placement = arm.get("rank"), arm.get("placement")
    parts = [
        arm.get("method"),
        arm.get("density"),
        placement if placement != PLACEMENTS[0] else None,
        arm.get("target"),
        f"r{rank}" if rank not in (None, RANK) else None,
        *(f"{name}={value}" for name, value in (arm.get("options") or {}).items()),
    ]
    return " ".join(str(part) for part in parts if part is not None)


def settings_of(cell: Cell) -> dict[str, Any]:
    """Return the settings of a cell on which its best learning rate depends."""
    own = {name: getattr(cell, name) for name in _SETTINGS}
    if cell.method == HEAD or cell.uses_lm_head:
        del own["head_lr"]  # it is the rate that is chosen, or there is no classifier
    return own


def read(path: Path) -> list[Entry]:
    """Read the learning rates that a study chose.

    Raises:
        BadInput: the file cannot be read or has another form.
    """
    try:
        return Study.model_validate(read_yaml(path)).entries
    except ValidationError as error:
        raise explain(error, Study, str(path)) from None


def choose(results: list[CellResult]) -> Study:
    """Choose for each arm and length the rate with the lowest mean validation loss over the seeds.

    A rate that failed with a seed is not chosen over one that did not. Test scores are not used.
    Cells whose rate was not one of several (a control at its default) are left out.

    Raises:
        BadInput: there is no training cell, a rate has too few seeds or lacks one that another
            rate has, the arms have unequal numbers of rates, or all rates of an arm failed.
    """
    kinds: dict[str, Cell] = {}
    tries: dict[str, dict[float, list[CellResult]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        cell = result.cell
        if cell.kind != "train" or cell.method in BASELINES or cell.lr is None:
            continue
        if cell.lr_source in (None, "sweep"):
            key = yaml.safe_dump([cell.arm_key, settings_of(cell)])
            kinds.setdefault(key, cell)
            tries[key][cell.lr].append(result)
    for key, cell in [*kinds.items()]:
        # The control at the classifier's rate of all arms: nothing was chosen.
        if cell.method == HEAD and len(tries[key]) == 1 and len(kinds) > 1:
            del kinds[key], tries[key]
    if not kinds:
        raise BadInput("there are no training cells to choose learning rates from")
    if len({len(rates) for rates in tries.values()}) > 1:
        counts = ", ".join(f"{_named(kinds[key])}: {len(rates)}" for key, rates in tries.items())
        raise BadInput(
            f"the arms had unequal numbers of tries ({counts}): all methods need the "
            "same number of learning rates"
        )
    for key, rates in tries.items():
        _check_seeds(kinds[key], rates)
    entries = [_entry(kinds[key], tries[key]) for key in sorted(kinds)]
    seeds = {r.cell.seed for rates in tries.values() for own in rates.values() for r in own}
    held = {cell.validation_examples for cell in kinds.values()}
    return Study(
        study={"seeds": sorted(seeds), "validation_examples": max(n or 0 for n in held)},
        entries=entries,
    )


def _named(cell: Cell) -> str:
    return arm_name(cell.arm_key)


def _check_seeds(cell: Cell, rates: dict[float, list[CellResult]]) -> None:
    """Check that all rates of an arm have the same seeds, and enough of them."""
    seeds = {lr: {result.cell.seed for result in own} for lr, own in rates.items()}
    every = set().union(*seeds.values())
    for lr, own in sorted(seeds.items()):
        for seed in sorted(every - own):
            raise BadInput(
                f"the study is not finished: {_named(cell)} at learning rate {lr:g} has no cell "
                f"of {cell.length} tokens, seed {seed}, which other rates have; run the study to "
                f"its end"
            )
    if len(every) < LEAST_SEEDS:
        raise BadInput(
            f"the study has {len(every)} seeds for {_named(cell)} at {cell.length} tokens, and "
            f"{LEAST_SEEDS} are needed: add seeds (`seeds: [0, 1, 2]`) and run it again"
        )


def write(study: Study, path: Path) -> None:
    """Write a study as YAML.

    Raises:
        OSError: the file cannot be written; it is named.
    """
    head = (
        "# Learning rates chosen by validation loss: `bench-long tuned DIR` writes this file from\n"
        "# a study such as sweeps/tune.yaml. Every arm had the same number of trials.\n"
    )
    body = dump_yaml(study.model_dump())
    write_atomically(path, head + body)


def _entry(cell: Cell, rates: dict[float, list[CellResult]]) -> Entry:
    """The trials of an arm at one length, and its best rate.

    Raises:
        BadInput: every rate failed with some seed.
    """
    scores = {lr: [(r.scores or Scores()) if r.ok else Scores() for r in own]
              for lr, own in rates.items()}  # fmt: skip
    ranks = {lr: rank_of_rate([s.validation_loss for s in own]) for lr, own in scores.items()}
    best = max(sorted(ranks), key=lambda lr: ranks[lr])
    if not math.isfinite(ranks[best]):
        raise BadInput(
            f"every learning rate of {_named(cell)} at {cell.length} tokens failed with some seed: "
            f"try lower rates"
        )
    return Entry(
        arm=cell.arm_key,
        settings=settings_of(cell),
        lr=best,
        tries=[
            LearningRateTrial(
                lr=lr,
                validation_loss=round(-ranks[lr], 4) if math.isfinite(ranks[lr]) else None,
                validation_score=_mean([s.validation_score for s in scores[lr]]),
                cells=len(rates[lr]),
            )
            for lr in sorted(rates)
        ],
    )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), 4) if known else None
