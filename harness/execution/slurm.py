"""The batch script of a Slurm job array that runs the shards of a sweep."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import BadInput
from harness.execution.shards import split, units_of
from harness.planning.plan import Plan

SCRIPT = "slurm.sh"
"""Name of the script in the folder of the array."""

_LOGS = "slurm-logs"


@dataclass(frozen=True)
class Array:
    """A job array.

    Attributes:
        command: the words that start `bench-long`.
        place: absolute path of the folder in which the commands run.
        sweep: absolute path of the sweep file.
        folder: absolute path of the folder of the array, on all nodes; shard n writes `shard-n`.
        options: further words of `bench-long run`.
        workers: cells at a time in each task.
        shards: tasks of the array.
        at_once: tasks that may run at a time; None for no limit.
    """

    command: tuple[str, ...]
    place: Path
    sweep: Path
    folder: Path
    options: tuple[str, ...]
    workers: int
    shards: int
    at_once: int | None = None


def default_shards(plan: Plan) -> int:
    """Return one task for each training cell, and one for all probes."""
    return len(units_of(plan))


def timed_task(plan: Plan, shards: int) -> int | None:
    """Return the number of the task that has the probes; None in a sweep without them."""
    probes = {cell.id for cell in plan.cells if cell.kind == "probe"}
    found = (n for n, ids in enumerate(split(plan, shards), 1) if probes.intersection(ids))
    return next(found, None)


def script(plan: Plan, array: Array) -> str:
    """Return the text of the batch script.

    `exec` lets the signal that Slurm sends before the time limit reach `bench-long`, which then
    ends its cells. A task that is requeued runs the same command, which skips finished cells.
    """
    limit = "" if array.at_once is None else f"%{array.at_once}"
    lines = [
        f"--job-name=bench-long-{plan.sweep.name}",
        f"--array=1-{array.shards}{limit}",
        f"--cpus-per-task={array.workers}",
        f"--output={_pattern(array.folder / _LOGS)}/%a.log",
        "--open-mode=append",
        "--requeue",
        "--signal=B:TERM@60",
    ]
    if plan.sweep.limits.cell_gib is not None:
        gib = plan.sweep.limits.cell_gib * array.workers
        lines.append(f"--mem={round(gib * 1024)}M")
    if any(cell.device == "cuda" for cell in plan.cells):
        lines.append("--gres=gpu:1")
    task = "SLURM_ARRAY_TASK_ID"
    words = [*array.command, "run", str(array.sweep), *array.options]
    words += ["--workers", str(array.workers)]
    run = " ".join(map(shlex.quote, words))
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {line}" for line in lines),
            "set -eu",
            f"cd {shlex.quote(str(array.place))}",
            f"exec {run} \\",
            f'  --shard "${task}/{array.shards}" --out {_shard_folder(array.folder, task)}',
            "",
        ]
    )


def prepare(array: Array, text: str) -> Path:
    """Write the script and the folder that Slurm needs for its logs. Returns the script's path."""
    (array.folder / _LOGS).mkdir(parents=True, exist_ok=True)
    path = array.folder / SCRIPT
    path.write_text(text, encoding="utf-8")
    return path


def set_words(overrides: Sequence[str]) -> tuple[str, ...]:
    """Return overrides of a sweep as words of a command line."""
    return tuple(word for one in overrides for word in ("--set", one))


def others(shards: int, timed: int) -> str:
    """Return the tasks without the timed one, in the form of `--array`."""
    ranges = [(1, timed - 1), (timed + 1, shards)]
    return ",".join(f"{a}-{b}" if a < b else str(a) for a, b in ranges if a <= b)


def merge(array: Array) -> str:
    """Return the command that joins the shards in one report."""
    folders = [str(array.folder / f"shard-{n}") for n in range(1, array.shards + 1)]
    few = folders if array.shards <= 3 else []
    parts = " ".join(map(shlex.quote, few)) or f"{shlex.quote(str(array.folder))}/shard-*"
    return f"bench-long report {parts} --out {shlex.quote(str(array.folder / 'report'))}"


def _shard_folder(folder: Path, task: str) -> str:
    return f'{shlex.quote(str(folder))}/"shard-${task}"'


def _pattern(path: Path) -> str:
    """A path as a file name pattern of Slurm, in which % begins a replacement.

    Raises:
        BadInput: it has characters that end an option of a batch script.
    """
    if any(c in '"\\' or not c.isprintable() for c in str(path)):
        raise BadInput(f"{path}: Slurm cannot use this path: choose another with --out")
    text = str(path).replace("%", "%%")
    return f'"{text}"' if any(c.isspace() for c in text) else text
