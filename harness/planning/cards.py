"""Task cards: statistics of a task's data in the tokens of a backbone, kept with the results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.errors import BadInput, one_line
from harness.core.folder import RunFolder
from harness.models.backbones import Backbone
from harness.models.tokens import token_offsets, word_counter
from tasks import OwnTasks, Task, load_task
from tasks.card import task_card

if TYPE_CHECKING:
    from collections.abc import Iterable


def make_card(task: Task, backbone: Backbone, lengths: Sequence[int]) -> dict[str, Any]:
    """Return a task's card, with lengths in the tokens of a backbone."""
    return task_card(task, token_offsets(backbone), lengths)


def write_cards(
    folder: RunFolder,
    names: Iterable[str],
    lengths: Sequence[int],
    backbone: Backbone,
    own_tasks: OwnTasks,
) -> list[str]:
    """Write `cards/<task>.json` for tasks without a card of this data at these lengths.

    The results of the run exist already, so errors are returned, one line per task.
    """
    lost = []
    for name in names:
        path = folder.path / "cards" / f"{name}.json"
        try:
            task = load_task(name, own_tasks, word_counter(backbone))
            wanted = {"backbone": backbone.name, "pinned": task.data_version()}
            known = _read(path)
            there = {row["length"] for row in known.get("rows", [])}
            if wanted.items() <= known.items() and there >= set(lengths):
                continue
            every = sorted({*lengths, *(there if wanted.items() <= known.items() else ())})
            card = {**make_card(task, backbone, every), **wanted}
            folder.write_card(name, json.dumps(card, ensure_ascii=False, indent=1))
        except BadInput:
            raise
        except (Exception, SystemExit) as error:  # a plug-in is foreign code
            lost.append(f"no card of the task '{name}': {type(error).__name__}: {one_line(error)}")
    return lost


def _read(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        [row["length"] for row in card["rows"]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}
    return card if isinstance(card, dict) else {}
