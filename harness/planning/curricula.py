"""The curriculum of a sweep: which of its tasks offer it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.core.cell import NO_CURRICULUM
from harness.core.errors import BadInput, similar
from harness.planning.sweep import Sweep
from tasks import Task
from tasks.registry import discover


def curriculum_of(sweep: Sweep, task: Task) -> str:
    """The curriculum under which a task's cells are trained: the sweep's, if the task offers it."""
    asked = sweep.train.curriculum
    return asked if asked in task.curricula else NO_CURRICULUM


def check_curriculum(
    sweep: Sweep, tasks: Sequence[Task], source: Path, tasks_dir: Path | None, *, whole: bool
) -> list[str]:
    """Return a line that names the tasks that train without the sweep's curriculum, if any.

    Args:
        sweep: the sweep.
        tasks: those of the sweep that could be loaded.
        source: the sweep file, for messages.
        tasks_dir: a folder of plug-ins.
        whole: whether `tasks` are all of the sweep's tasks.

    Raises:
        BadInput: no task has a curriculum of that name, or (where `tasks` are all) none of these.
    """
    asked, where = sweep.train.curriculum, f"{source}: train.curriculum"
    if asked == NO_CURRICULUM:
        return []
    known = sorted({name for task in discover(tasks_dir).values() for name in task.curricula})
    if asked not in known:
        names = [NO_CURRICULUM, *known]
        meant = similar(asked, names)
        hint = f" Did you mean '{meant}'?" if meant else ""
        raise BadInput(f"{where}: no curriculum '{asked}'.{hint} Available: {', '.join(names)}")
    without = [task.metadata.name for task in tasks if asked not in task.curricula]
    if len(without) < len(tasks):
        return [f"{where}: {', '.join(without)}: no {asked}; trained with none"] if without else []
    if not whole:
        return []
    offered = sorted({name for task in tasks for name in task.curricula})
    raise BadInput(
        f"{where}: no task of this sweep offers {asked}; available for its tasks: "
        f"{', '.join([NO_CURRICULUM, *offered])}"
    )
