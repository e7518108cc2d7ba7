"""Learning rates chosen on the validation split: read by `lr: tuned`, written from a study."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.core.errors import BadInput
from harness.core.folder import write_atomically
from harness.core.methods import BASELINES
from harness.core.metrics import Metric, common_metric
from harness.core.result import CellResult, Scores
from harness.planning.sweep import LearningRate
from harness.planning.validation import explain
from harness.planning.yaml_files import dump_yaml, read_yaml

_Outcome = tuple[float | None, float]
"""Validation score and loss of a cell; None and infinity if it failed."""


class LearningRateTrial(BaseModel):
    """One learning rate of one arm: means over the seeds and lengths of the study."""

    model_config = ConfigDict(extra="forbid")
    lr: float
    validation_score: float | None
    validation_loss: float | None
    cells: int


class Entry(BaseModel):
    """One arm of a study: its trials and the chosen learning rate."""

    model_config = ConfigDict(extra="forbid")
    arm: dict[str, Any]
    lr: LearningRate
    tries: list[LearningRateTrial]


class Study(BaseModel):
    """The content of `tuned.yaml`."""

    model_config = ConfigDict(extra="forbid")
    study: dict[str, Any]
    entries: list[Entry]


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
    """Choose for each arm the rate with the best mean validation score, then the lowest loss.

    A score of which lower is better (a loss) counts with its sign reversed, here and in the trials
    that are written. A failed cell counts as the worst score of its metric, so that a rate that
    fails is not chosen over one that does not. Test scores are not used.

    Raises:
        BadInput: there is no training cell, the arms have unequal numbers of trials, or a rate
            lacks a length and seed that another rate of its arm has.
    """
    arms: dict[str, dict[str, Any]] = {}
    tries: dict[str, dict[float, list[_Outcome]]] = defaultdict(lambda: defaultdict(list))
    runs: dict[str, dict[float, set[tuple[int, int]]]] = defaultdict(lambda: defaultdict(set))
    metrics: dict[str, set[str]] = defaultdict(set)
    for result in results:
        cell, scores = result.cell, result.scores or Scores()
        if cell.kind != "train" or cell.method in BASELINES or cell.lr is None:
            continue
        arm = cell.arm_key
        key = yaml.safe_dump(arm)
        arms[key] = arm
        value = scores.validation_score if result.ok else None
        loss = scores.validation_loss if result.ok else None
        if scores.metric:
            metrics[key].add(scores.metric)
        runs[key][cell.lr].add((cell.length, cell.seed))
        tries[key][cell.lr].append((value, float("inf") if loss is None else loss))
    if not arms:
        raise BadInput("there are no training cells to choose learning rates from")
    if len({len(t) for t in tries.values()}) > 1:
        counts = ", ".join(
            f"{arms[k]['method']} {arms[k]['density']}: {len(t)}" for k, t in tries.items()
        )
        raise BadInput(
            f"the arms had unequal numbers of tries ({counts}): all methods need the "
            "same number of learning rates"
        )
    for key, rates in runs.items():
        _check_same_runs(arms[key], rates)
    entries = [_entry(arms[key], tries[key], common_metric(metrics[key])) for key in sorted(arms)]
    trained = [r.cell for r in results if r.kind == "train"]
    lengths = sorted({cell.length for cell in trained})
    seeds = sorted({cell.seed for cell in trained})
    study = {
        name: getattr(trained[0], name)
        for name in ("examples", "epochs", "batch_size", "validation_examples")
    }
    return Study(study={**study, "lengths": lengths, "seeds": seeds}, entries=entries)


def _check_same_runs(arm: dict[str, Any], rates: dict[float, set[tuple[int, int]]]) -> None:
    """Check that all rates of an arm have the same lengths and seeds; an easy seed would decide."""
    every = set().union(*rates.values())
    for lr, own in sorted(rates.items()):
        for length, seed in sorted(every - own):
            raise BadInput(
                f"the study is not finished: {arm['method']} at learning rate {lr:g} has no cell "
                f"of {length} tokens, seed {seed}, which other rates have; run the study to its end"
            )


def write(study: Study, path: Path) -> None:
    """Write a study as YAML.

    Raises:
        OSError: the file cannot be written; it is named.
    """
    head = (
        "# Learning rates chosen on the validation split: `bench-long tuned DIR` writes this file\n"
        "# from a study such as sweeps/tune.yaml. Every arm had the same number of trials.\n"
    )
    body = dump_yaml(study.model_dump())
    write_atomically(path, head + body)


def _entry(arm: dict[str, Any], rates: dict[float, list[_Outcome]], metric: Metric) -> Entry:
    """The trials of an arm and its best rate."""
    ranks = {
        lr: metric.rank_of_rate(*map(list, zip(*outcomes, strict=True)))
        for lr, outcomes in rates.items()
    }
    return Entry(
        arm=arm,
        lr=max(ranks, key=lambda lr: ranks[lr]),
        tries=[
            LearningRateTrial(
                lr=lr,
                validation_score=round(ranks[lr][0], 4),
                validation_loss=round(-ranks[lr][1], 4),
                cells=len(rates[lr]),
            )
            for lr in sorted(rates)
        ],
    )
